"""The one trainer: loop, checkpoints, exact resume, logs, pictures, signals. Every recipe runs in it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import torch

from anchor_hub.errors import CheckpointError, DeviceError, TrainingError, UsageError
from anchor_hub.system.files import write_file
from anchor_hub.system.guarded import read_regular
from anchor_hub.training.base import Batch, Recipe, Samples, TrainingContext
from anchor_hub.training.distributed import ProcessGroup
from anchor_hub.training.engine.batches import BatchLoader, BatchPlan
from anchor_hub.training.engine.checkpoint import load_newest_checkpoint, save_checkpoint
from anchor_hub.training.engine.processes import helpers, one_thread
from anchor_hub.training.engine.progress import Budget, Progress
from anchor_hub.training.engine.randomness import mix_seed, preserved_random_state, seed_everything
from anchor_hub.training.engine.sample_sheets import save_samples
from anchor_hub.training.engine.signals import StopSignals
from anchor_hub.training.engine.stats import LossMeter, StatsLog, peak_memory_mib

SHOWN = 8  # samples of the data set that a recipe may show in its pictures
# What the processes of a run tell each other between steps; the largest number wins.
GO_ON, BUDGET_SPENT, ENOUGH, NOT_FINITE = 0, 1, 2, 1000


@dataclass(frozen=True)
class RunEnd:
    """How a run ended.

    `reason`: "images" or "minutes" (its budget), "enough" (the recipe's word), "interrupted" (Ctrl-C), "terminated"
    (SIGTERM).
    """

    steps: int
    images: int
    minutes: float
    reason: str
    exit_code: int = 0

    @property
    def finished(self) -> bool:
        """Whether the run came to the end it was given, so that its result may be exported."""
        return self.exit_code == 0


class Trainer:
    """Runs a recipe over its data sets, in a run folder that holds all there is to know about the run.

    run_dir/options.json       what the run was started with; a resumed run must be started with the same
    run_dir/stats.jsonl        one line per tick: step, images, seconds, images/s, peak memory, mean losses
    run_dir/samples/           pictures of the recipe, by images seen
    run_dir/checkpoints/       the two newest states, with their SHA-256

    `data`: the recipe's data sets by name. `batch` counts the samples of a step over all data sets (which share it as
    the recipe says) and all `processes`, which this one starts (one thread each; under torchrun, those that torchrun
    started). `options` (plain JSON values) are the recipe's own settings, kept and compared on resume together with the
    trainer's. `new_data` lets a resumed run go on with other samples. Cadences are in steps, checkpoints in minutes as
    well.

    Raises TrainingError, UsageError, CheckpointError, DeviceError.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Mapping[str, Samples],
        run_dir: str | Path,
        *,
        batch: int = 32,
        total_images: int | None = None,
        max_minutes: float | None = None,
        seed: int = 0,
        precision: str = "fp32",
        device: torch.device | str = "cpu",
        channels_last: bool = True,
        mirror: bool = False,
        workers: int = 2,
        tick_every: int = 50,
        sample_every: int = 200,
        checkpoint_minutes: float = 5.0,
        checkpoint_every: int | None = None,
        processes: int = 1,
        options: Mapping[str, Any] | None = None,
        new_data: bool = False,
        quiet: bool = False,
    ) -> None:
        if total_images is None and max_minutes is None:
            raise UsageError("a run needs an end: give --images or --max-minutes (or both)")
        self.recipe, self.data, self.run_dir = recipe, dict(data), Path(run_dir)
        self.shares = _shares(recipe, self.data, batch)
        self.batch, self.seed, self.mirror, self.workers = batch, seed, mirror, workers
        self.total_images, self.max_minutes = total_images, max_minutes
        self.device, self.precision, self.channels_last = torch.device(device), precision, channels_last
        self.tick_every, self.sample_every = tick_every, sample_every
        self.checkpoint_minutes, self.checkpoint_every = checkpoint_minutes, checkpoint_every
        self.own_options, self.new_data, self.quiet = dict(options or {}), new_data, quiet
        self.processes = processes
        self.checkpoints = self.run_dir / "checkpoints"
        self.log = StatsLog(self.run_dir / "stats.jsonl")
        self.is_first = True  # whether this process is the one that writes

    @property
    def count(self) -> int | dict[str, int]:
        """How many samples there are; by data set, where there are several."""
        counts = {name: len(samples) for name, samples in self.data.items()}
        return counts if len(counts) > 1 else sum(counts.values())

    def run(self, resume: bool = False) -> RunEnd:
        """Train until the budget is spent or a signal comes; leaves a checkpoint in both cases.

        With `resume`, goes on from the newest sound checkpoint (from the start where there is none yet).
        """
        if "WORLD_SIZE" in os.environ:  # torchrun started the processes
            return self.run_as(ProcessGroup.from_environment(), None, resume)
        if self.processes == 1:
            return self.run_as(ProcessGroup(), None, resume)
        with one_thread(), helpers(self, resume, self.processes) as meeting:
            return self.run_as(ProcessGroup(0, self.processes, 0), meeting, resume)

    def run_as(self, group: ProcessGroup, meeting: Path | None, resume: bool) -> RunEnd:
        """Be one process of the run; several find each other through the file `meeting` (None: torchrun)."""
        if self.device.type == "cuda" and group.world > 1:
            self.device = torch.device("cuda", group.local_rank)
        with ExitStack() as cleanup:
            self.is_first = group.is_first
            cleanup.enter_context(preserved_random_state())
            stop = StopSignals()
            if group.is_first or meeting is None:
                cleanup.enter_context(stop)
            if group.is_first:
                cleanup.callback(self._claim_run_dir().release)
            group.join(self.device, meeting)
            cleanup.callback(group.leave)
            progress = cleanup.enter_context(Progress(self.recipe.name, self.quiet or not group.is_first))
            loaders = {name: self._loader(name, group) for name in self.data}
            for loader in loaders.values():
                cleanup.callback(loader.close)
            try:
                return self._train(loaders, group, stop, progress, resume)
            except (torch.OutOfMemoryError, MemoryError) as error:
                raise DeviceError(
                    f"out of memory on {self.device} at a batch of {self.batch}; lower --batch, --size or "
                    f"--channels, or use --precision bf16"
                ) from error
            except OSError as error:
                raise TrainingError(
                    f"cannot write into the run folder {self.run_dir}: {error.strerror or error}. Free "
                    f"some space or choose another --run-dir, then go on with --resume"
                ) from error

    def _loader(self, name: str, group: ProcessGroup) -> BatchLoader:
        samples = self.data[name]
        # Each of several data sets has an order of its own; the only one has the run's, as it always had.
        seed = self.seed if len(self.data) == 1 else mix_seed(self.seed, "data", name)
        return BatchLoader(
            samples.rows,
            BatchPlan(len(samples), self.shares[name], seed, group.rank, group.world),
            modality=samples.modality,
            mirror=self.mirror,
            workers=self.workers,
            labels=samples.labels,
        )

    def _train(
        self,
        loaders: Mapping[str, BatchLoader],
        group: ProcessGroup,
        stop: StopSignals,
        progress: Progress,
        resume: bool,
    ) -> RunEnd:
        step, seconds_before = self._begin(group, progress, resume)
        budget, meter = Budget(self.total_images, self.max_minutes), LossMeter()
        last_tick, last_tick_step, last_checkpoint = time.monotonic(), step, time.monotonic()
        # Reading a loss waits for a GPU; on the CPU it costs nothing.
        check_every = 1 if self.device.type == "cpu" else 10

        while True:
            if step % check_every == 0:
                enough = self.recipe.finished(step)
                code = (
                    NOT_FINITE
                    if meter.not_finite()
                    else stop.exit_code
                    or (ENOUGH if enough else BUDGET_SPENT if budget.spent(step * self.batch) else GO_ON)
                )
                code = group.agree(int(code), self.device)
                if code == NOT_FINITE:
                    raise TrainingError(self._not_finite_message(meter, step))
                if code != GO_ON:
                    break

            seed_everything(mix_seed(self.seed, "step", step, group.rank))
            batches = {name: loader.batch(step) for name, loader in loaders.items()}
            batches = {name: batch.to(self.device, non_blocking=True) for name, batch in batches.items()}
            meter.add(self.recipe.step(batches, step))
            step += 1

            seconds = seconds_before + budget.elapsed()
            if step % self.tick_every == 0:
                rate = (step - last_tick_step) * self.batch / max(time.monotonic() - last_tick, 1e-9)
                last_tick, last_tick_step = time.monotonic(), step
                self._tick(group, progress, budget, meter, step, seconds, rate)
            if group.is_first and self._due(step, self.sample_every) and not meter.not_finite():
                self._save_samples(step)
            if group.is_first and (
                self._due(step, self.checkpoint_every)
                or time.monotonic() - last_checkpoint >= self.checkpoint_minutes * 60
            ):
                if not meter.not_finite():
                    self._save_checkpoint(step, seconds)
                last_checkpoint = time.monotonic()

        seconds = seconds_before + budget.elapsed()
        if group.is_first:
            path = self._save_checkpoint(step, seconds)
            if code in (BUDGET_SPENT, ENOUGH):
                self._save_samples(step)
            if code == ENOUGH:
                progress.say(str(enough))
            progress.say(f"{step * self.batch:,} images; saved {path}")
        group.wait_for_all()
        reason = {
            BUDGET_SPENT: budget.spent(step * self.batch) or "minutes",
            ENOUGH: "enough",
            130: "interrupted",
            143: "terminated",
        }[code]
        return RunEnd(step, step * self.batch, seconds / 60, reason, code if code in (130, 143) else 0)

    # -- beginning and resuming ------------------------------------------------------------------------------------

    def _begin(self, group: ProcessGroup, progress: Progress, resume: bool) -> tuple[int, float]:
        """Build the recipe's networks and take up the checkpoint, if any: (step, seconds trained so far)."""
        options = self._options(group)
        loaded = self._find_checkpoint(options, resume)
        seed_everything(mix_seed(self.seed, "setup"))
        self.recipe.setup(
            TrainingContext(
                self.device,
                self.precision,
                self.seed,
                self.batch,
                self.run_dir,
                next(iter(self.data.values())).modality if len(self.data) == 1 else None,
                self.channels_last,
                group,
            )
        )
        group.wait_for_all()  # nobody may find the options file of a run that is just beginning
        if loaded is None:
            self._record(group, options, 0)
            return 0, 0.0
        for sentence in loaded.skipped:
            progress.say(f"{sentence}: going back to {loaded.path.name}")
        try:
            self.recipe.load_state_dict(loaded.state["recipe"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{loaded.path} does not fit this run ({error}); it was written by another version. "
                f"Start again in another --run-dir"
            ) from error
        step = int(loaded.state["step"])
        self._record(group, options, step)
        progress.say(f"going on from {loaded.path.name}, {step * self.batch:,} images")
        return step, float(loaded.state["seconds"])

    def _record(self, group: ProcessGroup, options: dict[str, Any], step: int) -> None:
        if group.is_first:
            self.log.cut_after(step)
            write_file(self.run_dir / "options.json", (json.dumps(options, indent=2) + "\n").encode())

    def _find_checkpoint(self, options: dict[str, Any], resume: bool) -> Any:
        recorded = self._recorded_options()
        if not resume:
            if any(self.checkpoints.glob("step-*.pt")):
                raise UsageError(
                    f"{self.run_dir} already holds a run; go on with --resume, or choose another --run-dir"
                )
            return None
        if recorded is None:
            if any(self.checkpoints.glob("step-*.pt")):
                raise CheckpointError(
                    f"{self.run_dir} has checkpoints, but options.json is missing or damaged, so that "
                    f"it cannot be told whether they fit. Start again in another --run-dir"
                )
            return None
        changed = [
            f"{key} was {recorded.get(key)!r}, now {options.get(key)!r}"
            for key in sorted({*recorded, *options} - ({"samples"} if self.new_data else set()))
            if recorded.get(key) != options.get(key)
        ]
        if changed:
            raise UsageError(
                f"cannot resume {self.run_dir}: {'; '.join(changed)}. Use the same settings, or start "
                f"afresh in another --run-dir"
            )
        return load_newest_checkpoint(self.checkpoints)

    def _options(self, group: ProcessGroup) -> dict[str, Any]:
        """What decides the weights after N steps. How long, where and how often are free to change."""
        own = {
            "recipe": self.recipe.name,
            "samples": self.count,
            "batch": self.batch,
            "seed": self.seed,
            "precision": self.precision,
            "mirror": self.mirror,
            "channels_last": self.channels_last,
            "processes": group.world,
        }
        return json.loads(json.dumps({**own, **self.own_options}))

    def _recorded_options(self) -> dict[str, Any] | None:
        try:
            options = json.loads(read_regular(self.run_dir / "options.json"))
        except (OSError, ValueError):
            return None
        return options if isinstance(options, dict) else None

    def clear_run(self) -> None:
        """Remove an earlier run's files from the run folder, so that a new one may begin; others' files stay.

        Raises TrainingError where a process is training in it.
        """
        if not self.run_dir.is_dir() or int(os.environ.get("RANK", "0")):
            return
        lock = self._claim_run_dir()
        try:
            for name in ("checkpoints", "samples"):
                shutil.rmtree(self.run_dir / name, ignore_errors=True)
            for name in ("options.json", "stats.jsonl"):
                (self.run_dir / name).unlink(missing_ok=True)
        finally:
            lock.release()

    def _claim_run_dir(self) -> filelock.BaseFileLock:
        try:
            self.run_dir.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.run_dir / ".lock", timeout=0)
            lock.acquire()
            return lock
        except filelock.Timeout as error:
            raise TrainingError(
                f"another process is training in {self.run_dir}; wait for it or choose another --run-dir"
            ) from error
        except OSError as error:
            raise TrainingError(
                f"cannot use {self.run_dir} as run folder: {error.strerror or error}; choose another "
                f"--run-dir"
            ) from error

    # -- writing ---------------------------------------------------------------------------------------------------

    def _due(self, step: int, every: int | None) -> bool:
        return bool(every) and step % int(every or 1) == 0

    def _tick(
        self,
        group: ProcessGroup,
        progress: Progress,
        budget: Budget,
        meter: LossMeter,
        step: int,
        seconds: float,
        rate: float,
    ) -> None:
        if meter.not_finite():
            return  # the next check names it; a log without NaN stays readable JSON
        losses, images = meter.means(), step * self.batch
        if group.is_first:
            self.log.append(
                {
                    "step": step,
                    "images": images,
                    "seconds": round(seconds, 2),
                    "images_per_second": round(rate, 2),
                    "peak_memory_mib": round(peak_memory_mib(self.device)),
                    "losses": {name: round(value, 6) for name, value in losses.items()},
                }
            )
        progress.update(images, rate, budget.seconds_left(images, rate), losses)

    def _save_samples(self, step: int) -> None:
        seed_everything(mix_seed(self.seed, "samples"))
        shown: dict[str, Batch] = {name: data.batch(SHOWN).to(self.device) for name, data in self.data.items()}
        save_samples(self.recipe.samples(shown), self.run_dir / "samples", step * self.batch)

    def _save_checkpoint(self, step: int, seconds: float) -> Path:
        return save_checkpoint(
            self.checkpoints, step, {"step": step, "seconds": seconds, "recipe": self.recipe.state_dict()}
        )

    def _not_finite_message(self, meter: LossMeter, step: int) -> str:
        names = ", ".join(meter.not_finite()) or "a loss of another process"
        newest = sorted(self.checkpoints.glob("step-*.pt"))[-1:]
        good = f"the last good checkpoint is {newest[0]}" if newest else "no checkpoint was written yet"
        return (
            f"{names} became NaN or infinite in the {self.batch}-image step before step {step}; {good}. Go on with "
            f"--resume, or start afresh with a lower learning rate or --precision fp32"
        )


def _shares(recipe: Recipe, data: Mapping[str, Samples], batch: int) -> dict[str, int]:
    """Samples of a step from each data set. :raises TrainingError: other data sets than the recipe's."""
    shares = dict(recipe.shares(batch))
    if set(data) != set(shares):
        known = ", ".join(shares or recipe.data)
        raise TrainingError(f"recipe {recipe.name!r} reads {known}, it was given {', '.join(data)}")
    if data and sum(shares.values()) != batch:  # without a data set the recipe makes the pictures of the batch
        raise TrainingError(f"recipe {recipe.name!r} shares a batch of {batch} as {shares}: that is not the batch")
    return shares
