"""The networks of DeepI2I: encoder, adaptors and generator, for each family of generative networks.

``y = G(A(E(x)), c, z)`` (section 3.1): the encoder E is a discriminator without its head, the adaptors A are a small
network for each resolution, and the generator adds their maps to its own, ``G_l + w_l A_l`` (equation 5).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from anchor_deepi2i.stylegan import StyleGANConfig, StyleGANDiscriminator, StyleGANGenerator
from anchor_deepi2i.stylegan_layers import ScaledConv, leaky
from anchor_hub.networks.biggan import BigGAN, BigGANConfig
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminator, BigGANDiscriminatorConfig, DownBlock
from anchor_hub.networks.biggan_layers import fold_spectral
from anchor_hub.networks.layers import EqualConv2d
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig

Maps = Mapping[int, Tensor]
#: Samples of the mean style of a kind that maps z.
MEAN_SAMPLES = 4096


class EqualAdaptor(nn.Module):
    """Two 3x3 convolutions with leaky ReLU, of equalised learning rate: StyleGAN's adaptor, for StyleGAN2's layers."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualConv2d(in_channels, out_channels, 3, activate=True)
        self.conv2 = EqualConv2d(out_channels, out_channels, 3, activate=True)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, R, R]`` to ``[B, out, R, R]``."""
        y: Tensor = self.conv2(self.conv1(x))
        return y


class ScaledAdaptor(nn.Module):
    """The published adaptor of the StyleGAN kind: two 3x3 convolutions with leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = ScaledConv(in_channels, out_channels, 3), ScaledConv(out_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, in, R, R]`` to ``[B, out, R, R]``."""
        return leaky(self.conv2(leaky(self.conv1(x))))


class Networks(nn.Module, ABC):
    """Encoder, adaptors and generator of one family.

    :param encoder: a discriminator of the family, with or without its head; only its features are used.
    :param generator: a generator of the family, for images of the same size.
    :param fusion: side of a map -> its weight w; the sides at which there are adaptors.
    :raises ValueError: a side at which encoder or generator have no map, or images of different sizes.
    """

    family: ClassVar[str]
    Generator: ClassVar[Any]
    GeneratorConfig: ClassVar[Any]
    Encoder: ClassVar[Any]
    EncoderConfig: ClassVar[Any]
    #: Whether the generator has a class embedding.
    conditional: ClassVar[bool] = False

    def __init__(self, encoder: Any, generator: Any, fusion: Mapping[int, float]) -> None:
        super().__init__()
        config = generator.config
        if encoder.config.size != config.size:
            raise ValueError(f"an encoder of {encoder.config.size} px does not fit a generator of {config.size} px")
        self.encoder, self.generator = encoder, generator
        self.fusion = {int(side): float(weight) for side, weight in sorted(fusion.items())}
        made, read = self.generator_channels(config), encoder.map_channels
        if missing := [side for side in self.fusion if side not in made or side not in read]:
            shared = sorted(set(made) & set(read))
            raise ValueError(f"no maps of {missing} px to fuse; encoder and generator share those of {shared} px")
        self.adaptors = nn.ModuleDict(
            {str(side): self.adaptor(read[side], made[side], config) for side in reversed(self.fusion)}
        )

    @staticmethod
    @abstractmethod
    def generator_channels(config: Any) -> dict[int, int]:
        """Channels of the generator's map of each side to which one can be added."""

    @staticmethod
    @abstractmethod
    def adaptor(in_channels: int, out_channels: int, config: Any) -> nn.Module:
        """A new adaptor of one side."""

    @property
    @abstractmethod
    def code_shape(self) -> tuple[int, ...]:
        """Shape of a z, standard normal."""

    def styles(self, z: Tensor) -> Tensor:
        """What the generator takes of z ``[B, *code_shape]``: codes ``[B, D]``; of a BigGAN, z itself."""
        return z

    def mean_style(self) -> Tensor:
        """The mean of all styles, ``[1, ...]``."""
        stream = torch.Generator().manual_seed(0)
        z = torch.randn(MEAN_SAMPLES, *self.code_shape, generator=stream)
        with torch.no_grad():
            return self.styles(z.to(next(self.generator.parameters()).device)).mean(0, keepdim=True)

    @abstractmethod
    def generate(self, style: Tensor, labels: Tensor | None, added: Maps) -> Tensor:
        """Images ``[B, 3, S, S]`` of styles ``[B, ...]``, classes ``[B]`` and the maps to add."""

    @property
    def size(self) -> int:
        """Height and width of the images in pixels."""
        return int(self.generator.config.size)

    def features(self, images: Tensor) -> dict[int, Tensor]:
        """E(x): the encoder's map of each fused side, of images ``[B, 3, S, S]`` in [-1, 1]."""
        found: dict[int, Tensor] = self.encoder.maps(images, tuple(self.fusion))
        return found

    def adapt(self, features: Maps) -> dict[int, Tensor]:
        """``w_l A_l``: what the generator adds to its own map of each side. A weight of 0 costs nothing."""
        return {
            side: weight * self.adaptors[str(side)](features[side]) for side, weight in self.fusion.items() if weight
        }

    def forward(self, images: Tensor, z: Tensor, labels: Tensor | None) -> Tensor:
        """Translations ``[B, 3, S, S]`` of images, into classes ``[B]``."""
        return self.generate(self.styles(z), labels, self.adapt(self.features(images)))

    # -- for what learns no more -----------------------------------------------------------------------------------

    @classmethod
    def fold(cls, network: nn.Module, *, divide: bool = True) -> nn.Module:
        """The network itself, in eval mode, with everything folded that training recomputes in every pass."""
        return network.eval()

    def freeze(self) -> Networks:
        """These networks for inference: folded, without gradients."""
        for part in (self.encoder, self.adaptors, self.generator):
            self.fold(part)
        return self.requires_grad_(False)

    def describe(self) -> dict[str, Any]:
        """What :func:`build_networks` makes the same architecture from, as plain JSON values."""
        return {
            "family": self.family,
            "size": self.size,
            "generator": self.generator.config.to_dict(),
            "encoder": self.encoder.config.to_dict(),
            "fusion": {str(side): weight for side, weight in self.fusion.items()},
        }

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """What a bundle holds: part -> name -> tensor."""
        return {name: getattr(self, name).state_dict() for name in ("encoder", "adaptors", "generator")}


