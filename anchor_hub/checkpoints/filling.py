"""Builds or fills networks with a file's tensors, without initialising weights and without needless copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from anchor_hub.errors import CheckpointError
from anchor_hub.networks.blank import blank, remake_constants

Network = TypeVar("Network", bound=nn.Module)


def filled(build: Callable[[Any], Network], config: Any, state: Mapping[str, Tensor], what: str) -> Network:
    """``build(config)`` with exactly the weights ``state`` (our names), in eval mode, without gradients, as float32.

    The network is built without values, so that no random number is drawn. Float32 tensors are taken as they are (views
    of the file), others are converted. Buffers outside the state dict are computed anew.

    :raises CheckpointError: entries or shapes that do not fit, or values that are not finite.
    """
    network = blank(build, config)
    fill(network, state, what, "its own architecture")
    _remake_constants(network)
    return network.eval().requires_grad_(False)


def fill(network: nn.Module, state: Mapping[str, Tensor], what: str, others: str) -> None:
    """Give a network exactly the weights ``state`` (our names), as float32.

    :param what, others: the network, and what it has to fit, as errors call them.
    :raises CheckpointError: entries or shapes that do not fit, or values that are not finite.
    """
    ready = {}
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"its {what} has NaN or infinity in {name}: the weights are damaged")
        ready[name] = value.detach().float().contiguous() if value.is_floating_point() else value.detach()
    try:
        network.load_state_dict(ready, assign=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"its {what} does not fit {others}: {reason[:300]}") from error


def _remake_constants(network: nn.Module) -> None:
    """Recompute constants outside the state dict, such as FIR kernels. :raises CheckpointError: one that cannot be."""
    remake_constants(network)
    left = [name for name, value in network.named_buffers() if value.is_meta]
    if left:
        raise CheckpointError(f"cannot be imported: its network has constants that are not stored ({left[0]})")
