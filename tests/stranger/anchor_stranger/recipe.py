"""Training of the backend ``tint``: from two folders of pictures that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from anchor_hub import Modality
from anchor_hub.errors import UsageError
from anchor_hub.training import Batch, Contents, Recipe, RecipeOptions, TrainingContext, TrainingPlan
from anchor_stranger.translator import Tint, look, parts


class TintTraining(RecipeOptions):
    size: int = Field(default=16, ge=4, le=64)
    learning_rate: float = Field(default=0.05, gt=0)


class TintRecipe(Recipe):
    name = "tint"
    kind = "translator"
    data = ("source", "target")
    Options = TintTraining

    def __init__(self, source: Modality, target: Modality, options: TintTraining) -> None:
        self.ends = {"source": source, "target": target}
        self.options, self.size = options, options.size

    @classmethod
    def build(cls, plan: TrainingPlan, options: Any, required: Mapping[str, Any]) -> TintRecipe:
        source, target = plan.modality("source"), plan.modality("target")
        if not target.traits.picture:
            raise UsageError(f"recipe tint: the target must be colour pictures, not {target.name}")
        return cls(source, target, options)

    def modality(self, data: str) -> Modality:
        return self.ends[data]

    def setup(self, context: TrainingContext) -> None:
        self.network = context.place(Tint(self.ends["source"].input_channels))
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.options.learning_rate)
        self.context = context

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        source, target = (self.ends[name].to_network(batches[name].images) for name in self.data)
        wanted = look(target)
        made = look(Tint.coloured(self.network(source), self.network.style[None]))
        colours = (made - wanted.mean(0)).square().mean()
        own = (self.network.style - wanted.mean(0)).square().mean()
        self.context.descend(self.network, self.optimizer, colours + own)
        if len(wanted) > 1:
            spread: Any = self.network.spread
            spread.lerp_(wanted.std(0), 0.1)
        return {"colours": colours.detach(), "own": own.detach()}

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Tensor]:
        source = self.ends["source"].to_network(batches["source"].images)
        made = Tint.coloured(self.network(source), self.network.style[None])
        return {"translations": self.ends["target"].from_network(made).cpu()}

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def contents(self) -> Contents:
        card = "# Tint\n\nShapes of the source, colours of the target.\n"
        return Contents({"size": self.options.size}, parts(self.network), card)