class BigGANNetworks(Networks):
    """The BigGAN kind: many classes, spectral norms, residual adaptors."""

    family = "biggan"
    Generator, GeneratorConfig = BigGAN, BigGANConfig
    Encoder, EncoderConfig = BigGANDiscriminator, BigGANDiscriminatorConfig
    conditional = True

    @staticmethod
    def generator_channels(config: BigGANConfig) -> dict[int, int]:
        return config.feature_channels

    @staticmethod
    def adaptor(in_channels: int, out_channels: int, config: BigGANConfig) -> nn.Module:
        epsilon = config.spectral_epsilon
        return DownBlock(in_channels, out_channels, down=False, first=False, wide=True, epsilon=epsilon)

    @property
    def code_shape(self) -> tuple[int, ...]:
        return (self.generator.config.num_latents, self.generator.config.latent_dim)

    def mean_style(self) -> Tensor:
        return torch.zeros(1, *self.code_shape, device=next(self.generator.parameters()).device)

    def generate(self, style: Tensor, labels: Tensor | None, added: Maps) -> Tensor:
        image = self.generator(style, labels, added=added).image
        assert isinstance(image, Tensor)
        return image

    @classmethod
    def fold(cls, network: nn.Module, *, divide: bool = True) -> nn.Module:
        return fold_spectral(network, divide=divide)


class StyleGAN2Networks(Networks):
    """The StyleGAN2 kind: one target, adaptors of two convolutions."""

    family = "stylegan2"
    Generator, GeneratorConfig = Generator, StyleGAN2Config
    Encoder, EncoderConfig = Discriminator, DiscriminatorConfig

    @staticmethod
    def generator_channels(config: StyleGAN2Config) -> dict[int, int]:
        return dict(config.channels_of)

    @staticmethod
    def adaptor(in_channels: int, out_channels: int, config: StyleGAN2Config) -> nn.Module:
        return EqualAdaptor(in_channels, out_channels)

    @property
    def code_shape(self) -> tuple[int, ...]:
        return (self.generator.config.code_dim,)

    def styles(self, z: Tensor) -> Tensor:
        codes: Tensor = self.generator.mapping(z)
        return codes

    def generate(self, style: Tensor, labels: Tensor | None, added: Maps) -> Tensor:
        noise = "random" if self.training else "const"
        image = self.generator.synthesis(style, noise=noise, added=added).image
        assert isinstance(image, Tensor)
        return image


class StyleGANNetworks(Networks):
    """The StyleGAN kind, as published: one target, adaptors of two convolutions."""

    family = "stylegan"
    Generator, GeneratorConfig = StyleGANGenerator, StyleGANConfig
    Encoder, EncoderConfig = StyleGANDiscriminator, StyleGANConfig

    @staticmethod
    def generator_channels(config: StyleGANConfig) -> dict[int, int]:
        return config.channels_of

    @staticmethod
    def adaptor(in_channels: int, out_channels: int, config: StyleGANConfig) -> nn.Module:
        return ScaledAdaptor(in_channels, out_channels)

    @property
    def code_shape(self) -> tuple[int, ...]:
        return (self.generator.config.code_dim,)

    def styles(self, z: Tensor) -> Tensor:
        codes: Tensor = self.generator.map(z)
        return codes

    def generate(self, style: Tensor, labels: Tensor | None, added: Maps) -> Tensor:
        image: Tensor = self.generator(style, noise=self.noises(style), added=added)
        return image

    def noises(self, z: Tensor) -> list[Tensor]:
        """Noise maps ``[1, 1, R, R]`` of the blocks: the same in every call, so that an output repeats."""
        stream = torch.Generator().manual_seed(0)
        sides = self.generator.config.resolutions
        return [torch.randn(1, 1, side, side, generator=stream).to(z) for side in sides]


FAMILIES: dict[str, type[Networks]] = {
    kind.family: kind for kind in (BigGANNetworks, StyleGAN2Networks, StyleGANNetworks)
}


def build_networks(table: Mapping[str, Any]) -> Networks:
    """Fresh networks from what :meth:`Networks.describe` gives, the encoder without its head.

    :raises KeyError, TypeError, ValueError, AttributeError: a bad table.
    """
    kind = FAMILIES[table["family"]]
    encoder = kind.Encoder(kind.EncoderConfig.from_dict(table["encoder"])).without_head()
    generator = kind.Generator(kind.GeneratorConfig.from_dict(table["generator"]))
    return kind(encoder, generator, {int(side): float(weight) for side, weight in dict(table["fusion"]).items()})
