"""`anchor benchmark train-judges` without the command line: from renders to a bundle of judges."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from anchor_faces.benchmark.judge_recipe import COUNT, JudgeOptions, JudgeRecipe
from anchor_faces.benchmark.judges import NAME
from anchor_faces.benchmark.renders import DATASET
from anchor_faces.benchmark.renders import TRAINING_SEED as TRAINING_SEED
from anchor_hub.training import RunSettings, TrainingPlan, train
from anchor_hub.training.base import OWN
from anchor_hub.training.engine.trainer import RunEnd


@dataclass
class JudgeTraining:
    """One training of the judges.

    :param data: a rendered data set (face, seg, landmark; 64 px); None: ``count`` samples of seed 0, rendered now.
    :param held_out: number of samples, the last ones, that measure the judges' own error and are not trained on.
    :param output: the bundle's folder.
    """

    run_dir: Path
    output: Path
    data: Path | None = None
    count: int = COUNT
    held_out: int = 1000
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
    data = f"{DATASET}:" if training.data is None else str(training.data)
    choices = {"width": training.width, "count": training.count, "held_out": training.held_out}
    plan = TrainingPlan(
        NAME, JudgeRecipe.name, {OWN: data}, options={**training.options.to_dict(), **choices}, batch=training.batch,
        images=training.options.images, seed=training.seed, count=training.count,
    )  # fmt: skip
    run = RunSettings(
        device=training.device, precision=training.precision, run_dir=training.run_dir, output=training.output,
        resume=training.resume, overwrite=training.overwrite or training.resume, workers=training.workers,
        license=training.license, sample_every=500, checkpoint_minutes=training.checkpoint_minutes,
        quiet=training.quiet, command="anchor benchmark train-judges",
    )  # fmt: skip
    trained = train(plan, run, progress=None if progress is None else lambda name: nullcontext(progress))
    return trained.run, trained.bundle
