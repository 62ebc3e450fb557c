"""From a plan to a bundle, whatever the recipe: the one way in which trainings are run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from anchor_hub.domains.base import modality_options
from anchor_hub.errors import PluginError, UsageError, did_you_mean
from anchor_hub.plugins.names import Registered
from anchor_hub.plugins.registry import registry
from anchor_hub.specs import DatasetSpec, RecipeSpec, check_name
from anchor_hub.system.devices import one_thread, resolve_device
from anchor_hub.system.home import home
from anchor_hub.system.outputs import check_place
from anchor_hub.system.precision import resolve_precision
from anchor_hub.training.base import Contents, Recipe, RecipeOptions, RunSettings, TrainingPlan
from anchor_hub.training.contents import write_contents
from anchor_hub.training.engine.datasets import ReadData, Source, read_all, sources
from anchor_hub.training.engine.processes import check_processes, default_processes
from anchor_hub.training.engine.provenance import licenses, plugins_of, provenance, rendered_data_set
from anchor_hub.training.engine.requirements import Required, load_required
from anchor_hub.training.engine.targets import check_target_is_free, holds_run
from anchor_hub.training.engine.trainer import RunEnd, Trainer

#: Of a data set's name, opens a progress bar and gives its `update(done, total)`.
ProgressBars = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
#: What a bundle's provenance names as the command that made it.
COMMANDS = {
    "hub": "anchor hubs train", "domain": "anchor add-domain", "translator": "anchor translators train",
    "prior": "anchor priors train",
}  # fmt: skip


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended. ``bundle`` is None where it was interrupted, or where another process of the run wrote it.

    :param run: steps, images, minutes, reason and exit code, as the trainer gives them.
    :param skipped: sentences about the files that were left out.
    """

    name: str
    bundle: Path | None
    run_dir: Path
    run: RunEnd
    skipped: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0, or 130 or 143 where a signal ended the run."""
        return self.run.exit_code


def find_recipe(name: str, kind: str = "") -> tuple[Registered[RecipeSpec], type[Recipe]]:
    """The registered recipe of that name and its class.

    :param kind: of the bundle that it is to write; default: any.
    :raises RecipeNotFoundError, UsageError: nobody knows it, or it writes something else. :raises PluginError: its
        target is no recipe.
    """
    known = registry().recipes
    record = known[name] if name in known or not kind else None
    if kind and (record is None or record.spec.kind != kind):
        options = [item for item in known if (first := known.first(item)) is not None and first.spec.kind == kind]
        raise UsageError(f"no recipe for a {kind} is called {name!r}.{did_you_mean(name, options)}")
    assert record is not None
    found = registry().load(record.spec.target, f"recipe {name!r}")
    if not (isinstance(found, type) and issubclass(found, Recipe)):
        raise PluginError(f"recipe {name!r} of {record.label}: {record.spec.target} is no anchor_hub.training.Recipe")
    return record, found


def target_of(kind: str, plan: TrainingPlan, run: RunSettings) -> tuple[Path, Path]:
    """The folders of the bundle and of the run. :raises UsageError: a kind that the home keeps no bundles of."""
    if run.output is None and kind not in COMMANDS:
        raise UsageError(f"{kind} {plan.name!r} has no place in the home: say where its bundle goes, --output FOLDER")
    output = Path(run.output) if run.output is not None else home().folder(kind) / plan.name
    prefix = f"{kind}-" if kind in ("domain", "translator", "prior") else ""
    return output, Path(run.run_dir) if run.run_dir is not None else home().runs / f"{prefix}{plan.name}"


def train(
    plan: TrainingPlan, run: RunSettings | None = None, *, progress: ProgressBars | None = None
) -> TrainingResult:
    """Carry out a plan: load what it requires, read its data, train, write the bundle at the end of the run.

    A run that was interrupted leaves a checkpoint; the same call with ``resume`` goes on. An existing bundle stays as
    it is until the new one is complete.

    :raises UsageError, ConfigError, NotFoundError: a plan that cannot be carried out, told before images are read.
    :raises DataError, ImageError: named with the file. :raises TrainingError, CheckpointError, DeviceError.
    """
    run = run or RunSettings()
    record, recipe_class = find_recipe(plan.recipe)
    kind = recipe_class.kind
    check_name(plan.name, f"{kind} name")
    options = recipe_class.Options.read(plan.options, f"recipe {plan.recipe!r}")
    _check_complete(plan, recipe_class)
    output, run_dir = target_of(kind, plan, run)
    check_place(run_dir, "--run-dir")
    # A bundle where a run goes on is of that run; a domain may be anybody's.
    own = kind != "domain" and run.resume and holds_run(run_dir)
    check_target_is_free(kind, plan.name, output, run_dir, resume=run.resume, overwrite=run.overwrite or own)
    device = resolve_device(run.device)
    precision = resolve_precision(run.precision, device)
    given = sources(plan, recipe_class.data, recipe_class.optional)
    required = load_required(plan.recipe, recipe_class.requires, plan.requires, device, recipe_class.optional)
    recipe = recipe_class.build(plan, options, {key: item.loaded for key, item in required.items()})
    batch = recipe.images_per_step(plan.batch)
    shares = recipe.shares(batch)  # whether it can be shared is told before anything is read
    check_processes(run.processes or 1, min(shares.values(), default=batch))
    read = read_all(recipe, plan, run, given, progress or (lambda name: nullcontext(lambda done, total: None)))
    recipe = recipe.fitted(read.samples)
    samples = {
        name: replace(held, modality=_reading(recipe, name))
        for name, held in recipe.trained_on(read.samples).items()
    }
    described = recipe.describe()
    trainer = Trainer(
        recipe, samples, run_dir,
        batch=batch, total_images=plan.images, max_minutes=plan.minutes, seed=plan.seed, precision=precision,
        device=device, mirror=plan.mirror, workers=run.workers, sample_every=run.sample_every,
        checkpoint_minutes=run.checkpoint_minutes, new_data=run.new_data, quiet=run.quiet,
        options=_everything(plan, options, required) if described is None else described,
        processes=run.processes or _processes(recipe, device, batch),
    )  # fmt: skip
    if run.overwrite and not run.resume:
        trainer.clear_run()
    with one_thread() if recipe.one_thread and device.type == "cpu" else nullcontext():
        result = trainer.run(run.resume)
    if not result.finished or not trainer.is_first:
        return TrainingResult(plan.name, None, run_dir, result, read.skipped)
    if result.steps == 0:
        raise UsageError(f"{kind} {plan.name!r}: the time was over before the first step; give a longer --max-minutes")
    finished = _Finished(record, plan, run, options, required, given, read, recipe, trainer, result)
    return TrainingResult(plan.name, finished.write(output), run_dir, result, read.skipped)


def _reading(recipe: Recipe, data: str) -> Any:
    """The modality that a data set's samples go by."""
    modality = recipe.modality(data)
    return None if modality is None else modality.at(recipe.size)


