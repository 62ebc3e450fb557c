"""Translating files: reads, computes and writes at the same time, and writes all of it or nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_hub.errors import AnchorError, DataError, UsageError
from anchor_hub.system.inputs import InputFile, list_inputs, plan_outputs, shown
from anchor_hub.system.pipeline import Pipeline
from anchor_hub.system.staging import Staging
from anchor_hub.translation.styles import check_truncation, default_style_layers, random_styles

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain
    from anchor_hub.modality import Modality
    from anchor_hub.translation.anchor import AnchorTranslator

#: A contact sheet shows this many inputs at most, so that its size stays sane.
GRID_INPUTS = 64


@dataclass(frozen=True)
class StyleChoice:
    """The styles of a run.

    :param count: random styles per input; 0 for the mean latent's appearance (or the exemplars').
    :param vary: every input gets random styles of its own, instead of all inputs the same ones.
    :param seed: of the random styles.
    :param truncation: of the random styles; 1 is none.
    :param layers: W+ layers the style replaces; None: those that the source's encoder leaves alone, and the style's
        colours in the others.
    :param exemplars: W+ codes ``[n, L, D]`` in place of random ones, see ``jobs.exemplar_styles``.
    :param pictures: previews of the exemplars, for contact sheets.
    """

    count: int = 0
    vary: bool = False
    seed: int = 0
    truncation: float = 1.0
    layers: tuple[int, ...] | None = None
    exemplars: Tensor | None = None
    pictures: tuple[Tensor, ...] = ()

    @property
    def outputs(self) -> int:
        """Outputs per input."""
        return len(self.exemplars) if self.exemplars is not None else max(1, self.count)

    def check(self, source: Domain) -> StyleChoice:
        """The choice itself. :raises UsageError: see ``default_style_layers``."""
        check_truncation(self.truncation)
        if self.layers is None and (self.exemplars is not None or self.count):
            default_style_layers(source)  # there are some
        return self

    def of(self, translator: AnchorTranslator, indices: Sequence[int]) -> list[Tensor | None]:
        """One style for each output: ``[1, L, D]``, or ``[B, L, D]`` where every input has its own."""
        hub = translator.hub
        if self.exemplars is not None:
            return [row[None] for row in self.exemplars]
        if self.count == 0:
            return [None]
        options: dict[str, Any] = {"seed": self.seed, "truncation": self.truncation}
        if not self.vary:
            return [row[None] for row in random_styles(hub, self.count, **options)]
        own = [random_styles(hub, self.count, start=index * self.count, **options) for index in indices]
        return list(torch.stack(own, dim=1))


@dataclass(frozen=True)
class Translated:
    """One output: the sample as the target's modality makes it, and where it came from."""

    sample: Tensor
    modality: Modality
    source: Path | None = None
    style: int = 0
    input_sample: Tensor | None = field(default=None, repr=False)

    def preview(self) -> Tensor:
        """A picture of it, uint8 ``[3, H, W]``."""
        return self.modality.preview(self.sample)

    @property
    def image(self) -> Any:
        """A picture of it as a ``PIL.Image``."""
        from PIL import Image

        return Image.fromarray(self.preview().permute(1, 2, 0).contiguous().numpy())

    def save(self, path: str | Path) -> None:
        """Write it in the target's own format (ids for label maps, coordinates for landmarks)."""
        self.modality.write(self.sample, Path(path))


@dataclass(frozen=True)
class FileResult:
    """What became of one input: its outputs (none where only a grid was asked for), or why it was skipped."""

    input: Path
    outputs: tuple[Path, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "input": shown(self.input),
            "outputs": [shown(path) for path in self.outputs],
            "error": self.error,
        }


class Run:
    """One translator applied to many samples, in batches.

    :param invert: steps of optimisation-based refinement of the latents (rgb sources only).
    :param reading: the modality that reads the inputs, where it differs from the source's own.
    """

    def __init__(
        self,
        translator: AnchorTranslator,
        choice: StyleChoice | None = None,
        *,
        invert: int = 0,
        reading: Modality | None = None,
    ) -> None:
        self.translator, self.invert = translator, invert
        self.choice = (choice or StyleChoice()).check(translator.source)
        self.reading = reading or translator.source_modality
        if invert and self.reading.name != "rgb":
            raise UsageError(
                f"--invert refines latents against a picture of the hub's own kind: the source must be rgb, "
                f"{translator.source.name!r} is {self.reading.name}"
            )

    def read(self, path: Path) -> Tensor:
        """The sample in a file at the hub's size."""
        return self.reading.read(path, self.translator.size)

    def compute(self, samples: Sequence[Tensor], indices: Sequence[int]) -> list[list[Tensor]]:
        """Outputs of each sample, one per style, as samples of the target's modality on the CPU."""
        translator = self.translator
        images = self.reading.to_network(self.reading.collate(list(samples)))
        latents = translator.encode(images)
        if self.invert:
            from anchor_hub.translation.inversion import invert

            latents = invert(translator.source.hub, images, steps=self.invert, start=latents)
        columns = []
        for style in self.choice.of(translator, indices):
            output = translator.decode(latents, style=style, style_layers=self.choice.layers)
            columns.append(translator.target_modality.from_network(output).cpu())
        return [[column[row] for column in columns] for row in range(len(samples))]


