"""The contract of training: what a recipe is, what it is told, what it leaves behind.

A recipe is found by name in the registry, built from plain values, run by the one trainer, and written as a bundle:
:func:`anchor_hub.training.train` does all of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from anchor_hub.errors import AnchorError, UsageError
from anchor_hub.system.config import validate
from anchor_hub.system.precision import autocast
from anchor_hub.training.contents import Contents as Contents
from anchor_hub.training.contents import write_contents
from anchor_hub.training.distributed import ProcessGroup

if TYPE_CHECKING:
    from anchor_hub.data.image_folder import ImageFolder
    from anchor_hub.modality import Modality

Placed = TypeVar("Placed", bound="Tensor | nn.Module")
Options = TypeVar("Options", bound="RecipeOptions")
Made = TypeVar("Made", bound="Recipe")

#: The name of the data set of a recipe that reads one.
OWN = "own"
#: The batch of a run that asks for none.
BATCH = 16


# -- what a training is asked for --------------------------------------------------------------------------------------


class RecipeOptions(BaseModel):
    """What a recipe may be told: ``--set KEY=VALUE`` on the command line, a plan's ``options``, the bundle's record.

    A recipe's own options are fields of a subclass. Unknown keys and wrong values are refused; validators may raise any
    of :mod:`anchor_hub.errors`, which arrives as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _own_error(error) or error from None

    @classmethod
    def read(cls: type[Options], values: Mapping[str, Any], where: str) -> Options:
        """The options of a table. :raises ConfigError: naming ``where``, the key, and the nearest known key."""
        try:
            return cls(**values)
        except ValidationError:
            return validate(dict(values), cls, where)  # says it in the house's words

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able copy, for the run's options and the bundle's provenance."""
        return self.model_dump(mode="json")


def _own_error(error: ValidationError) -> AnchorError | None:
    """The first error that a validator raised in the house's own words."""
    raised = (item.get("ctx", {}).get("error") for item in error.errors())
    return next((item for item in raised if isinstance(item, AnchorError)), None)


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, from what, how long: plain values that decide what is learned.

    :param recipe: a registered recipe's name.
    :param data: data set's name -> a folder, zip archive or glob of files; or ``"name:argument"`` of a registered data
        set. A recipe that reads one data set calls it ``"own"``.
    :param requires: kind of bundle -> a registered name, or a bundle's folder, e.g. ``{"hub": "faces-64"}``.
    :param options: of the recipe, see its ``Options``.
    :param modalities: data set's name -> modality, as :func:`anchor_hub.build_modality` takes it; default: RGB.
    :param source, targets: what a translator calls the images it takes and gives.
    :param batch: images of a step over all data sets and processes; ``None``: as the recipe has it.
    :param images: images to train on in total, each seen several times. :param minutes: at most so many.
    :param mirror: flip half of the images left to right.
    :param count: images to make or find in a registered data set.
    :param where, limit: only files whose manifest columns fulfil this; only the first so many.
    """

    name: str
    recipe: str
    data: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, str | Path] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    modalities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = ""
    targets: tuple[str, ...] = ()
    batch: int | None = None
    images: int | None = None
    minutes: float | None = None
    seed: int = 0
    mirror: bool = False
    count: int = 3000
    where: str | None = None
    limit: int | None = None

    def modality(self, data: str, side: int | None = None) -> Modality:
        """The modality of a data set, for images of ``side`` pixels where that is given.

        :raises ModalityNotFoundError, ConfigError: no such modality, wrong options.
        """
        from anchor_hub.modality import build_modality

        found = build_modality(self.modalities.get(data, {"name": "rgb"}))
        return found if side is None else found.at(side)


@dataclass(frozen=True)
class RunSettings:
    """How and where to run a plan; on one machine nothing here but the precision changes what is learned.

    :param run_dir: checkpoints, logs, samples; default: a folder of the home. :param output: the bundle's folder;
        default: the home's.
    :param resume: go on with the run in the run folder. :param overwrite: replace the bundle, and start afresh where
        the run folder holds an earlier run (unless resumed). :param new_data: let a resumed run go on with other files.
    :param skip_bad: leave out files that cannot be read.
    :param license, data_license: of the weights and of the data, as the bundle records them; default: "unknown", or
        what the registered data set says.
    :param command: what the bundle names as the command that made it.
    """

    device: str = "auto"
    precision: str = "auto"
    run_dir: Path | None = None
    output: Path | None = None
    resume: bool = False
    overwrite: bool = False
    new_data: bool = False
    workers: int = 2
    processes: int | None = None
    skip_bad: bool = False
    license: str | None = None
    data_license: str | None = None
    sample_every: int = 200
    checkpoint_minutes: float = 5.0
    quiet: bool = False
    command: str = ""


# -- what a recipe receives --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """One data set: rows of a tensor ``[N, ...]``, or any sequence of samples that ``modality.collate`` joins.

    :param modality: ``None``: rows are stacked as they are.
    :param labels: the class of each row, int64 ``[N]``. :param classes: the classes' names.
    """

    rows: Tensor | Sequence[Any]
    modality: Any = None
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, first: int) -> Batch:
        """The first so many samples, on the CPU."""
        rows = [self.rows[index] for index in range(min(first, len(self.rows)))]
        images = self.modality.collate(rows) if self.modality is not None else torch.stack(rows)
        return Batch(images, None if self.labels is None else self.labels[: len(rows)])


@dataclass(frozen=True)
class Batch:
    """Samples ``[B, ...]`` as their modality collates them, and where they have classes theirs, int64 ``[B]``."""

    images: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """Both on the device."""
        labels = None if self.labels is None else self.labels.to(device, non_blocking=non_blocking)
        return Batch(self.images.to(device, non_blocking=non_blocking), labels)


@dataclass
class TrainingContext:
    """What a recipe may know of its run.

    `batch` is the batch over all data sets and processes; a step receives `batch / group.world` samples. `modality` is
    the data set's, where the recipe reads one.
    """

    device: torch.device
    precision: str
    seed: int
    batch: int
    run_dir: Path
    modality: Any = None
    channels_last: bool = True
    group: ProcessGroup = field(default_factory=ProcessGroup)

    def autocast(self, enabled: bool = True) -> AbstractContextManager[Any]:
        """bfloat16 arithmetic where the run asked for it; weights and optimisers stay float32."""
        return autocast(self.precision if enabled else "fp32", self.device)

    def place(self, what: Placed) -> Placed:
        """A module or images [B, C, H, W] on the run's device, in channels-last layout if the run asked for it."""
        placed: Any = what.to(self.device)
        if self.channels_last and (isinstance(placed, nn.Module) or placed.ndim == 4):
            placed = placed.to(memory_format=torch.channels_last)
        return placed

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Between `backward` and the optimiser's step: gradients become their mean over all processes."""
        self.group.average_gradients(parameters)

    def descend(self, module: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """One optimiser step of `module` down the gradient of `loss`, averaged over all processes."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.average_gradients(module.parameters())
        optimizer.step()


# -- what a recipe is --------------------------------------------------------------------------------------------------


class Recipe(ABC):
    """One way of training. The trainer owns the loop, batches, precision, checkpoints, logs, pictures and signals.

    Torch's default random generator is seeded from (seed, step, rank) before every step and before `samples`, from the
    seed alone before `setup`: a recipe draws from it freely and an interrupted run repeats exactly. Phases are the
    recipe's own business: `step` knows its index. What leaves a bundle behind for another training is a recipe of its
    own, whose bundle the next one names in `requires`.
    """

    #: Its name in the registry.
    name: str = ""
    #: The kind of bundle it writes: "hub", "domain", "translator", "prior" or "judges".
    kind: ClassVar[str] = "translator"
    #: What it may be told.
    Options: ClassVar[type[RecipeOptions]] = RecipeOptions
    #: Names of the data sets it reads: ``--data NAME=FOLDER`` each; of the only one: ``--data FOLDER``.
    data: ClassVar[tuple[str, ...]] = (OWN,)
    #: Those of `data` and `requires` that a plan may leave out; all data: a recipe that can make its own pictures.
    optional: ClassVar[tuple[str, ...]] = ()
    #: Kinds of the bundles it needs; ``build`` receives a hub, a domain, a prior as its architecture loads it, or (of a
    #: translator) the opened bundle.
    requires: ClassVar[tuple[str, ...]] = ()
    #: Those of `requires` that the training needs, and its bundle does not.
    only_to_train: ClassVar[tuple[str, ...]] = ()
    #: Whether the run keeps to one process and one thread of the CPU, as small networks need.
    one_thread: ClassVar[bool] = False
    #: Whether a translator's contents name its ends (classes of the data, say), which plans do otherwise.
    own_ends: ClassVar[bool] = False
    #: Height and width in pixels that images are read at.
    size: int = 64

    @classmethod
    @abstractmethod
    def build(cls: type[Made], plan: TrainingPlan, options: Any, required: Mapping[str, Any]) -> Made:
        """A recipe that carries out a plan; everything wrong with the plan is told here, before images are read.

        :param options: an instance of ``Options``. :param required: kind -> what was loaded.
        :raises UsageError, ConfigError: values that do not fit each other.
        """

    @abstractmethod
    def modality(self, data: str) -> Any:
        """The modality of a data set; ``None``: its samples are no images (see :meth:`read`)."""

    @abstractmethod
    def setup(self, context: TrainingContext) -> None:
        """Build networks and optimisers. All processes start alike: the generator is seeded with the run's seed."""

    @abstractmethod
    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        """Train on one batch of each data set, on the run's device. `index` counts from 0.

        Returns the step's losses by name, as numbers or 0-dimensional tensors.
        """

    @abstractmethod
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Tensor | Sequence[Tensor]]:
        """Pictures to judge the training by; `batches` hold the data sets' first (up to 8) samples, always the same.

        name -> uint8 [3, H, W] (a ready picture), [N, 3, H, W] (a grid), or a list of [3, H, W]: all lists
        together make one sheet, a row each.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that training changes: weights, averages, optimisers (tensors and plain containers only)."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""

    @abstractmethod
    def contents(self) -> Contents:
        """What the bundle holds, of the networks as they are now."""

    # -- what a recipe may say besides ---------------------------------------------------------------------------------

    def images_per_step(self, batch: int | None) -> int:
        """Images of a step over all data sets and processes, where the plan asks for ``batch`` (``None``: for none)."""
        return batch or BATCH

    def shares(self, batch: int) -> Mapping[str, int]:
        """How many images of a step come from each data set (or stream of :meth:`trained_on`); default: equally many.

        :raises UsageError: a batch that cannot be shared so.
        """
        if batch % max(len(self.data), 1):
            raise UsageError(
                f"--batch {batch} cannot be shared equally among {len(self.data)} data sets; choose a multiple of "
                f"{len(self.data)}"
            )
        return {name: batch // len(self.data) for name in self.data}

    def read(self, data: str, folder: str | Path, *, workers: int, progress: Any = None) -> Samples | None:
        """The samples of a data set; default ``None``: its files, as the modality reads them."""
        return None

    def labels(self, data: str, folder: str | Path, files: ImageFolder) -> tuple[tuple[str, ...], Tensor] | None:
        """Names of the classes and the class of each file, int64 ``[N]``, told before files are read; default: none.

        :raises DataError, UsageError: files without classes, where the recipe needs them.
        """
        return None

    def fitted(self: Made, data: Mapping[str, Samples]) -> Made:
        """The recipe that fits what the files turned out to hold; default: this one."""
        return self

    def trained_on(self, data: Mapping[str, Samples]) -> Mapping[str, Samples]:
        """The samples to train on, asked after :meth:`fitted`; default: all. Others may measure what was learned.

        May draw several streams from a data set, which :meth:`shares` names instead of it.
        """
        return data

    def finished(self, step: int) -> str | None:
        """After ``step`` steps, a sentence that says why the run has trained enough; default ``None``: go on.

        Every process asks before each step (each tenth on a GPU) and must find the same. What decides it belongs into
        :meth:`state_dict`, so that a resumed run ends where an uninterrupted one does.
        """
        return None

    def describe(self) -> dict[str, Any] | None:
        """What a resumed run must share, as plain JSON values; default ``None``: all of the plan that decides."""
        return None

    def record(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the bundle's provenance says, of the ``facts`` that the run knows; default: all of them.

        Asked after :meth:`contents`.
        """
        return facts

    @staticmethod
    def chosen(facts: Mapping[str, Any], names: str, **own: Any) -> dict[str, Any]:
        """For :meth:`record`: the facts of these ``names`` (blanks between), facts of one's own, and the plugins."""
        return {**{name: facts[name] for name in names.split()}, **own, "plugins": facts["plugins"]}

    def export(
        self, folder: Path, provenance: Mapping[str, Any], license: Mapping[str, Any] | None = None
    ) -> Path:
        """Write the bundle by hand, without a run; returns its folder. :func:`anchor_hub.training.train` does it all.

        `license` names the licences of the `weights` and of the `data` they were trained on.
        """
        return write_contents(self.contents(), folder, self.kind, self.name, provenance, license)
