"""`anchor hubs train` without the command line: from a folder of images to a hub bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.networks.stylegan2 import StyleGAN2Config
from anchor_hub.plugins.registry import registry
from anchor_hub.system.settings import parse_settings
from anchor_hub.training.base import OWN, Recipe, RecipeOptions, RunSettings, TrainingPlan
from anchor_hub.training.engine.orchestration import find_recipe, train
from anchor_hub.training.engine.trainer import RunEnd
from anchor_hub.training.generators import stylegan2_training
from anchor_hub.training.generators.choices import flag
from anchor_hub.training.generators.choices import parse_channels as parse_channels
from anchor_hub.training.generators.choices import parse_resolutions as parse_resolutions
from anchor_hub.training.generators.start import HubStart
from anchor_hub.training.generators.stylegan2_options import HubOptions
from anchor_hub.training.generators.stylegan2_training import PRESETS as PRESETS

#: Settings that belong to the plan (with the plan's names for them), and settings that belong to the run.
PLAN = {"images": "images", "max_minutes": "minutes", "batch": "batch", "seed": "seed", "mirror": "mirror",
        "where": "where", "limit": "limit"}  # fmt: skip
RUN = ("device", "precision", "resume", "overwrite", "new_data", "workers", "processes", "license", "data_license",
       "sample_every", "checkpoint_minutes", "quiet")  # fmt: skip
#: Values without effect, which a caller may give even to a recipe that has no such option.
SAYS_NOTHING: dict[str, tuple[Any, ...]] = {"preset": (None, "small"), "mapping_layers": (None, 8)}


@dataclass(init=False)
class HubTraining:
    """One hub training: a plan and settings of its run, given in one call.

    `data` is a folder of RGB images (or a glob); `output` the bundle's folder, which `overwrite` allows to replace
    (and, without `resume`, the run folder's earlier run). `arch` is a registered recipe of hubs: "stylegan2", or
    "biggan", which trains on classes. Further keywords are of three kinds: the recipe's options (see
    :mod:`anchor_hub.training.generators.choices`), what :class:`~anchor_hub.training.TrainingPlan` has (`images`,
    `max_minutes`, `batch`, `seed`, `mirror`, `where`, `limit`), and what :class:`~anchor_hub.training.RunSettings` has.
    """

    name: str
    data: str | Path
    run_dir: Path
    output: Path
    arch: str
    settings: Mapping[str, Any]

    def __init__(
        self,
        name: str,
        data: str | Path,
        run_dir: Path,
        output: Path,
        arch: str = "stylegan2",
        settings: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        self.name, self.data, self.run_dir, self.output, self.arch = name, data, run_dir, output, arch
        self.settings = {**(settings or {}), **changes}

    def __getattr__(self, name: str) -> Any:
        """A setting, as it was given or by default."""
        if name.startswith("_") or "settings" not in self.__dict__:
            raise AttributeError(name)
        if name in self.settings:
            return self.settings[name]
        known = {key: getattr(TrainingPlan, field) for key, field in PLAN.items()}
        known |= {key: getattr(RunSettings, key) for key in RUN}
        known |= {key: item.default for key, item in self.recipe.Options.model_fields.items()}
        if name not in known:
            raise AttributeError(f"HubTraining has no setting {name!r}")
        return known[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in HubTraining.__dataclass_fields__:
            super().__setattr__(name, value)
        else:
            self.settings = {**self.settings, name: value}
            self.__dict__.pop("start", None)  # it may have come from what was changed

    @property
    def recipe(self) -> type[Recipe]:
        """The recipe of ``arch``. :raises UsageError: an unknown architecture."""
        if self.arch not in _hub_recipes():
            raise UsageError(f"--arch {self.arch!r} is not known.{did_you_mean(self.arch, _hub_recipes())}")
        return find_recipe(self.arch, "hub")[1]

    @property
    def own(self) -> dict[str, Any]:
        """The given options of the recipe. :raises UsageError: an option that the recipe does not have."""
        known, own = self.recipe.Options.model_fields, {}
        for option, value in self.settings.items():
            if option in PLAN or option in RUN:
                continue
            if option in known:
                own.update({} if value is None else {option: value})
            elif value not in SAYS_NOTHING.get(option, (None, False)):
                raise self._no_such_option(option)
        return own

    def _no_such_option(self, option: str) -> UsageError:
        for arch in _hub_recipes():
            if option in find_recipe(arch)[1].Options.model_fields:
                return UsageError(f"{flag(option)} is an option of --arch {arch}, not of {self.arch}: leave it out")
        known = [*self.recipe.Options.model_fields, *PLAN, *RUN]
        return UsageError(f"trainings of --arch {self.arch} have no option {option!r}.{did_you_mean(option, known)}")

    @property
    def plan(self) -> TrainingPlan:
        """The plan: what to train. :raises UsageError: an unknown architecture, or an option that it does not have."""
        given = {name: self.settings[key] for key, name in PLAN.items() if self.settings.get(key) is not None}
        return TrainingPlan(self.name, self.arch, {OWN: str(self.data)}, options=self.own, **given)

    @property
    def run(self) -> RunSettings:
        """The settings of the run."""
        given = {key: self.settings[key] for key in RUN if self.settings.get(key) is not None}
        return RunSettings(run_dir=Path(self.run_dir), output=Path(self.output), **given)

    @property
    def choices(self) -> RecipeOptions:
        """The recipe's options, checked. :raises UsageError, ConfigError: wrong ones."""
        return self.recipe.Options.read(self.own, f"recipe {self.arch!r}")

    @cached_property
    def start(self) -> HubStart | None:
        """The StyleGAN2 hub to go on from. Raises HubNotFoundError, BundleError, UsageError."""
        return stylegan2_training.start_of(self.choices)  # type: ignore[arg-type]

    def config(self) -> StyleGAN2Config:
        """A StyleGAN2 generator's architecture. Raises ConfigError where size and channels do not fit."""
        return stylegan2_training.config(self.choices, self.start)  # type: ignore[arg-type]

    def options(self) -> HubOptions:
        """A StyleGAN2 training's constants, preset and own choices together."""
        return stylegan2_training.constants(self.choices, self.start)  # type: ignore[arg-type]


def _hub_recipes() -> list[str]:
    return list(_of_kind("hub"))


def _of_kind(kind: str) -> Iterator[str]:
    known = registry().recipes
    yield from (name for name in known if (first := known.first(name)) is not None and first.spec.kind == kind)


def train_hub(training: HubTraining) -> tuple[RunEnd, Path | None]:
    """Train a hub and write its bundle: (result, bundle, or None where the run was interrupted).

    An interrupted run leaves a checkpoint; the same call with `resume` goes on, writes the bundle at the end, and may
    replace a bundle that it wrote before. Raises UsageError where another hub would be replaced.
    """
    trained = train(training.plan, training.run)
    return trained.run, trained.bundle


def recipe_settings(texts: Iterable[str]) -> dict[str, Any]:
    """A recipe's options as ``--set`` gives them. :raises UsageError: what has an option of its own, or no ``=``."""
    chosen = parse_settings(texts)
    for option in chosen:
        if option in PLAN or option in RUN:
            raise UsageError(f"--set {option}: that is no option of a recipe; give {flag(option)}")
    return chosen
