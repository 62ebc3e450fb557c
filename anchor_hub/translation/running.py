"""Translates files: reads, computes and writes at the same time; all outputs appear at the end, or none."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_hub.errors import AnchorError, DataError, UsageError
from anchor_hub.system.inputs import InputFile, list_inputs, shown
from anchor_hub.system.outputs import check_sheet, plan_outputs
from anchor_hub.system.pipeline import Pipeline
from anchor_hub.system.staging import Staging
from anchor_hub.translation.request import Session

if TYPE_CHECKING:
    from anchor_hub.modality import Modality

#: A contact sheet shows this many inputs at most, so that it does not get too large.
GRID_INPUTS = 64
#: More outputs of a single input than this are laid out in several rows.
WIDEST = 8


@dataclass(frozen=True)
class Translated:
    """One output: the sample as the target's modality makes it, and the input that it came from."""

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


def translate_samples(
    session: Session,
    inputs: str | Path | Tensor | Sequence[str | Path | Tensor],
    *,
    batch: int = 16,
) -> list[Translated]:
    """Translate files, folders, globs or samples in memory; see ``anchor_hub.translate``."""
    given = [inputs] if isinstance(inputs, (str, Path, Tensor)) else list(inputs)
    items: list[InputFile | Tensor] = []
    for value in given:
        items.extend([value] if isinstance(value, Tensor) else list_inputs([value], session.source_modality.extensions))
    results: list[Translated] = []
    numbers = itertools.count()

    def read(item: InputFile | Tensor) -> Tensor:
        return item if isinstance(item, Tensor) else session.read(item.path)

    def compute(
        members: Sequence[InputFile | Tensor], samples: Sequence[Tensor]
    ) -> list[tuple[Tensor, list[Tensor]]]:
        outputs = session.compute(samples, [next(numbers) for _ in samples])
        return list(zip(samples, outputs, strict=True))

    def keep(item: InputFile | Tensor, result: tuple[Tensor, list[Tensor]]) -> None:
        path = None if isinstance(item, Tensor) else item.path
        for style, sample in enumerate(result[1]):
            results.append(Translated(sample, session.target_modality, path, style, result[0]))

    Pipeline[Any, Tensor, tuple[Tensor, list[Tensor]]](read, compute, keep, batch=batch).run(items)
    return results


def translate_files(
    session: Session,
    inputs: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    grid: str | Path | None = None,
    batch: int = 16,
    readers: int = 2,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[FileResult]:
    """Translate files, folders and globs; all outputs are written at the end, or none.

    :param output: a folder, or a file for a single input, see ``plan_outputs``; None writes no translations.
    :param grid: a PNG of input previews beside their translations, at most ``GRID_INPUTS`` inputs.
    :param skip_bad: go on without inputs that cannot be read; otherwise the first one ends the run.
    :param progress: called with the number of inputs done and their total.
    :raises DataError: no input could be read.
    :raises ImageError: an input cannot be read.
    :raises UsageError: options that do not go together.
    """
    if output is None and grid is None:
        raise UsageError("nothing to write: give -o FILE_OR_FOLDER, --grid SHEET.png, or both")
    check_sheet(grid)
    target = session.target_modality
    files = session.inputs.files(inputs)
    planned: list[list[Path]] = [[] for _ in files]
    if output is not None:
        suffix, more = target.output_suffix, getattr(target, "output_suffixes", ())
        planned = plan_outputs(files, output, suffix=suffix, suffixes=more, endings=session.endings)
    if grid is not None and os.path.realpath(grid) in {os.path.realpath(path) for paths in planned for path in paths}:
        raise UsageError(f"--grid {shown(grid)}: is one of the outputs, too; give the sheet another name")
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
        outputs = session.compute(samples, [item.index for item in items])
        return list(zip(samples, outputs, strict=True))

    beside = planned[0][0].parent if output is not None else Path(grid or ".").parent
    with Staging(beside) as staging:

        def write(item: InputFile, result: tuple[Tensor, list[Tensor]]) -> None:
            sample, outputs = result
            for path, value in zip(planned[item.index], outputs, strict=False):
                target.write(value, staging.path(path))
            if grid is not None and len(rows) < GRID_INPUTS:
                size = session.size
                rows.append(
                    [session.inputs.preview(sample, size), *(target.preview(value, size) for value in outputs)]
                )
            results[item.index] = FileResult(item.path, tuple(planned[item.index]))
            step()

        pipeline = Pipeline[InputFile, Tensor, tuple[Tensor, list[Tensor]]](
            session.inputs.read,
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
            _write_grid(rows, session, staging.path(Path(grid)))
        staging.commit()
    return [results[index] for index in sorted(results)]


def _write_grid(rows: list[list[Tensor]], session: Session, path: Path) -> None:
    """Input previews beside outputs; with one output per input, several pairs in a row; exemplars on top."""
    from anchor_hub.images.grid import contact_sheet, named_sheet, save_png, sheet_scale

    names = session.translator.source, session.translator.target
    size, outputs = session.size, session.outputs
    if len(rows) == 1 and outputs > WIDEST and not session.pictures:
        # One input in many outputs: near a square, each tile with its name.
        across = math.ceil(math.sqrt(outputs + 1))
        save_png(named_sheet(rows[0], [names[0], *session.labels], across, scale=sheet_scale(size)), path)
        return
    if outputs == 1 and not session.pictures:
        # Near a square, for screens and pages.
        pairs = min(5, math.ceil(math.sqrt(len(rows) / 2)))
        labels = list(names) * pairs
        tiles = [sum(rows[start : start + pairs], []) for start in range(0, len(rows), pairs)]
    else:
        labels = [names[0], *session.labels]
        tiles = rows
    if session.pictures:
        tiles = [[torch.full((3, size, size), 255, dtype=torch.uint8), *session.pictures], *tiles]
    save_png(contact_sheet(tiles, scale=sheet_scale(size), labels=labels), path)
