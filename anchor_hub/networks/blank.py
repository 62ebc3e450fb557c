"""Networks without numbers, ready for stored weights: no weight is drawn first or held twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Network = TypeVar("Network", bound=nn.Module)

_EMPTY = {torch.randn, torch.rand, torch.zeros, torch.ones}
_UNCHANGED = {
    Tensor.div, Tensor.mul, Tensor.__truediv__, Tensor.__mul__, Tensor.__rmul__, Tensor.normal_, Tensor.uniform_,
    Tensor.zero_, Tensor.fill_, torch.div, torch.mul, F.normalize,
}  # fmt: skip


class _NoNumbers(TorchFunctionMode):
    """A mode in which torch makes empty tensors, and operations that fill or scale tensors do nothing.

    Torch's meta device alone would do the same, but its first arithmetic loads 900 modules: a second and 160 MB.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func in _EMPTY:
            return torch.empty(*args, **options)
        if func is torch.outer:
            return torch.empty(len(args[0]), len(args[1]))
        if func is torch.full:
            return torch.empty(args[0], **{key: value for key, value in options.items() if key != "fill_value"})
        if func in _UNCHANGED or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else options["tensor"]
        return func(*args, **options)


def blank(build: Callable[..., Network], *arguments: Any) -> Network:
    """``build(*arguments)`` on the meta device, without any numbers.

    Fill the network with ``load_state_dict(..., assign=True)``. This works for networks whose constructors only draw,
    fill and scale their weights. Buffers outside the state dict must be made anew afterwards.
    """
    with torch.device("meta"), _NoNumbers():
        return build(*arguments)