def _check_complete(plan: TrainingPlan, recipe: type[Recipe]) -> None:
    if plan.images is None and plan.minutes is None:
        raise UsageError("a run needs an end: give --images or --max-minutes (or both)")
    if plan.minutes is not None and not plan.minutes > 0:
        raise UsageError(f"--max-minutes {plan.minutes:g} leaves no time to train: give more, or only --images")
    if recipe.kind == "translator" and not recipe.own_ends and not (plan.source and plan.targets):
        raise UsageError(f"say what translator {plan.name!r} translates: --from NAME --to NAME")


def _processes(recipe: Recipe, device: torch.device, batch: int) -> int:
    return 1 if recipe.one_thread else default_processes(device, math.gcd(batch, *recipe.shares(batch).values()))


def _everything(plan: TrainingPlan, options: RecipeOptions, required: Mapping[str, Required]) -> dict[str, Any]:
    """What decides the weights, beside the trainer's own: what a resumed run must share."""
    return {
        "name": plan.name,
        "requires": {kind: item.fingerprint for kind, item in required.items()},
        "modalities": {name: dict(table) for name, table in plan.modalities.items()},
        "ends": [plan.source, *plan.targets],
        **options.to_dict(),
    }


def _by_name(values: Mapping[str, Any]) -> Any:
    """The value of the only data set; by name, where there are several and somebody has one; else ``None``."""
    if len(values) == 1:
        return next(iter(values.values()))
    return {name: value for name, value in values.items() if value is not None} or None


