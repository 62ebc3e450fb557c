"""Networks without numbers, ready for stored weights: no weight is drawn first or held twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from anchor_hub.errors import AnchorError

Network = TypeVar("Network", bound=nn.Module)

_EMPTY = {torch.randn, torch.rand, torch.zeros, torch.ones}
_FACTORIES = {*_EMPTY, torch.empty, torch.full, torch.outer}
_UNCHANGED = {
    Tensor.div, Tensor.mul, Tensor.__truediv__, Tensor.__mul__, Tensor.__rmul__, Tensor.normal_, Tensor.uniform_,
    Tensor.zero_, Tensor.fill_, torch.div, torch.mul, F.normalize,
}  # fmt: skip

#: The most tensors and numbers of one network. No published one has a tenth; an architecture of a stranger's bundle is
#: given up here, before it costs time or memory.
MAX_TENSORS, MAX_NUMBERS = 50_000, 1 << 31


class _NoNumbers(TorchFunctionMode):
    """A mode in which torch makes empty tensors, and operations that fill or scale tensors do nothing.

    Torch's meta device alone would do the same, but its first arithmetic loads 900 modules: a second and 160 MB.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tensors = self.numbers = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = self._made(func, args, kwargs)
        if func in _FACTORIES and isinstance(made, Tensor):
            self.tensors, self.numbers = self.tensors + 1, self.numbers + made.numel()
            if self.tensors > MAX_TENSORS or self.numbers > MAX_NUMBERS:
                raise ValueError(f"a network of more than {MAX_TENSORS:,} tensors or {MAX_NUMBERS:,} numbers")
        return made

    def _made(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> Any:
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
    fill and scale their weights. :func:`remake_constants` makes buffers outside the state dict anew afterwards.

    :raises ValueError: options that make no network, or one beyond :data:`MAX_TENSORS` or :data:`MAX_NUMBERS`.
    """
    try:
        with torch.device("meta"), _NoNumbers():
            return build(*arguments)
    except (RuntimeError, ArithmeticError, LookupError, AssertionError, MemoryError) as error:
        if isinstance(error, AnchorError):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"its options make no network ({reason[:80]})") from error


def stored(
    build: Callable[[], Network], read: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
) -> Network:
    """``build()`` with stored weights: no number is drawn first, and no weight is held twice.

    :param read: the weights for a state dict without numbers, which says names and shapes, see ``Bundle.tensors``.
    """
    network = blank(build)
    network.load_state_dict(read(network.state_dict()), assign=True)
    remake_constants(network)
    return network


def remake_constants(network: nn.Module) -> None:
    """Make the constants anew that a network without numbers has in no state dict."""
    for module in network.modules():
        if callable(remake := getattr(module, "reset_constants", None)):
            remake()


def lay_out(network: Network) -> Network:
    """The network itself, its convolutions' weights channels-last where that is the faster layout (CPUs, CUDA).

    Outputs differ from those of the other layout by rounding, about 1e-5.
    """
    weight = next(network.parameters(), None)
    if weight is None or weight.device.type not in ("cpu", "cuda"):
        return network
    return network.to(memory_format=torch.channels_last)
