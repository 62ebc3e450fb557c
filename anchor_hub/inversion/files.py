"""Inverts files: reads, searches and writes; the latents and the sheet appear at the end, or nothing does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.domains.base import Domain
from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import AnchorError, DataError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.loading import load_hub
from anchor_hub.inversion.base import Inversion, Inverter, inverter_name, open_inverter
from anchor_hub.inversion.latents import LatentFile
from anchor_hub.metrics.image import l2
from anchor_hub.metrics.structural import ssim
from anchor_hub.modality import Modality, build_modality
from anchor_hub.system.inputs import InputFile, list_inputs, shown
from anchor_hub.system.memory import memory_errors
from anchor_hub.system.outputs import check_file, check_sheet
from anchor_hub.system.pipeline import Pipeline
from anchor_hub.system.precision import autocast, resolve_precision
from anchor_hub.system.staging import Staging

#: A sheet shows this many pictures at most.
SHEET_PICTURES = 64
#: The sheet shows differences enlarged by this factor; without it, good inversions look black.
DIFFERENCE_GAIN = 3


@dataclass
class InvertedFiles:
    """What became of files.

    Attributes:
        files: those that were inverted, in the order of the latents. skipped: path -> why it was left out.
        found: latents, record, and numbers of each picture: ``errors`` (the method's own), ``mse`` and ``ssim`` of
            8-bit pictures in [0, 1], ``steps``.
    """

    files: list[Path]
    found: LatentFile
    skipped: dict[Path, str] = field(default_factory=dict)

    @property
    def latents(self) -> Tensor:
        """W+ ``[N, L, D]``."""
        return self.found.latents

    def rows(self) -> list[dict[str, Any]]:
        """JSON-able: a row for each picture."""
        numbers = {name: value.tolist() for name, value in self.found.values.items()}
        rows = [
            {"input": shown(path), **{name: values[index] for name, values in numbers.items()}}
            for index, path in enumerate(self.files)
        ]
        return rows + [{"input": shown(path), "error": why} for path, why in self.skipped.items()]


@dataclass
class _Row:
    """One picture's result on its way into the files."""

    sample: Tensor
    picture: Tensor
    latents: Tensor
    numbers: dict[str, float]
    noise: tuple[Tensor, ...]


class FileInverter:
    """Where pictures come from and go to: a hub, or the hub that makes a domain's pictures, with a method.

    :raises UsageError: neither hub nor domain, or a domain whose pictures no generator makes.
    :raises NotFoundError: an unknown name; the nearest is suggested.
    """

    def __init__(
        self, hub: str | Path | Hub | None, domain: str | Path | Domain | None, method: str,
        options: Mapping[str, Any] | None = None, *, hub_class: str | int | None = None,
        device: str | torch.device = "auto", precision: str = "fp32",
    ) -> None:  # fmt: skip
        if hub is None and domain is None:
            raise UsageError("whose latents? Give --hub NAME, or --domain NAME for pictures of a domain")
        if hub_class is not None and domain is not None:
            raise UsageError("--class says which pictures a hub makes; a domain knows its own: leave one of them out")
        base = load_hub(hub, device) if isinstance(hub, (str, Path)) else hub
        if hub_class is not None and base is not None:
            base = base.of_class(hub_class)
        self.domain = load_domain(domain, base, device) if isinstance(domain, (str, Path)) else domain
        self.hub = self._image_hub(base)
        self.method = inverter_name(method)
        self.inverter: Inverter = open_inverter(self.method, self.hub, options or {})
        if self.inverter.needs_start and (self.domain is None or not self.domain.can_encode):
            raise UsageError(
                f"--method {self.method} begins from an encoder: give --domain NAME of a domain that has one"
            )
        self.modality: Modality = (
            build_modality({"name": "rgb"}) if self.domain is None else self.domain.modality
        ).at(self.hub.size)
        self.precision = resolve_precision(precision, self.hub.device)

    def _image_hub(self, hub: Hub | None) -> Hub:
        if self.domain is None:
            assert hub is not None
            if hub.classes:
                hub.labels(0)  # raises, and names a class, where none is fixed
            return hub
        if not self.domain.modality.traits.picture:
            raise UsageError(
                f"only colour pictures are inverted; domain {self.domain.name!r} is {self.domain.modality.name}"
            )
        found = self.domain.image_hub
        if found is None:
            raise UsageError(
                f"domain {self.domain.name!r} cannot be inverted: no generator makes its pictures; give --hub "
                f"{self.domain.hub.name} for pictures of the hub's own kind"
            )
        return found

    def __call__(
        self, samples: Tensor, names: Sequence[str] = (), progress: Callable[[int, int], None] | None = None
    ) -> Inversion:
        """The inversion of a batch of samples of the modality."""
        images = self.modality.to_network(samples).to(self.hub.device)
        with memory_errors(), autocast(self.precision, self.hub.device):
            start = None
            if self.inverter.needs_start and self.domain is not None:
                with torch.no_grad():
                    start = self.domain.encode(images).float()
            return self.inverter.run(images, start=start, names=names, progress=progress)

    @torch.no_grad()
    def pictures(self, found: Inversion, noise: bool = False) -> Tensor:
        """The hub's pictures of what was found, as samples on the CPU; ``noise``: with the noise maps found, too."""
        with memory_errors():
            maps: Any = found.noise if noise and found.noise else "const"
            return self.modality.from_network(self.hub.image(found.latents, noise=maps).float()).cpu()

    def record(self) -> dict[str, Any]:
        """What the file of latents says of how they were found."""
        # A domain with a generator of its own has a view of the hub, which is called after the domain.
        hub = self.hub if self.domain is None else self.domain.hub
        return {
            "method": self.method, "options": self.inverter.options.model_dump(mode="json"), "hub": hub.name,
            "hub_fingerprint": hub.fingerprint, "domain": None if self.domain is None else self.domain.name,
            "precision": self.precision, **({"class": hub.class_name} if hub.classes else {}),
        }  # fmt: skip


def invert_files(
    inputs: Sequence[str | Path] | str | Path,
    *,
    hub: str | Path | Hub | None = None,
    hub_class: str | int | None = None,
    domain: str | Path | Domain | None = None,
    method: str = "w-plus",
    options: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    grid: str | Path | None = None,
    keep_noise: bool = False,
    batch: int = 16,
    device: str | torch.device = "auto",
    precision: str = "fp32",
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> InvertedFiles:
    """Latents of picture files, folders and globs; files are written at the end, or none.

    :param hub: whose latents. :param hub_class: the class of a class-conditional hub, by name or index.
    :param domain: the domain whose pictures these are; one with a generator of its own is inverted in that generator.
    :param method: a registered inverter: ``w``, ``w-plus``, ``projection``, ``projection-plus``, ``factor``,
        ``encoder``, ``encoder-w-plus``, a plugin's; ``w+`` and ``encoder+w+`` are understood.
    :param options: of the method. :param output: a .safetensors file for :func:`read_latents`.
    :param grid: a PNG: input, inversion, difference; at most 64 pictures.
    :param keep_noise: also keep the noise maps found with the latents, and show the pictures with them.
    :param batch: pictures at once, which bounds the memory; it changes latents by rounding at most.
    :param skip_bad: leave out files that cannot be read; otherwise the first one ends the run.
    :param progress: called with the steps done and their total, over all pictures.
    :raises ImageError: a file cannot be read, or its inversion met NaN. :raises DataError: there is nothing to read.
    :raises UsageError: options that do not fit; :raises NotFoundError: an unknown name.
    """
    if output is not None and Path(output).suffix.lower() != ".safetensors":
        raise UsageError(f"-o {shown(output)}: latents are written as .safetensors; give such a name")
    check_sheet(grid)
    if output is not None:
        check_file(Path(output), "-o")
    if batch < 1:
        raise UsageError(f"--batch must be at least 1, got {batch}")
    work = FileInverter(hub, domain, method, options, hub_class=hub_class, device=device, precision=precision)
    given = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    files = list_inputs(given, work.modality.extensions)
    rows: dict[int, _Row] = {}
    skipped: dict[Path, str] = {}
    sheet: list[list[Tensor]] = []
    found_record: dict[str, Any] = {}

    def skip(item: InputFile, error: AnchorError) -> None:
        skipped[item.path] = str(error)

    def compute(items: Sequence[InputFile], samples: Sequence[Tensor]) -> list[_Row]:
        before = len(rows) + len(skipped)

        def told(step: int, steps: int) -> None:
            if progress is not None:
                steps = max(steps, 1)
                progress(before * steps + min(step, steps) * len(items), len(files) * steps)

        stacked = work.modality.collate(list(samples))
        found = work(stacked, [shown(item.path) for item in items], told)
        found_record.update(found.record)
        pictures = work.pictures(found, keep_noise)
        numbers = _numbers(stacked, pictures, found)
        maps = found.noise if keep_noise and found.noise else []
        for index, item in enumerate(items):
            noise = tuple(one[index].detach().cpu() for one in maps)
            values = {name: value[index] for name, value in numbers.items()}
            latents = found.latents[index].detach().float().cpu()
            rows[item.index] = _Row(stacked[index], pictures[index], latents, values, noise)
        return [rows[item.index] for item in items]

    def write(item: InputFile, row: _Row) -> None:
        if grid is not None and len(sheet) < SHEET_PICTURES:
            sheet.append([row.sample, row.picture, difference(row.sample, row.picture)])
        row.sample = row.picture = torch.empty(0)  # only the batch at work is held

    pipeline = Pipeline[InputFile, Tensor, _Row](
        lambda item: work.modality.read(item.path, work.hub.size), compute, write, batch=batch,
        skip=skip if skip_bad else None,
    )  # fmt: skip
    if pipeline.run(files) == 0:
        raise DataError(f"none of the {len(files)} inputs could be read; the first: {next(iter(skipped.values()))}")
    kept = [files[index] for index in sorted(rows)]
    found = _latent_file([rows[index] for index in sorted(rows)])
    found.record = {**work.record(), **found_record, "names": [item.name.as_posix() for item in kept]}
    with Staging(Path(output or grid or ".").parent) as staging:
        if output is not None:
            staging.path(Path(output)).write_bytes(found.to_bytes())
        if grid is not None:
            _write_sheet(sheet, work.hub.size, staging.path(Path(grid)))
        staging.commit()
    return InvertedFiles([item.path for item in kept], found, skipped)


def difference(sample: Tensor, picture: Tensor) -> Tensor:
    """The absolute difference of two pictures uint8 ``[3, H, W]``, enlarged by :data:`DIFFERENCE_GAIN`."""
    gap = (sample.int() - picture.int()).abs() * DIFFERENCE_GAIN
    return gap.clamp(max=255).to(torch.uint8)


def _numbers(samples: Tensor, pictures: Tensor, found: Inversion) -> dict[str, list[float]]:
    numbers = {"errors": found.errors.detach().float().cpu().tolist(), "mse": l2(samples, pictures).tolist()}
    # Without torchmetrics, or for tiny pictures, there is no SSIM.
    with contextlib.suppress(DataError):
        numbers["ssim"] = ssim(samples, pictures).tolist()
    if found.steps is not None:
        numbers["steps"] = found.steps.float().cpu().tolist()
    return numbers


def _latent_file(rows: Sequence[_Row]) -> LatentFile:
    values = {name: torch.tensor([row.numbers[name] for row in rows]) for name in rows[0].numbers}
    noise = [torch.stack(maps) for maps in zip(*(row.noise for row in rows), strict=True)]
    return LatentFile(torch.stack([row.latents for row in rows]), {}, values, noise)


def _write_sheet(rows: list[list[Tensor]], size: int, path: Path) -> None:
    """Input, inversion and difference beside each other; several of these threes in a row, near a square."""
    from anchor_hub.images.grid import contact_sheet, save_png, sheet_scale

    threes = 1 if len(rows) < 4 else 2 if len(rows) < 12 else 3
    tiles = [sum(rows[start : start + threes], []) for start in range(0, len(rows), threes)]
    labels = ["input", "inversion", f"difference x{DIFFERENCE_GAIN}"] * threes
    save_png(contact_sheet(tiles, scale=sheet_scale(size), labels=labels), path)
