"""Encoders by name, for configurations and bundles."""

from __future__ import annotations

from typing import Any

from torch import nn

from anchor_hub.errors import NotFoundError, did_you_mean
from anchor_hub.networks.compact import CompactEncoder
from anchor_hub.networks.psp import PSPEncoder

#: Encoder classes by the name that configurations and bundles use.
ENCODERS: dict[str, type[nn.Module]] = {"psp": PSPEncoder, "compact": CompactEncoder}


def build_encoder(name: str, **options: Any) -> nn.Module:
    """An encoder by name with its constructor's options; ``encoder(images [B, C, S, S]) -> offsets [B, L, D]``.

    :raises NotFoundError: no encoder of that name.
    """
    if name not in ENCODERS:
        raise NotFoundError(f"no encoder named {name!r}.{did_you_mean(name, ENCODERS)}")
    return ENCODERS[name](**options)
