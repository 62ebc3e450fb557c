"""`anchor benchmark train-judges` without the command line: from renders to a bundle of judges."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from anchor_faces.benchmark.judge_errors import judge_errors
from anchor_faces.benchmark.judge_recipe import JudgeOptions, JudgeRecipe
from anchor_faces.benchmark.judges import LARGEST_WIDTH, Judges, save_judges
from anchor_faces.benchmark.readers import fit_readers
from anchor_faces.benchmark.renders import load_renders, rendered
from anchor_hub.errors import DataError, UsageError
from anchor_hub.system.devices import resolve_device
from anchor_hub.system.home import home
from anchor_hub.training.engine.processes import one_thread
from anchor_hub.training.engine.provenance import licenses, provenance, rendered_data_set
from anchor_hub.training.engine.recipe import resolve_precision
from anchor_hub.training.engine.targets import check_target_is_free
from anchor_hub.training.engine.trainer import RunResult, Trainer

TRAINING_SEED = 0
COUNT = 24_000
READ = 8000  # samples the readers are fitted to: a linear map needs no more


@dataclass
class JudgeTraining:
    """One training of the judges.

    :param data: a rendered data set (face, seg, landmark; 64 px); None: ``count`` samples of seed 0, rendered now.
    :param held_out: the last so many samples are not trained on; the judges' own error is measured on them.
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
) -> tuple[RunResult, Path | None]:
    """Render what is missing, train, measure, export: (result, bundle or None where the run was interrupted).

    :raises DataError: too few samples. :raises UsageError: the bundle or the run exists already.
    """
    if not 1 <= training.held_out < training.count:
        raise UsageError(f"--held-out {training.held_out}: must be at least 1 and below --count {training.count}")
    check_target_is_free(
        "judges", training.output.name, training.output, training.run_dir,
        resume=training.resume, overwrite=training.overwrite or training.resume,
    )  # fmt: skip
    device = resolve_device(training.device)
    precision = resolve_precision(training.precision, device)  # before anything is rendered
    rate = training.options.learning_rate
    if not 0 < rate <= 1:
        raise UsageError(f"--learning-rate {rate}: must be above 0 and at most 1, e.g. 0.003")
    if not 1 <= training.width <= LARGEST_WIDTH:
        raise UsageError(f"--width {training.width}: must be 1 to {LARGEST_WIDTH}, or nothing loads the bundle")
    folder = training.data or rendered(home(), seed=TRAINING_SEED, count=training.count, progress=progress)
    renders = load_renders(folder, training.count, workers=training.workers)
    trained = len(renders) - training.held_out
    if trained < 1:
        raise DataError(f"{folder}: holds {len(renders)} samples, of which {training.held_out} are held out; give more")
    recipe = JudgeRecipe(renders.part(0, trained), training.options, width=training.width)
    trainer = Trainer(
        recipe, torch.arange(trained), None, training.run_dir,
        batch=training.batch, total_images=training.options.images, seed=training.seed,
        precision=precision, device=device, sample_every=500,
        checkpoint_minutes=training.checkpoint_minutes, options=recipe.describe(), quiet=training.quiet,
    )  # fmt: skip
    if training.overwrite and not training.resume:
        trainer.clear_run()
    # More threads stall bfloat16 gradients on CPUs; the network is too small for several processes.
    with one_thread() if device.type == "cpu" else nullcontext():
        result = trainer.run(training.resume)
    if not result.finished:
        return result, None
    judges = Judges(recipe.network.float(), device=device)
    few = min(trained, READ)
    readers = fit_readers(folder, renders.factors, few, workers=training.workers)
    metrics: dict[str, Any] = {"held_out": judge_errors(judges, renders.part(trained, len(renders)))}
    data_set = rendered_data_set(folder)
    record = provenance(
        "anchor benchmark train-judges", data=Path(folder).name, data_images=trained, held_out=training.held_out,
        images_seen=result.images, steps=result.steps, minutes=round(result.minutes, 1), batch=training.batch,
        seed=training.seed, precision=trainer.precision, device=trainer.device.type, data_set=data_set,
        options=asdict(training.options), readers=list(readers), readers_fitted_to=few,
    )  # fmt: skip
    license = licenses(training.license, None, data_set)
    return result, save_judges(
        recipe.network, training.output, readers=readers, provenance=record, license=license, metrics=metrics
    )
