"""The benchmark's own samples: where they lie, and which files belong to which domain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from anchor_faces.benchmark.renders import NEEDED, Renders, load_renders, rendered
from anchor_faces.rendering import MODALITIES, RENDERER_VERSION
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DataError, UsageError
from anchor_hub.system.home import Home

if TYPE_CHECKING:
    from anchor_hub.modality import Modality
    from anchor_hub.translation.base import Translator

NAME = "rendered-faces"
#: Grows with every change that changes a number: of samples, renderer, judges, definitions of scores.
VERSION = "1"
#: No training uses this seed: the bundled hub, domains and judges were trained with seed 0.
SEED = 4000
COUNT = 2000
_DATASET = "rendered-faces:"

Progress = Callable[[int, int], None]


def render_modality(domain: str) -> str:
    """The renderer's name for a domain's pictures.

    :raises UsageError: the domain is not one of rendered faces.
    """
    from anchor_hub.plugins.registry import registry

    if domain in MODALITIES:
        return domain
    known = registry().domains
    dataset = known[domain].spec.dataset if domain in known else None
    if dataset and dataset.startswith(_DATASET) and dataset[len(_DATASET) :] in MODALITIES:
        return dataset[len(_DATASET) :]
    raise UsageError(
        f"domain {domain!r} is not one of rendered faces, so the benchmark {NAME} has no truth for it (only for "
        f"{', '.join(MODALITIES)}); use anchor evaluate --data for other images"
    )


@dataclass(frozen=True)
class End:
    """One end of a translation: the domain's name, its modality, and the size in pixels of its samples."""

    name: str
    modality: Modality
    size: int

    @classmethod
    def source(cls, translator: Translator[Any]) -> End:
        return cls(translator.source, translator.source_modality, translator.size)

    @classmethod
    def target(cls, translator: Translator[Any]) -> End:
        return cls(translator.target, translator.target_modality, translator.size)


@dataclass
class Samples:
    """The first ``count`` samples of the benchmark, loaded when a domain needs them."""

    folder: Path
    count: int
    truth: Renders
    _loaded: dict[tuple[str, int, str], Tensor] = field(default_factory=dict, repr=False)

    def of(self, end: End) -> Tensor:
        """The samples ``[N, ...]`` of a domain, as the domain's modality reads them."""
        name = render_modality(end.name)
        key = (name, end.size, json.dumps(end.modality.options(), sort_keys=True, default=str))
        if key not in self._loaded:
            files = ImageFolder(self.folder / name, end.modality, end.size, limit=self.count)
            loaded = files.load_all(1, max_bytes=1 << 40)
            assert isinstance(loaded, Tensor)
            if tuple(path.stem for path in files.paths) != self.truth.names:
                raise DataError(f"{self.folder / name}: does not hold the samples of {self.folder / 'face'}")
            self._loaded[key] = loaded
        return self._loaded[key]

    def file(self, domain: str, name: str) -> Path:
        """The file of a sample."""
        modality = render_modality(domain)
        return self.folder / modality / f"{name}{'.json' if MODALITIES[modality][1] == 'landmark' else '.png'}"

    def sha256(self) -> str:
        """SHA-256 over the names and values of the pictures, label maps and landmarks, which every run reads."""
        digest = hashlib.sha256("\0".join(self.truth.names).encode())
        for tensor in (self.truth.pictures, self.truth.labels, self.truth.points):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def settings(self) -> dict[str, Any]:
        """The settings that identify the samples, for ``metrics.json``."""
        return {"benchmark": NAME, "version": VERSION, "seed": SEED, "renderer": RENDERER_VERSION, "count": self.count}


def benchmark_samples(
    home: Home, domains: Sequence[str], count: int | None = None, progress: Progress | None = None
) -> Samples:
    """The samples with the pictures of ``domains``; renders missing ones into the home's cache.

    :raises UsageError: fewer than 2 or more than 2,000 samples, or a domain that is not one of rendered faces.
    """
    count = COUNT if count is None else count
    if not 2 <= count <= COUNT:
        raise UsageError(f"--count {count}: the benchmark {NAME} has 2 to {COUNT:,} samples")
    wanted = {*NEEDED, *(render_modality(name) for name in domains)}
    modalities = [name for name in MODALITIES if name in wanted]
    folder = rendered(home, seed=SEED, count=count, modalities=modalities, progress=progress)
    return Samples(folder, count, load_renders(folder, count, workers=1))