@dataclass(frozen=True)
class _Finished:
    """A run that came to its end, to be written down."""

    record: Registered[RecipeSpec]
    plan: TrainingPlan
    run: RunSettings
    options: RecipeOptions
    required: Mapping[str, Required]
    given: Mapping[str, Source]
    read: ReadData
    recipe: Recipe
    trainer: Trainer
    result: RunEnd

    def write(self, folder: Path) -> Path:
        recipe, kind = self.recipe, type(self.recipe).kind
        contents = self._with_ends(recipe.contents())
        made = {name: rendered_data_set(place) for name, place in self.read.folders.items()}
        command = self.run.command or COMMANDS.get(kind, f"training of {kind}")
        record = provenance(command, **recipe.record(self._facts(made)))
        needs = [item.requirement for item in self.required.values() if item.requirement is not None]
        # A domain's hub is named in a field of its own.
        needs = [
            item for item in needs
            if item.kind not in recipe.only_to_train and not (kind == "domain" and item.kind == "hub")
        ]  # fmt: skip
        return write_contents(contents, folder, kind, self.plan.name, record, self._license(made), needs)

    def _facts(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """What a run knows of itself; the recipe chooses what its bundles say."""
        plan, trainer, result = self.plan, self.trainer, self.result
        return {
            "recipe": self.record.name,
            "data": _by_name({name: source.label for name, source in self.given.items()}),
            "samples": trainer.count,
            "images_seen": result.images,
            "steps": result.steps,
            "minutes": round(result.minutes, 2),
            "seed": plan.seed,
            "precision": trainer.precision,
            "device": str(trainer.device),
            "processes": trainer.processes,
            "batch": trainer.batch,
            "mirror": plan.mirror,
            "count": plan.count if any(source.registered for source in self.given.values()) else None,
            "where": plan.where,
            "data_set": _by_name(made),
            "requires": {kind: f"{item.name} {item.fingerprint[:12]}" for kind, item in self.required.items()} or None,
            "options": self.options.to_dict(),
            "plugins": plugins_of([self.record, *self._modalities(), *(s.registered for s in self.given.values())]),
        }

    def _modalities(self) -> Sequence[Registered[Any] | None]:
        used = [self.recipe.modality(name) for name in self.given]
        return [registry().modalities.first(item.name) for item in used if item is not None]

    def _license(self, made: Mapping[str, Any]) -> dict[str, str]:
        run, stated = self.run, []
        for name, source in self.given.items():
            spec: DatasetSpec | None = source.registered.spec if source.registered is not None else None
            table = licenses(run.license, run.data_license, made[name], spec if spec and spec.license else None)
            stated.append(table["data"])
        several = "; ".join(dict.fromkeys(stated)) or run.data_license or "unknown"
        return {**licenses(run.license, None, None), "data": several}

    def _with_ends(self, contents: Contents) -> Contents:
        """The contents with what the recipe leaves out and the plan says.

        Of a translator the names of its ends and of its backend, of a domain its modality and its hub.
        """
        if type(self.recipe).kind == "domain":
            hub = self.required["hub"].requirement if "hub" in self.required else None
            owner = None if hub is None else (hub.name, hub.fingerprint)
            modality = contents.modality or self._side(self.recipe.data[0])
            return replace(contents, modality=modality, hub=contents.hub or owner)
        if type(self.recipe).kind != "translator":
            return contents
        source, targets, architecture = contents.source, contents.targets, dict(contents.architecture)
        if source is None and self.plan.source:
            source = {"name": self.plan.source, "modality": self._side("source")}
        if not targets and self.plan.targets:
            targets = tuple({"name": name, "modality": self._side("target")} for name in self.plan.targets)
        if "name" not in architecture:
            architecture = {"name": backend_of(self.record.name), **architecture}
        return replace(contents, source=source, targets=targets, architecture=architecture)

    def _side(self, data: str) -> dict[str, Any]:
        names = self.recipe.data
        return modality_options(self.recipe.modality(data if data in names else names[0]))


def backend_of(recipe: str) -> str:
    """The backend that opens what a recipe makes: the one that names it; default: of the recipe's own name."""
    known = registry().backends
    named = [name for name in known if (first := known.first(name)) is not None and recipe in first.spec.recipes]
    return named[0] if named else recipe
