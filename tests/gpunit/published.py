"""GP-UNIT's networks with the weights of stored cases, under the names of the published files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor, nn

from anchor_gpunit import released
from anchor_gpunit.networks.autoencoder import AutoEncoder
from anchor_gpunit.networks.configs import ContentConfig, DiscriminatorConfig
from anchor_gpunit.networks.content import ContentEncoder
from anchor_gpunit.networks.discriminator import Discriminator
from anchor_gpunit.networks.generator import Generator
from anchor_gpunit.networks.sampler import StyleSampler
from anchor_hub.networks.blank import blank
from tests.parity import ParityCase, load_case

Network = TypeVar("Network", bound=nn.Module)


@cache
def case_of(name: str, dtype: torch.dtype = torch.float32) -> ParityCase:
    """A stored case, read once."""
    return load_case(name, dtype)


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under ``prefix``, which is dropped."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def filled(network: Network, weights: Mapping[str, Tensor]) -> Network:
    """The network with copies of the weights, in eval mode."""
    network.load_state_dict({name: value.clone() for name, value in weights.items()}, assign=True)
    return network.eval()


def content_encoder(state: Mapping[str, Tensor], *, spectral: bool = False) -> ContentEncoder:
    """The frozen content encoder, or the one in training."""
    config = ContentConfig(width=released.content_config(state).width, spectral=spectral)
    read = released.content_encoder if spectral else released.frozen_content_encoder
    return filled(blank(ContentEncoder, config), read(state))


def generator(state: Mapping[str, Tensor]) -> Generator:
    return filled(blank(Generator, released.generator_config(state)), released.generator(state))


def discriminator(state: Mapping[str, Tensor], max_width: int) -> Discriminator:
    return filled(blank(Discriminator, DiscriminatorConfig(max_width=max_width)), released.discriminator(state))


def sampler(state: Mapping[str, Tensor]) -> StyleSampler:
    return filled(StyleSampler(), released.sampler(state))


def autoencoder(state: Mapping[str, Tensor]) -> AutoEncoder:
    return filled(blank(AutoEncoder, released.autoencoder_config(state)), released.autoencoder(state))


def enlarged(pictures: Tensor) -> Tensor:
    """Pictures of 64 px at 256 px, every pixel repeated: as the cases say."""
    return pictures.repeat_interleave(4, 2).repeat_interleave(4, 3)
