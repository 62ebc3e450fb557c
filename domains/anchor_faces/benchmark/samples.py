"""The benchmark's own samples: where they lie, and which files belong to which domain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from anchor_faces.benchmark.renders import NEEDED, SIZE, TRUTH, Renders, load_renders, rendered
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
#: What a domain shows -> the pictures that are true answers: faces look at the viewer, so their cars do, too.
_ANSWERS = {"car": "car_front"}

Progress = Callable[[int, int], None]


def render_modality(domain: str) -> str:
    """The renderer's name for a domain's pictures: what judges and truth of a domain depend on.

    The data set that the domain is registered with says it (``rendered-faces:toon``), or for a bundle of the home the
    record of what it was trained on, so a domain may have any name. Names that nobody registered, such as the ends of a
    translator of another backend, are the renderer's own.

    :raises UsageError: the domain is not one of rendered faces.
    """
    from anchor_hub.plugins.registry import registry

    domains = registry().domains
    found = domains[domain] if domain in domains else None
    candidates = [domain]
    if found is not None and found.manifest is not None:
        made = found.manifest.provenance
        data_set = made.get("data_set") or {}
        if data_set.get("renderer") == "anchor_faces" and "data_set" not in data_set:  # no classes of creatures
            # The name of the folder, which is the modality's, or of the data set and the modality.
            candidates.insert(0, str(made.get("data")).removeprefix(_DATASET))
    if found is not None and (found.spec.dataset or "").startswith(_DATASET):
        candidates.insert(0, str(found.spec.dataset)[len(_DATASET) :])
    for name in candidates:
        if name in MODALITIES:
            return _ANSWERS.get(name, name)
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

    @classmethod
    def registered(cls, domain: str) -> End:
        """The end of a domain that need not be trained: outputs of other programs are of its registered modality.

        :raises DomainNotFoundError: nobody registered the domain.
        """
        from anchor_hub.modality import build_modality
        from anchor_hub.plugins.registry import registry

        return cls(domain, build_modality(dict(registry().domains[domain].spec.modality)), SIZE)


@dataclass
class Samples:
    """The first ``count`` samples of the benchmark, loaded when a domain needs them."""

    folder: Path
    count: int
    truth: Renders
    _loaded: dict[tuple[str, int, str], Tensor] = field(default_factory=dict, repr=False)
    _truths: dict[str, Renders] = field(default_factory=dict, repr=False)

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

    def truth_of(self, picture: str) -> Renders:
        """The samples of one kind of picture that judges read, with their truth.

        :param picture: a key of ``TRUTH``.
        """
        if picture == "face":
            return self.truth
        if picture not in self._truths:
            self._truths[picture] = load_renders(self.folder, self.count, workers=1, picture=picture)
        return self._truths[picture]

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
    shown = [render_modality(name) for name in domains]
    wanted = {*NEEDED, *shown, *(modality for name in shown for modality in TRUTH.get(name, ()))}
    modalities = [name for name in MODALITIES if name in wanted]
    folder = rendered(home, seed=SEED, count=count, modalities=modalities, progress=progress)
    return Samples(folder, count, load_renders(folder, count, workers=1))
