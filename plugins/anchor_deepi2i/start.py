"""Where DeepI2I's networks start: from a hub's generator and discriminator (section 3.2), or afresh."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_deepi2i.networks import FAMILIES, Networks
from anchor_deepi2i.options import RATES, DeepI2IOptions
from anchor_hub.errors import MissingPartError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.loading import load_hub
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminatorConfig
from anchor_hub.training.generators.start import discriminator_config


@dataclass(frozen=True)
class Start:
    """A hub's networks, and what is taken from them.

    :param critic: the hub's discriminator; None where nothing is taken from one. :param encoder: likewise.
    """

    hub: Hub
    kind: type[Networks]
    options: DeepI2IOptions
    critic: Any
    encoder: Any

    @classmethod
    def of(cls, hub: Hub, options: DeepI2IOptions) -> Start:
        """The start from a hub.

        :raises UsageError: a hub of another kind, one without a discriminator, or an encoder that does not fit it.
        """
        family = str(hub.architecture()["name"])
        if family not in RATES or (hub.classes and not FAMILIES[family].conditional):
            what = f"class-conditional {family}" if hub.classes and family in RATES else family
            raise UsageError(
                f"hub {hub.name!r} is a {what}; recipe deepi2i starts from a biggan, or a stylegan2 without classes"
            )
        needed = {"discriminator", "encoder"} - ({"encoder"} if options.encoder_from else set())
        critic = None
        if needed & set(options.transfer):
            critic = _discriminator(hub, "or start without one: --set transfer=generator")
        encoder = critic if "encoder" in options.transfer else None
        if options.encoder_from is not None:
            encoder = _other_encoder(hub, options.encoder_from)
        return cls(hub, FAMILIES[family], options, critic, encoder)

    @property
    def family(self) -> str:
        return self.kind.family

    @property
    def critic_config(self) -> Any:
        """The architecture of discriminators that start afresh, and of all others but for their classes."""
        if self.critic is not None:
            return self.critic.config
        config = self.hub.config
        if self.family == "stylegan2":
            return discriminator_config(config)
        channels = {side: count for side, count in config.feature_channels.items() if side < config.size}
        return BigGANDiscriminatorConfig.of_size(config.size, channels=channels, classes=config.classes)

    def rows(self, classes: Sequence[str]) -> Tensor:
        """The hub's class that each class starts from: the one of its name, else the hub's classes in turn."""
        known = {name.casefold(): index for index, name in enumerate(self.hub.classes)}
        count = max(len(known), 1)
        return torch.tensor([known.get(name.casefold(), index % count) for index, name in enumerate(classes)])

    def networks(self, classes: Sequence[str]) -> Networks:
        """New networks, the encoder without its head; weights that are not transferred are drawn.

        :raises UsageError: no maps of a side at which the options fuse.
        """
        options, config = self.options, self.hub.config
        if self.kind.conditional:
            config = replace(config, classes=len(classes))
        generator = self.kind.Generator(config)
        if "generator" in options.transfer:
            generator.load_state_dict(self._rows_of(self.hub.generator, classes))
        encoder = copy.deepcopy(self.encoder) if self.encoder is not None else self.kind.Encoder(self.critic_config)
        try:
            return self.kind(encoder.without_head(), generator, options.fusion_weights(encoder.sides))
        except ValueError as error:
            raise UsageError(f"fusion={options.fusion}: {error}") from None

    def discriminator(self, classes: Sequence[str]) -> Any:
        """A new discriminator of the classes, from the hub's unless it starts afresh."""
        config = self.critic_config
        if self.kind.conditional:
            config = replace(config, classes=len(classes))
        network = self.kind.Encoder(config)
        if "discriminator" in self.options.transfer:
            network.load_state_dict(self._rows_of(self.critic, classes))
        return network

    def _rows_of(self, network: nn.Module, classes: Sequence[str]) -> dict[str, Tensor]:
        """The state of a hub's network, its table of class vectors that of ``classes``."""
        state = {name: value.cpu() for name, value in network.state_dict().items()}
        rows = self.rows(classes)
        if self.kind.conditional and rows.tolist() != list(range(len(self.hub.classes))):
            state["embedding.weight"] = state["embedding.weight"][rows].clone()
            if "embedding.u" in state:  # of the power iteration: a vector with an entry for each class
                state["embedding.u"] = F.normalize(state["embedding.u"][rows], dim=0)
        return state


def _discriminator(hub: Hub, otherwise: str) -> Any:
    try:
        return hub.discriminator()
    except MissingPartError:
        raise UsageError(
            f"hub {hub.name!r} keeps no discriminator, from which DeepI2I's encoder and discriminator start: train it "
            f"with --keep-discriminator, {otherwise}"
        ) from None


def _other_encoder(hub: Hub, name: str) -> Any:
    """The discriminator of another hub, as an encoder. :raises UsageError: one of another kind or size."""
    other = load_hub(name)
    own, given = hub.architecture()["name"], other.architecture()["name"]
    if given != own or other.size != hub.size:
        raise UsageError(
            f"encoder_from={name}: an encoder of a {given} of {other.size} px does not fit hub {hub.name!r}, a {own} "
            f"of {hub.size} px; give a hub of its kind and size"
        )
    return _discriminator(other, "or leave encoder_from out")
