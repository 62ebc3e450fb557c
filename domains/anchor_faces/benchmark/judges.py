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

from anchor_faces.benchmark.factor_groups import ALL_JUDGED, FLAG, JUDGED, STYLE, JudgedFactor
from anchor_faces.benchmark.judge_kinds import CARS, CREATURES, FACES, JudgeKind, judge_kind
from anchor_faces.benchmark.judge_network import SIZE, JudgeNetwork
from anchor_faces.benchmark.readers import Reader, reader_tensors
from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import BundleError, DataError, UsageError
from anchor_hub.training.base import Contents
from anchor_hub.training.contents import write_contents

BATCH = 50
LARGEST_WIDTH = 512  # of a network that a bundle may hold


@dataclass(frozen=True)
class Reading:
    """The judges' findings on N pictures.

    ``labels``: class ids, uint8 ``[N, 1, 64, 64]``; ``points``: float32 ``[N, 68, 2]`` in pixels (``[N, 0, 2]`` for
    cars); ``factors``: float32 ``[N, len(judged)]`` (values in the renderer's units, probabilities of flags, places in
    ``HAIR_STYLES``); ``features``: float32 ``[N, D]``, pooled maps of the shared trunk.
    """

    labels: Tensor
    points: Tensor
    factors: Tensor
    features: Tensor


class Judges:
    """Parser, landmark and factor regressor of one kind of pictures; also the extractor ``kind.judges``.

    :param sha256: SHA-256 of the weights' file, to be recorded beside every number.
    :param readers: readers of samples that are no faces, by the renderer's modality.
    :param readers_sha256: SHA-256 of the readers' file.
    """

    resize = "bilinear-antialiased 64x64"
    preprocessing = "resized to 64x64 (bilinear, antialiased, float), x / 127.5 - 1; pooled maps of the judges' trunk"

    def __init__(
        self,
        network: JudgeNetwork,
        sha256: str = "",
        device: torch.device | str = "cpu",
        *,
        kind: JudgeKind = FACES,
        readers: Mapping[str, Reader] | None = None,
        readers_sha256: str = "",
    ) -> None:
        self.kind, self.name, self.short = kind, kind.judges, kind.short
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
        for place, (factor, output) in enumerate(zip(self.network.judged, self.network.split(raw), strict=True)):
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
    network: JudgeNetwork,
    readers: Mapping[str, Reader] | None = None,
    metrics: Mapping[str, Any] | None = None,
    kind: JudgeKind = FACES,
) -> Contents:
    """The contents of the judges' bundle: weights as float16, but their statistics in full precision."""
    tensors = {}
    for name, value in network.state_dict().items():
        half = value.dtype.is_floating_point and value.ndim > 1
        tensors[name] = value.detach().cpu().to(torch.float16 if half else value.dtype).contiguous()
    parts = {"network": tensors, **({"readers": reader_tensors(readers)} if readers else {})}
    what = kind.what
    points = f", a landmark regressor ({kind.points} points)" if kind.points else ""
    card = (
        f"# {kind.judges}\n\nJudges of the benchmark `rendered-faces`, of {what}: a parser ({len(kind.classes)} "
        f"classes){points} and a factor regressor that share one trunk, trained with full supervision on rendered "
        f"{what} of 64 px by `anchor benchmark train-judges --kind {kind.name}`. No photographs. They read rendered "
        f"{what} and pictures of networks trained on them, and say nothing about photographs. "
    )
    if readers:
        card += "`readers` are linear regressions from label maps, landmarks and sketches to the factors. "
    card += "`metrics` in bundle.yaml holds their own error.\n"
    architecture: dict[str, Any] = {"width": network.width}
    if kind is not FACES:
        architecture |= {"reads": kind.name, "factors": [factor.name for factor in network.judged]}
    return Contents(architecture, parts, card=card, name=kind.judges, metrics=dict(metrics or {}))


def save_judges(
    network: JudgeNetwork,
    folder: Path,
    *,
    readers: Mapping[str, Reader] | None = None,
    provenance: Mapping[str, Any] | None = None,
    license: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    kind: JudgeKind = FACES,
) -> Path:
    """Write the judges' bundle; returns its folder."""
    contents = judge_contents(network, readers, metrics, kind)
    return write_contents(contents, folder, "judges", kind.judges, dict(provenance or {}), dict(license or {}))


def load_judges(
    folder: str | Path | None = None, device: torch.device | str = "cpu", kind: JudgeKind = FACES
) -> Judges:
    """The judges of a bundle; without a ``folder``, those of this kind that come with the package.

    :raises BundleError: the bundle is damaged, or no bundle of judges.
    """
    return _load(str(folder or kind.folder), str(device))


def extractor(device: torch.device | str = "cpu") -> Judges:
    """The bundled judges of faces as the extractor ``rendered-faces-r1``."""
    return load_judges(device=device)


def creature_extractor(device: torch.device | str = "cpu") -> Judges:
    """The bundled judges of toons and cats as the extractor ``rendered-creatures-r1``."""
    return load_judges(device=device, kind=CREATURES)


def car_extractor(device: torch.device | str = "cpu") -> Judges:
    """The bundled judges of toy cars as the extractor ``rendered-cars-r1``."""
    return load_judges(device=device, kind=CARS)


@functools.lru_cache(maxsize=4)
def _load(folder: str, device: str) -> Judges:
    bundle = open_bundle(folder, "judges")
    kind, width, factors = _architecture(folder, bundle.manifest.architecture)
    network = JudgeNetwork(width, factors, len(kind.classes), kind.points)
    network.load_state_dict(bundle.tensors("network", network.state_dict()))
    files = bundle.manifest.files
    held = bundle.tensors("readers") if "readers" in bundle.parts else {}
    return Judges(
        network, files["network.safetensors"], device, kind=kind,
        readers={kind: Reader(kind, weight) for kind, weight in held.items()},
        readers_sha256=files.get("readers.safetensors", ""),
    )  # fmt: skip


def _architecture(folder: str, table: Mapping[str, Any]) -> tuple[JudgeKind, int, tuple[JudgedFactor, ...]]:
    """Kind, width and factors of a bundle's judges. :raises BundleError: one of them is not known."""
    width, reads = table.get("width"), table.get("reads", FACES.name)
    known = {factor.name: factor for factor in ALL_JUDGED}
    names = table.get("factors", [factor.name for factor in JUDGED])
    if not isinstance(width, int) or not 1 <= width <= LARGEST_WIDTH:
        raise BundleError(f"{folder}: bad architecture: width is {width!r}; install the bundle again")
    if not isinstance(names, list) or not names or not set(map(str, names)) <= known.keys():
        raise BundleError(f"{folder}: bad architecture: its factors are not the renderer's; install the bundle again")
    try:
        return judge_kind(str(reads)), width, tuple(known[str(name)] for name in names)
    except UsageError as error:
        raise BundleError(f"{folder}: bad architecture: {error}") from None