def translate_samples(
    translator: AnchorTranslator,
    inputs: str | Path | Tensor | Sequence[str | Path | Tensor],
    *,
    choice: StyleChoice | None = None,
    batch: int = 16,
    invert: int = 0,
) -> list[Translated]:
    """Translate files, folders, globs or samples in memory; see ``anchor_hub.translate``."""
    run = Run(translator, choice, invert=invert)
    given = [inputs] if isinstance(inputs, (str, Path, Tensor)) else list(inputs)
    items: list[InputFile | Tensor] = []
    for value in given:
        items.extend([value] if isinstance(value, Tensor) else list_inputs([value], run.reading.extensions))
    results: list[Translated] = []
    numbers = itertools.count()

    def read(item: InputFile | Tensor) -> Tensor:
        return item if isinstance(item, Tensor) else run.read(item.path)

    def compute(
        members: Sequence[InputFile | Tensor], samples: Sequence[Tensor]
    ) -> list[tuple[Tensor, list[Tensor]]]:
        outputs = run.compute(samples, [next(numbers) for _ in samples])
        return list(zip(samples, outputs, strict=True))

    def keep(item: InputFile | Tensor, result: tuple[Tensor, list[Tensor]]) -> None:
        path = None if isinstance(item, Tensor) else item.path
        for style, sample in enumerate(result[1]):
            results.append(Translated(sample, translator.target_modality, path, style, result[0]))

    Pipeline[Any, Tensor, tuple[Tensor, list[Tensor]]](read, compute, keep, batch=batch).run(items)
    return results


def translate_files(
    translator: AnchorTranslator,
    inputs: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    grid: str | Path | None = None,
    choice: StyleChoice | None = None,
    batch: int = 16,
    readers: int = 2,
    invert: int = 0,
    reading: Modality | None = None,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[FileResult]:
    """Translate files, folders and globs; the whole of it is written when all is done, or nothing.

    :param output: a folder, or a file for a single input, see ``plan_outputs``; None writes no translations.
    :param grid: a PNG of input previews beside their translations, at most ``GRID_INPUTS`` inputs.
    :param skip_bad: go on without inputs that cannot be read; otherwise the first one ends the run.
    :param progress: called with the number of inputs done and their total.
    :raises DataError: no input could be read.
    :raises ImageError: a bad input.
    :raises UsageError: a bad combination.
    """
    if output is None and grid is None:
        raise UsageError("nothing to write: give -o FILE_OR_FOLDER, --grid SHEET.png, or both")
    if grid is not None and Path(grid).suffix.lower() != ".png":
        raise UsageError(f"--grid {shown(grid)}: the sheet is a PNG, give a name ending in .png")
    run = Run(translator, choice, invert=invert, reading=reading)
    target = translator.target_modality
    files = list_inputs(inputs, run.reading.extensions)
    planned: list[list[Path]] = [[] for _ in files]
    if output is not None:
        suffix, more = target.output_suffix, getattr(target, "output_suffixes", ())
        planned = plan_outputs(files, output, suffix=suffix, styles=run.choice.outputs, suffixes=more)
    results: dict[int, FileResult] = {}
    rows: list[list[Tensor]] = []
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(files))

    def skip(item: InputFile, error: AnchorError) -> None:
        results[item.index] = FileResult(item.path, error=str(error))
        step()

    def compute(items: Sequence[InputFile], samples: Sequence[Tensor]) -> list[tuple[Tensor, list[Tensor]]]:
        outputs = run.compute(samples, [item.index for item in items])
        return list(zip(samples, outputs, strict=True))

    beside = planned[0][0].parent if output is not None else Path(grid or ".").parent
    with Staging(beside) as staging:

        def write(item: InputFile, result: tuple[Tensor, list[Tensor]]) -> None:
            sample, outputs = result
            for path, value in zip(planned[item.index], outputs, strict=False):
                target.write(value, staging.path(path))
            if grid is not None and len(rows) < GRID_INPUTS:
                size = translator.size
                rows.append(
                    [run.reading.preview(sample, size), *(target.preview(value, size) for value in outputs)]
                )
            results[item.index] = FileResult(item.path, tuple(planned[item.index]))
            step()

        pipeline = Pipeline[InputFile, Tensor, tuple[Tensor, list[Tensor]]](
            lambda item: run.read(item.path),
            compute,
            write,
            batch=batch,
            readers=readers,
            skip=skip if skip_bad else None,
        )
        if pipeline.run(files) == 0:
            first = next(iter(results.values()))
            raise DataError(f"none of the {len(files)} inputs could be read; the first: {first.error}")
        if grid is not None:
            _write_grid(rows, run, staging.path(Path(grid)))
        staging.commit()
    return [results[index] for index in sorted(results)]


def _write_grid(rows: list[list[Tensor]], run: Run, path: Path) -> None:
    """Input previews beside outputs; with one output per input, several pairs in a row; exemplars on top."""
    from anchor_hub.images.grid import contact_sheet, save_png

    names = run.translator.source.name, run.translator.target.name
    size, outputs = run.translator.size, run.choice.outputs
    if outputs == 1 and not run.choice.pictures:
        # Near a square, for screens and pages.
        pairs = min(5, math.ceil(math.sqrt(len(rows) / 2)))
        labels = list(names) * pairs
        tiles = [sum(rows[start : start + pairs], []) for start in range(0, len(rows), pairs)]
    else:
        labels = [names[0], *(f"style {number}" for number in range(1, outputs + 1))]
        tiles = rows
    if run.choice.pictures:
        tiles = [[torch.full((3, size, size), 255, dtype=torch.uint8), *run.choice.pictures], *tiles]
    save_png(contact_sheet(tiles, scale=sheet_scale(size), labels=labels), path)


def sheet_scale(size: int) -> int:
    """How much a contact sheet enlarges pictures of that size: to about 256 px, four times at least up to 128 px."""
    return max(256 // size, 4 if size <= 128 else 1)
