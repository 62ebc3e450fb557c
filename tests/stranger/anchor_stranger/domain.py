"""A domain that is the hub's own picture in other colours: a copy of the decoder costs nine numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anchor_hub import Bundle, Domain, Hub, Modality, build_modality
from anchor_hub.domains import HubOutput, Needs, open_domain
from anchor_hub.errors import UsageError
from anchor_hub.training import Batch, Contents, Recipe, TrainingContext, TrainingPlan


class WashedDomain(Domain):
    """Decodes by mixing the channels of the hub's picture; it cannot encode."""

    def __init__(self, name: str, modality: Modality, hub: Hub, mix: nn.Conv2d) -> None:
        self.name, self.modality, self.hub = name, modality.at(hub.size), hub
        self.structure_layers = hub.num_latents
        self.mix = mix.to(hub.device).eval()

    can_encode = False
    can_decode = True

    def encode(self, images: Tensor) -> Tensor:
        raise self.no_encoder()

    @property
    def needs(self) -> Needs:
        return Needs(image=True)

    def decode_from(self, output: HubOutput) -> Tensor:
        assert output.image is not None
        mixed: Tensor = self.mix(output.image)
        return mixed.tanh()

    @classmethod
    def load(cls, bundle: Bundle | str | Path, hub: Hub) -> WashedDomain:
        bundle = open_domain(bundle, hub)
        mix = nn.Conv2d(3, 3, 1)
        mix.load_state_dict(bundle.tensors("mix", mix.state_dict()))
        return cls(bundle.manifest.name, build_modality(bundle.manifest.modality or {}), hub, mix)

    def architecture(self) -> dict[str, Any]:
        return {"name": "washed"}

    def tensors(self) -> Mapping[str, Mapping[str, Tensor]]:
        return {"mix": self.mix.state_dict()}


class WashRecipe(Recipe):
    """Learns the mixing so that the hub's pictures get the mean colours of the domain's."""

    name = "wash"
    kind = "domain"
    requires = ("hub",)

    def __init__(self, name: str, modality: Modality, hub: Hub) -> None:
        self.domain_name, self._modality, self.hub, self.size = name, modality, hub, hub.size

    @classmethod
    def build(cls, plan: TrainingPlan, options: Any, required: Mapping[str, Any]) -> WashRecipe:
        modality = plan.modality("own")
        if not modality.traits.picture:
            raise UsageError(f"recipe wash: domain {plan.name!r} must be colour pictures, not {modality.name}")
        return cls(plan.name, modality, required["hub"])

    def modality(self, data: str) -> Modality:
        return self._modality

    def setup(self, context: TrainingContext) -> None:
        self.mix = context.place(nn.Conv2d(3, 3, 1))
        self.domain = WashedDomain(self.domain_name, self._modality, self.hub, self.mix)
        self.optimizer = torch.optim.Adam(self.mix.parameters(), lr=0.05)
        self.context = context

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        images = self._modality.to_network(batches["own"].images)
        made = self.domain.decode(self.hub.sample(len(images)))
        loss = (made.mean((0, 2, 3)) - images.mean((0, 2, 3))).square().mean()
        self.context.descend(self.mix, self.optimizer, loss)
        return {"colours": loss.detach()}

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Tensor]:
        made = self.domain.decode(self.hub.sample(len(batches["own"].images)))
        return {"samples": self._modality.from_network(made).cpu()}

    def state_dict(self) -> dict[str, Any]:
        return {"mix": self.mix.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mix.load_state_dict(state["mix"])
        self.optimizer.load_state_dict(state["optimizer"])

    def contents(self) -> Contents:
        return Contents(self.domain.architecture(), self.domain.tensors(), self.domain.card())
