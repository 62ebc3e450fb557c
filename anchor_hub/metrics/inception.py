"""The Inception network of FID, through torch-fidelity (and torchmetrics for the resize ``antialias``)."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import DataError, UsageError, did_you_mean
from anchor_hub.metrics.features import Extractor, read_weights
from anchor_hub.system.inputs import shown

#: Names under which torch-fidelity and pytorch-fid keep the same file; the file's SHA-256 begins with DIGEST.
FILES = ("weights-inception-2015-12-05-6726825d.pth", "pt_inception-2015-12-05-6726825d.pth")
DIGEST = "6726825d"
INCEPTION_NAME = "inception"
#: How pictures are resized to 299 px: name -> description to record beside a number.
RESIZES = {
    "tensorflow": "TensorFlow 1 bilinear, no antialias, to 299x299",  # the published FID, torch-fidelity's
    "antialias": "bilinear, antialiased, to 299x299",  # torchmetrics' default
}


class InceptionExtractor(Extractor):
    """2,048 pooled features of Inception-v3 (2015-12-05), the only network whose distance is a FID.

    :param network: takes uint8 ``[B, 3, H, W]`` of any size and resizes the pictures itself.
    """

    name = INCEPTION_NAME
    dimensions = 2048

    def __init__(self, network: Any, device: torch.device | str, *, sha256: str, resize: str) -> None:
        super().__init__(device)
        self.network = network.to(self.device)
        self.sha256, self.resize = sha256, RESIZES[resize]
        self.preprocessing = f"{self.resize}, (x - 128) / 128; 2048 pooled features"

    def features(self, pictures: Tensor) -> Tensor:
        found = self.network(pictures)
        return found[0] if isinstance(found, tuple) else found


def find_inception() -> Path:
    """The path of Inception's file in the libraries' caches.

    :raises DataError: the file is missing; the message names the file and where it was looked for.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"FID and KID need the Inception weights {FILES[0]} (or {FILES[1]}, the same file), not found in "
        f"{shown(folder)}; put the file there, or give --extractor PATH. For another network, ask for fd or kd"
    )


def load_inception(
    path: str | Path | None = None, device: torch.device | str = "cpu", *, resize: str = "tensorflow"
) -> InceptionExtractor:
    """FID's network, with the weights in ``path`` or in the libraries' caches.

    :raises DataError: the file is missing or another file, or torch-fidelity cannot be imported.
    :raises UsageError: an unknown resize.
    """
    if resize not in RESIZES:
        raise UsageError(f"Inception has no resize {resize!r}.{did_you_mean(resize, RESIZES)}")
    file = find_inception() if path is None else Path(path)
    data, digest = read_weights(file, FILES[0])
    if not digest.startswith(DIGEST):
        raise DataError(
            f"{shown(file)}: is not FID's {FILES[0]} (its SHA-256 does not begin with {DIGEST}); copy that file again"
        )
    # The libraries unpickle everything in a file, so they get a copy that holds tensors only.
    plain = io.BytesIO()
    torch.save(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True), plain)
    plain.seek(0)
    with contextlib.redirect_stdout(sys.stderr):
        network = _network(resize)("inception-v3-compat", ["2048"], plain)
    return InceptionExtractor(network.eval().requires_grad_(False), device, sha256=digest, resize=resize)


def _network(resize: str) -> Any:
    try:
        if resize == "antialias":
            from torchmetrics.image.fid import NoTrainInceptionV3

            return NoTrainInceptionV3
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        return FeatureExtractorInceptionV3
    except Exception as error:  # a torchvision built for another torch fails with RuntimeError, too
        raise DataError(missing_library("torch-fidelity", error)) from error


def missing_library(name: str, error: Exception) -> str:
    """The message that says why a metric's library cannot be imported, and how to install it."""
    return (
        f"{name} cannot be used, importing it failed ({type(error).__name__}: {str(error)[:150]}); install "
        f"anchor-hub[metrics], and a torchvision that fits torch {torch.__version__}"
    )
