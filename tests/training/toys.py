"""A stranger's recipes for tests: a prior, a pair translator on it with two data sets, a domain, a hub, a modality."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from anchor_hub.bundles.base import Bundle
from anchor_hub.modality.gray import Gray
from anchor_hub.training import Batch, Contents, Recipe, RecipeOptions, TrainingContext, TrainingPlan
from anchor_hub.training.anchoring.recipe import AnchorRecipe
from anchor_hub.training.generators.choices import StyleGAN2Choices
from anchor_hub.training.generators.stylegan2_recipe import HubRecipe

#: A plugin module that registers them all.
PLUGIN = '''
    from anchor_hub.hookspecs import hookimpl
    from anchor_hub.specs import *

    T = "tests.training.toys:"

    @hookimpl
    def anchor_register_recipes(register):
        register(RecipeSpec("toy-base", target=T + "BaseRecipe", kind="prior"))
        register(RecipeSpec("toy-pair", target=T + "PairRecipe", kind="translator"))
        register(RecipeSpec("toy-domain", target=T + "ToyDomain", kind="domain"))
        register(RecipeSpec("toy-hub", target=T + "ToyHub", kind="hub"))
        register(RecipeSpec("toy-nothing", target=T + "colours", kind="translator"))

    @hookimpl
    def anchor_register_backends(register):
        register(BackendSpec("toy", target=T + "PairRecipe", recipes=("toy-base", "toy-pair")))

    @hookimpl
    def anchor_register_architectures(register):
        register(ArchitectureSpec("toy-base", target=T + "Base", kind="prior"))

    @hookimpl
    def anchor_register_modalities(register):
        register(ModalitySpec("stripes", target=T + "Stripes"))

    @hookimpl
    def anchor_register_datasets(register):
        register(DatasetSpec("toy-colours", target=T + "colours", license={"data": "CC0, nobody"}))

    @hookimpl
    def anchor_register_priors(register):
        training = {"images": 8, "batch": 4, "count": 6}
        register(PriorSpec("base", recipe="toy-base", data={"own": "toy-colours:red"}, training=training))

    @hookimpl
    def anchor_register_translators(register):
        register(
            TranslatorSpec(
                "red-blue", backend="toy", source="red", targets=("blue",),
                data={"source": "toy-colours:red", "target": "toy-colours:blue"},
                training={"images": 16, "batch": 4, "count": 6, "rate": 0.2, "requires": {"prior": "base"}},
            )
        )
'''


def colours(argument: str, *, size: int, count: int, seed: int, home: Any, progress: Any = None) -> Path:
    """A folder of pictures of one colour, each a little different."""
    folder = home.make(home.cache / f"toy-{argument}-{size}-{seed}")
    for index in range(count):
        strong, weak = 200 + index, 20 + 3 * index
        Image.new("RGB", (size, size), (strong, weak, 9) if argument == "red" else (9, weak, strong)).save(
            folder / f"{index}.png"
        )
    return Path(folder)


class Base(nn.Module):
    """What the pairs build on: one number per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    @classmethod
    def load(cls, bundle: Bundle, device: torch.device) -> Base:
        base = cls()
        base.load_state_dict(bundle.tensors("base", base.state_dict()))
        return base.to(device).requires_grad_(False)


class BaseRecipe(Recipe):
    """Learns the mean of all pictures."""

    name, kind, size = "toy-base", "prior", 8

    @classmethod
    def build(cls, plan: TrainingPlan, options: RecipeOptions, required: Mapping[str, Any]) -> BaseRecipe:
        recipe = cls()
        recipe.reads = plan.modality("own")
        return recipe

    def modality(self, data: str) -> Any:
        return self.reads

    def setup(self, context: TrainingContext) -> None:
        self.context, self.base = context, context.place(Base())
        self.optimizer = torch.optim.Adam(self.base.parameters(), lr=0.1)

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        images = self.context.place(self.reads.to_network(batches["own"].images))
        loss = (images.mean((0, 2, 3)) - self.base.scale).square().mean()
        self.context.descend(self.base, self.optimizer, loss)
        return {"error": loss.detach()}

    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Tensor]:
        return {"input": batches["own"].images}

    def state_dict(self) -> dict[str, Any]:
        return {"base": self.base.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.base.load_state_dict(state["base"])
        self.optimizer.load_state_dict(state["optimizer"])

    def contents(self) -> Contents:
        return Contents({"name": "toy-base"}, {"base": self.base.state_dict()})


class PairOptions(RecipeOptions):
    """How fast it learns, and how many of the first steps leave the offset alone."""

    rate: float = Field(default=0.1, gt=0)
    first_phase: int = Field(default=1, ge=0)


class PairRecipe(Recipe):
    """Learns an offset from one data set to the other, on a prior; draws noise, as real ones do."""

    name = "toy-pair"
    Options = PairOptions
    data = ("source", "target")
    requires: ClassVar[tuple[str, ...]] = ("prior",)
    size = 8
    stop_at = -1  # the step in which a test interrupts it

    @classmethod
    def build(cls, plan: TrainingPlan, options: PairOptions, required: Mapping[str, Any]) -> PairRecipe:
        recipe = cls()
        recipe.options, recipe.base = options, required["prior"]
        recipe.reads = {name: plan.modality(name) for name in cls.data}
        return recipe

    def modality(self, data: str) -> Any:
        return self.reads[data]

    def setup(self, context: TrainingContext) -> None:
        self.context = context
        self.network = context.place(nn.ParameterDict({"offset": torch.randn(3), "noise": torch.zeros(3)}))
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.options.rate)

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        if index == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        means = {
            name: self.reads[name].to_network(batch.images).mean((0, 2, 3)) for name, batch in batches.items()
        }
        draw = torch.randn(3)
        offset = self.network["offset"] if index >= self.options.first_phase else self.network["offset"].detach()
        output = means["source"] * self.base.scale + offset + self.network["noise"] * draw
        loss = (output - means["target"]).square().mean()
        self.context.descend(self.network, self.optimizer, loss)
        return {"error": loss.detach()}

    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        return {name: [self.reads[name].preview(item) for item in batch.images] for name, batch in batches.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def contents(self) -> Contents:
        return Contents({"width": 3}, {"network": self.network.state_dict()})


class ToyDomain(AnchorRecipe):
    """The built-in method under another name."""

    name = "toy-domain"


class ToyHubChoices(StyleGAN2Choices):
    """With an option of its own, and without some of the flags of `anchor hubs train`."""

    depth: int = 2


class ToyHub(HubRecipe):
    """A hub whose mapping network's depth is called `depth`."""

    name = "toy-hub"
    Options = ToyHubChoices

    @classmethod
    def build(cls, plan: TrainingPlan, options: ToyHubChoices, required: Mapping[str, Any]) -> HubRecipe:
        return super().build(plan, options.model_copy(update={"mapping_layers": options.depth}), required)


class Stripes(Gray):
    """Gray pictures with stripes of a period, in pixels."""

    name = "stripes"

    def __init__(self, *, period: int = 2, fit: str = "stretch") -> None:
        super().__init__(fit=fit)
        self.period = period

    def options(self) -> dict[str, Any]:
        return {**super().options(), "period": self.period}
