"""Fine-tuning a copy of the hub's generator on one domain's pictures: the transformation F of the paper.

``G_t = F(G_s, D_t)`` (section III.A): StyleGAN2's training goes on with pictures of the target domain. With the mapping
network frozen (FC-FT), one latent gives similar pictures in both: the hub's latents stay this domain's.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anchor_finetune.domain import ARCHITECTURE, PART, FineTunedDomain, check_hub, differing
from anchor_finetune.options import FineTuneOptions
from anchor_hub.bundles.tensorfile import halved
from anchor_hub.domains.base import modality_options
from anchor_hub.errors import DataError, MissingPartError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import Modality
from anchor_hub.modality.pictures import from_unit
from anchor_hub.training.base import OWN, Batch, Contents, RecipeOptions, Samples, TrainingContext, TrainingPlan
from anchor_hub.training.generators.start import HubStart
from anchor_hub.training.generators.stylegan2_recipe import HubRecipe

#: Latents that the sample sheet shows: the hub's picture above the fine-tuned one.
SHOWN = 16
#: With fewer images, fine-tuning is refused.
FEWEST = 10


class FineTuneRecipe(HubRecipe):
    """Trains a copy of the hub's generator against pictures of one domain and exports its average as a domain.

    Starts from the hub's own discriminator where its bundle keeps one, else from a fresh one that first learns alone.

    :param hub: the frozen generator's hub, never touched. :param modality: the domain's, RGB pictures.
    """

    name = "finetune"
    kind: ClassVar[str] = "domain"
    Options: ClassVar[type[RecipeOptions]] = FineTuneOptions
    requires: ClassVar[tuple[str, ...]] = ("hub",)

    def __init__(self, name: str, hub: Hub, modality: Modality, choices: FineTuneOptions) -> None:
        check_hub(hub, name)
        if not modality.traits.picture or modality.output_channels != hub.config.image_channels:
            raise UsageError(
                f"domain {name!r}: a fine-tuned generator makes pictures like the hub's; modality "
                f"{modality.name!r} needs a regressor: leave --method finetune out"
            )
        try:
            critic = hub.discriminator()
        except MissingPartError:
            critic = None
        constants = choices.constants(critic is not None)
        start = HubStart(hub.name, hub.fingerprint, copy.deepcopy(hub.generator), critic)
        super().__init__(hub.config, constants, hub_name=name, half=choices.half, start=start)
        self.hub, self.choices, self._modality = hub, choices, modality.at(hub.size)
        self.batch = int(choices.preset_table()["batch"])
        self.frozen = choices.frozen_up_to(hub.size)

    @classmethod
    def build(cls, plan: TrainingPlan, options: Any, required: Mapping[str, Any]) -> FineTuneRecipe:
        recipe = cls(plan.name, required["hub"], plan.modality(OWN), options)
        recipe.check()
        return recipe

    def modality(self, data: str = OWN) -> Modality:
        return self._modality

    def describe(self) -> dict[str, Any]:
        frozen = {"frozen_resolution": self.frozen} if self.choices.freeze.startswith("lower") else {}
        return {
            "domain": self.hub_name, "hub": self.hub.fingerprint, "modality": modality_options(self._modality),
            "freeze": self.choices.freeze, **frozen, **self.options.to_dict(),
        }  # fmt: skip

    def fitted(self, data: Mapping[str, Samples]) -> FineTuneRecipe:
        """This recipe. :raises DataError: images so few that the copy could only repeat them."""
        count = len(data[OWN])
        if count < FEWEST:
            raise DataError(
                f"domain {self.hub_name!r}: {count} images are too few, the generator would only repeat them; give "
                f"{FEWEST} or more (100 or more for variety)"
            )
        return self

    # -- what learns ---------------------------------------------------------------------------------------------------

    def setup(self, context: TrainingContext) -> None:
        super().setup(context)
        for part in self._frozen_generator():
            part.requires_grad_(False)
        self.critic.freeze(self._frozen_discriminator())
        self.shown = self.hub.sample_z(SHOWN, seed=context.seed).cpu()

    def _frozen_generator(self) -> list[nn.Module | nn.Parameter]:
        """The parts of the copied generator that stay as the hub has them."""
        if self.choices.freeze == "none":
            return []
        frozen: list[nn.Module | nn.Parameter] = [self.generator.mapping]
        if self.choices.freeze == "lower-generator":
            synthesis = self.generator.synthesis
            frozen.append(synthesis.constant)
            frozen += [synthesis.block(side) for side in self.config.resolutions if side <= self.frozen]
        return frozen

    def _frozen_discriminator(self) -> list[nn.Module]:
        """The parts of the discriminator that stay as they are."""
        if self.choices.freeze != "lower-discriminator":
            return []
        blocks = self.discriminator.blocks.items()
        return [self.discriminator.from_rgb, *(block for side, block in blocks if int(side) >= self.frozen)]

    # -- what the trainer asks for -------------------------------------------------------------------------------------

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Tensor]:
        """Fixed latents in rows of eight: the hub's pictures, and below them the fine-tuned ones."""
        device, network = self.context.device, self.average.module
        latents = self.hub.map(self.shown.to(device))
        with self.context.autocast():
            above = self.hub.generator.synthesis(latents, noise="const").image
            below = network.synthesis(network.mapping(self.shown.to(device)), noise="const").image
        assert above is not None and below is not None
        rows = [part.float() for pair in zip(above.split(8), below.split(8), strict=True) for part in pair]
        return {"hub-and-domain": from_unit(torch.cat(rows)).cpu()}

    def contents(self) -> Contents:
        """The averaged generator as a domain: its weights that differ from the hub's."""
        weights = differing(self.averaged_generator().state_dict(), self.hub.generator)
        return Contents(
            {"name": ARCHITECTURE}, {PART: halved(weights) if self.half else weights}, card=self._card,
            name=self.hub_name, modality=modality_options(self._modality), hub=(self.hub.name, self.hub.fingerprint),
        )  # fmt: skip

    def domain(self) -> FineTunedDomain:
        """The domain of the averaged generator as it is now."""
        return FineTunedDomain(self.hub_name, self._modality, self.hub, self.averaged_generator())

    def record(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        names = (
            "data samples images_seen steps minutes seed precision device processes batch mirror count where data_set"
        )
        own = {"method": self.name, "options": self.choices.to_dict() | self.options.to_dict()}
        return self.chosen(facts, names, **own, **self.stop_record())

    def introduction(self) -> str:
        return (
            f"A copy of the generator of hub {self.hub.name}, fine-tuned on pictures of {self.hub_name} by "
            "`anchor add-domain --method finetune`: a latent of the hub gives a similar picture of this domain."
        )
