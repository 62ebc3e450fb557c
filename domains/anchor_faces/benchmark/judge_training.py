"""`anchor benchmark train-judges` without the command line: from renders to a bundle of judges."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from anchor_faces.benchmark.judge_kinds import FACES, JudgeKind
from anchor_faces.benchmark.judge_recipe import JudgeOptions, JudgeRecipe
from anchor_faces.benchmark.renders import DATASET
from anchor_faces.benchmark.renders import TRAINING_SEED as TRAINING_SEED
from anchor_hub.training import RunSettings, TrainingPlan, train
from anchor_hub.training.base import OWN
from anchor_hub.training.engine.trainer import RunEnd


@dataclass
class JudgeTraining:
    """One training of the judges.

    :param kind: what the judges read.
    :param data: a rendered data set of 64 px (of faces: face, seg, landmark); None: ``count`` samples of seed 0,
        rendered now.
    :param count: number of samples; None: the kind's own.
    :param held_out: number of samples, the last ones, that measure the judges' own error and are not trained on; None:
        the kind's own.
    :param output: the bundle's folder.
    """

    run_dir: Path
    output: Path
    kind: JudgeKind = FACES
    data: Path | None = None
    count: int | None = None
    held_out: int | None = None
    options: JudgeOptions = field(default_factory=JudgeOptions)
    width: int = 32
    batch: int = 32
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    resume: bool = False
    overwrite: bool = False
    license: str | None = None
    workers: int = 2
    checkpoint_minutes: float = 3.0
    quiet: bool = False


def train_judges(
    training: JudgeTraining, progress: Callable[[int, int], None] | None = None
) -> tuple[RunEnd, Path | None]:
    """Render missing samples, train, measure and export: (result, bundle, or None where the run was interrupted).

    :raises DataError: there are too few samples.
    :raises UsageError: the bundle or the run exists already.
    """
    kind = training.kind
    count = kind.count if training.count is None else training.count
    held_out = kind.held_out if training.held_out is None else training.held_out
    data = f"{DATASET}:{'' if kind is FACES else kind.name}" if training.data is None else str(training.data)
    choices = {"reads": kind.name, "width": training.width, "count": count, "held_out": held_out}
    plan = TrainingPlan(
        kind.judges, JudgeRecipe.name, {OWN: data}, options={**training.options.to_dict(), **choices},
        batch=training.batch, images=training.options.images, seed=training.seed, count=count,
    )  # fmt: skip
    command = "anchor benchmark train-judges" + ("" if kind is FACES else f" --kind {kind.name}")
    run = RunSettings(
        device=training.device, precision=training.precision, run_dir=training.run_dir, output=training.output,
        resume=training.resume, overwrite=training.overwrite or training.resume, workers=training.workers,
        license=training.license, sample_every=500, checkpoint_minutes=training.checkpoint_minutes,
        quiet=training.quiet, command=command,
    )  # fmt: skip
    trained = train(plan, run, progress=None if progress is None else lambda name: nullcontext(progress))
    return trained.run, trained.bundle
