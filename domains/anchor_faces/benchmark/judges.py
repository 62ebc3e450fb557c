"""The judges as the benchmark uses them: loaded from a bundle, they read pictures."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_faces.benchmark.factor_groups import FLAG, JUDGED, STYLE
from anchor_faces.benchmark.judge_network import SIZE, JudgeNetwork
from anchor_faces.benchmark.readers import Reader, reader_tensors
from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import BundleError, DataError
from anchor_hub.training.base import Contents
from anchor_hub.training.contents import write_contents

NAME = "rendered-faces-r1"
BUNDLE = Path(__file__).parents[1] / "bundles" / "judges"
BATCH = 50
LARGEST_WIDTH = 512  # of a network that a bundle may hold


@dataclass(frozen=True)
class Reading:
    """The judges' findings on N pictures.

    ``labels``: class ids, uint8 ``[N, 1, 64, 64]``; ``points``: float32 ``[N, 68, 2]`` in pixels; ``factors``: float32
    ``[N, len(JUDGED)]`` (values in the renderer's units, probabilities of flags, places in ``HAIR_STYLES``);
    ``features``: float32 ``[N, D]``, pooled maps of the shared trunk.
    """

    labels: Tensor
    points: Tensor
    factors: Tensor
    features: Tensor


class Judges:
    """Face parser, landmark and factor regressor; also the extractor ``rendered-faces-r1``.

    :param sha256: SHA-256 of the weights' file, to be recorded beside every number.
    :param readers: readers of samples that are no faces, by the renderer's modality.
    :param readers_sha256: SHA-256 of the readers' file.
    """

    name, short = NAME, "rendered"
    resize = "bilinear-antialiased 64x64"
    preprocessing = "resized to 64x64 (bilinear, antialiased, float), x / 127.5 - 1; pooled maps of the judges' trunk"

    def __init__(
        self,
        network: JudgeNetwork,
        sha256: str = "",
        device: torch.device | str = "cpu",
        *,
        readers: Mapping[str, Reader] | None = None,
        readers_sha256: str = "",
    ) -> None:
        self.device, self.sha256 = torch.device(device), sha256
        self.readers, self.readers_sha256 = dict(readers or {}), readers_sha256
        self.network = network.eval().requires_grad_(False).to(self.device)

    def _values(self, pictures: Tensor) -> Tensor:
        if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[1] != 3:
            raise DataError(
                f"the judges look at uint8 [B, 3, H, W], not {pictures.dtype} {list(pictures.shape)}"
            )
        values = pictures.to(self.device).float()
        if tuple(values.shape[-2:]) != (SIZE, SIZE):
            values = F.interpolate(values, size=(SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
        return values / 127.5 - 1

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Features float32 ``[B, D]`` on the CPU, of uint8 ``[B, 3, H, W]``.

        :raises DataError: pictures of another type or shape.
        """
        return self.network.features(self._values(pictures)).cpu()

    @torch.no_grad()
    def read(self, pictures: Tensor, batch: int = BATCH) -> Reading:
        """The judges' findings on pictures uint8 ``[N, 3, H, W]``; the same for every ``batch``."""
        parts: list[tuple[Tensor, ...]] = []
        for part in pictures.split(batch):
            values = self._values(part)
            found = self.network(values)
            labels = found.labels.argmax(1, keepdim=True).byte()
            decoded = self._decoded(found.factors)
            parts.append((labels.cpu(), found.points.cpu(), decoded.cpu(), found.features.cpu()))
        return Reading(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _decoded(self, raw: Tensor) -> Tensor:
        columns = []
        for place, (factor, output) in enumerate(zip(JUDGED, self.network.split(raw), strict=True)):
            if factor.kind == STYLE:
                columns.append(output.argmax(1).float())
            elif factor.kind == FLAG:
                columns.append(output[:, 0].sigmoid())
            else:
                columns.append(output[:, 0] * self.network.factor_scale[place] + self.network.factor_mean[place])
        return torch.stack(columns, 1)

    def describe(self) -> dict[str, Any]:
        """The facts to record beside every number that the judges measure."""
        return {"name": self.name, "sha256": self.sha256, "preprocessing": self.preprocessing}


def judge_contents(
    network: JudgeNetwork, readers: Mapping[str, Reader] | None = None, metrics: Mapping[str, Any] | None = None
) -> Contents:
    """The contents of the judges' bundle: weights as float16, but their statistics in full precision."""
    tensors = {}
    for name, value in network.state_dict().items():
        half = value.dtype.is_floating_point and value.ndim > 1
        tensors[name] = value.detach().cpu().to(torch.float16 if half else value.dtype).contiguous()
    parts = {"network": tensors, "readers": reader_tensors(readers or {})}
    card = (
        f"# {NAME}\n\nThe judges of the benchmark `rendered-faces`: a face parser (19 classes), a landmark regressor "
        "(68 points) and a factor regressor that share one trunk, trained with full supervision on rendered faces of "
        "64 px by `anchor benchmark train-judges`. No photographs. They read rendered faces and pictures of a hub "
        "trained on them, and say nothing about photographs. `readers` are linear regressions from label maps, "
        "landmarks and sketches to the factors. `metrics` in bundle.yaml holds their own error.\n"
    )
    return Contents({"width": network.width}, parts, card=card, name=NAME, metrics=dict(metrics or {}))


def save_judges(
    network: JudgeNetwork,
    folder: Path,
    *,
    readers: Mapping[str, Reader] | None = None,
    provenance: Mapping[str, Any] | None = None,
    license: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> Path:
    """Write the judges' bundle; returns its folder."""
    contents = judge_contents(network, readers, metrics)
    return write_contents(contents, folder, "judges", NAME, dict(provenance or {}), dict(license or {}))


def load_judges(folder: str | Path | None = None, device: torch.device | str = "cpu") -> Judges:
    """The judges of a bundle; without a ``folder``, those that come with the package.

    :raises BundleError: the bundle is damaged, or of another kind.
    """
    return _load(str(folder or BUNDLE), str(device))


def extractor(device: torch.device | str = "cpu") -> Judges:
    """The bundled judges as the extractor ``rendered-faces-r1``."""
    return load_judges(device=device)


@functools.lru_cache(maxsize=4)
def _load(folder: str, device: str) -> Judges:
    bundle = open_bundle(folder, "judges")
    width = bundle.manifest.architecture.get("width")
    if not isinstance(width, int) or not 1 <= width <= LARGEST_WIDTH:
        raise BundleError(f"{folder}: bad architecture: width is {width!r}; install the bundle again")
    network = JudgeNetwork(width)
    network.load_state_dict(bundle.tensors("network", network.state_dict()))
    files = bundle.manifest.files
    held = bundle.tensors("readers") if "readers" in bundle.parts else {}
    return Judges(
        network, files["network.safetensors"], device,
        readers={kind: Reader(kind, weight) for kind, weight in held.items()},
        readers_sha256=files.get("readers.safetensors", ""),
    )  # fmt: skip
