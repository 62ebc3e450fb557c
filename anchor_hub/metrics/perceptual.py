"""LPIPS, the learned perceptual distance of Zhang et al. 2018, through the ``lpips`` package.

The linear layers come with the package. The network below them is torchvision's ImageNet classifier, whose file has
to be on this machine: this module downloads nothing, and uses no other network instead.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError, did_you_mean
from anchor_hub.system.guarded import read_regular
from anchor_hub.system.inputs import shown

#: Network -> torchvision's file name; the digits before ``.pth`` begin its SHA-256.
TRUNK_FILES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
MIN_SIDE = 32


class Perceptual:
    """LPIPS version 0.1 with trained linear layers; ``sha256`` is that of the network's file.

    :param net: ``alex`` (for measuring), ``vgg`` or ``squeeze``.
    :param weights: torchvision's file of that network; by default ``checkpoints/<name>`` in torch's hub
        folder (``$TORCH_HOME/hub``).
    :raises DataError: the file is missing or another file, or lpips or torchvision cannot be imported.
    """

    def __init__(
        self, net: str = "alex", *, weights: str | Path | None = None, device: torch.device | str = "cpu"
    ) -> None:
        if net not in TRUNK_FILES:
            raise DataError(f"LPIPS has no network {net!r}.{did_you_mean(net, TRUNK_FILES)}")
        self.net, self.device = net, torch.device(device)
        trunk, self.sha256 = _trunk_weights(net, weights)
        lpips = _import_lpips()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips calls torchvision by an old parameter name
            model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        _load_trunk(model.net, trunk, net)
        self.model = model.eval().requires_grad_(False).to(self.device)

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        """Distance of each pair ``[B]``, float32, of pictures ``[B, 3, H, W]``: uint8, or float in [-1, 1].

        Differentiable in float pictures. :raises DataError: other shapes, or sides below 32 pixels.
        """
        if first.shape != second.shape or first.ndim != 4 or first.shape[1] != 3:
            raise DataError(
                f"LPIPS compares [B, 3, H, W] on both sides, not {list(first.shape)} and {list(second.shape)}"
            )
        if min(first.shape[-2:]) < MIN_SIDE:
            raise DataError(f"LPIPS needs pictures of at least {MIN_SIDE} pixels a side; enlarge them first")
        return self.model(self._ready(first), self._ready(second)).flatten()

    def _ready(self, pictures: Tensor) -> Tensor:
        values = pictures.to(self.device)
        return values.float() / 127.5 - 1 if values.dtype == torch.uint8 else values.float()


def _import_lpips() -> Any:
    try:
        import lpips
    except Exception as error:  # a torchvision built for another torch fails with RuntimeError, too
        raise DataError(
            f"LPIPS cannot be used, importing lpips failed ({type(error).__name__}: {str(error)[:150]}); "
            f"install lpips and a torchvision that fits torch {torch.__version__}"
        ) from error
    return lpips


def _trunk_weights(net: str, weights: str | Path | None) -> tuple[dict[str, Tensor], str]:
    name = TRUNK_FILES[net]
    path = Path(weights) if weights is not None else Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        data = read_regular(path)
    except OSError as error:
        raise DataError(
            f"LPIPS ({net}) needs torchvision's weights {name}, but {shown(path)} cannot be read "
            f"({error.strerror or error}); put the file there, or name it"
        ) from None
    wanted = name.rpartition("-")[2].removesuffix(".pth")
    digest = hashlib.sha256(data).hexdigest()
    if not digest.startswith(wanted):
        raise DataError(
            f"{shown(path)}: is not torchvision's {name} (its SHA-256 does not begin with {wanted}); "
            "copy that file again"
        )
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True), digest


def _load_trunk(trunk: torch.nn.Module, weights: dict[str, Tensor], net: str) -> None:
    """Fill lpips' network with torchvision's weights: lpips renames ``features.<i>`` to ``slice<k>.<i>``."""
    wanted = trunk.state_dict()
    renamed = {name: "features." + name.partition(".")[2] for name in wanted}
    missing = [source for source in renamed.values() if source not in weights]
    if missing:
        raise DataError(f"LPIPS ({net}): the weights lack {missing[0]}; give the weights of {net}")
    trunk.load_state_dict({name: weights[source] for name, source in renamed.items()})
