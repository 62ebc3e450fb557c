"""`anchor_hub.testing.check_recipe`: what keeps the contract passes, what breaks it is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from pydantic import ConfigDict
from torch import Tensor

from anchor_hub import build_modality
from anchor_hub.testing import ContractError, check_recipe
from anchor_hub.training import Batch, Contents, Recipe, RecipeOptions, Samples
from anchor_hub.training.anchoring.recipe import AnchorRecipe
from anchor_hub.training.generators.stylegan2_recipe import HubRecipe
from tests.tiny import tiny_hub
from tests.training.tiny import pictures
from tests.training.toys import Base, BaseRecipe, PairRecipe

RGB = build_modality({"name": "rgb"})
SAMPLES = Samples(torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8), RGB)
PAIR = {"source": SAMPLES, "target": Samples(SAMPLES.rows[:5] // 2, RGB)}  # type: ignore[index]


def test_recipes_that_keep_the_contract() -> None:
    check_recipe(PairRecipe, PAIR, required={"prior": Base().requires_grad_(False)})
    check_recipe(BaseRecipe, {"own": SAMPLES})
    small: dict[str, Any] = {"size": 16, "channels": {4: 8, 8: 8, 16: 8}, "latent_dim": 8, "mapping_layers": 2}
    check_recipe(HubRecipe, {"own": Samples(pictures(9), RGB)}, options=small)
    narrow = {"encoder": {"name": "compact", "width": 4}, "regressor": {"name": "compact", "width": 4}}
    check_recipe(AnchorRecipe, {"own": Samples(pictures(9), RGB)}, options=narrow, required={"hub": tiny_hub()})


class Forgetful(BaseRecipe):
    def state_dict(self) -> dict[str, Any]:
        return {"base": self.base.state_dict(), "seen": self.seen}

    def setup(self, context: Any) -> None:
        super().setup(context)
        self.seen = 0

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        self.seen += 1
        return super().step(batches, index)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.base.load_state_dict(state["base"])


class Anything(BaseRecipe):
    class Options(RecipeOptions):
        model_config = ConfigDict(extra="allow")


class Strange(BaseRecipe):
    def contents(self) -> Contents:
        return Contents({"name": "toy-base", "made": self}, {"base": self.base.state_dict()})


class Unreadable(BaseRecipe):
    def contents(self) -> Contents:
        return Contents({"name": "toy-base"}, {"base": {"scale": torch.full((3,), float("nan"))}})


class Nameless(BaseRecipe):
    name = ""


class Meddler(PairRecipe):
    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        self.base.scale.data += 1
        return super().step(batches, index)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Forgetful, "are not four steps: "),
        (Anything, "take an option that it does not have"),
        (Strange, "architecture of its contents is no plain data"),
        (Unreadable, "make no bundle that opens again"),
        (Nameless, "a recipe has a name"),
        (PairRecipe, "reads the data sets source, target, not own"),
    ],
)
def test_recipes_that_break_it(recipe: type[Recipe], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_recipe(recipe, {"own": SAMPLES})


def test_what_a_recipe_requires_keeps_its_weights() -> None:
    with pytest.raises(ContractError, match="changes the weights of what it requires"):
        check_recipe(Meddler, PAIR, required={"prior": Base().requires_grad_(False)})
