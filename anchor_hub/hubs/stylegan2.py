"""Hubs of the StyleGAN2 family: latents are W+ codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from anchor_hub.bundles.base import Bundle
from anchor_hub.errors import BundleError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.statistics import latent_statistics
from anchor_hub.networks.blank import stored
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config, SynthesisOutput

ARCHITECTURE = "stylegan2"


class StyleGAN2Hub(Hub):
    """A frozen StyleGAN2 generator; latents are W+ ``[B, L, D]``, feature maps those right before each ToRGB."""

    config: StyleGAN2Config

    @property
    def feature_channels(self) -> dict[int, int]:
        return dict(sorted(self.config.channels_of.items()))

    def architecture(self) -> dict[str, Any]:
        return {"name": ARCHITECTURE, "config": self.config.to_dict()}

    @property
    def code_shape(self) -> tuple[int, ...]:
        return (self.config.code_dim,)

    def map(self, z: Tensor) -> Tensor:
        """``z [n, z_dim]`` to ``w [n, D]`` through the mapping network, of the fixed class where there are classes."""
        z = z.to(self.mean_latent)
        return self.generator.mapping(z, self.labels(len(z))) if self.classes else self.generator.mapping(z)

    def run(
        self, latents: Tensor, features: tuple[int, ...], image: bool, noise: str | Sequence[Tensor]
    ) -> SynthesisOutput:
        return self.run_learning(latents, features, image, noise, None)

    def run_learning(
        self, latents: Tensor, features: tuple[int, ...], image: bool, noise: Any, learned: int | None
    ) -> SynthesisOutput:
        return self.generator.synthesis(latents, noise=noise, features=features, image=image, learned=learned)

    @classmethod
    def generator_types(cls) -> tuple[type[nn.Module], ...]:
        return (Generator,)

    @classmethod
    def around(
        cls, generator: nn.Module, name: str, *, seed: int, samples: int, classes: Sequence[str]
    ) -> StyleGAN2Hub:
        assert isinstance(generator, Generator)
        mean, covariance = latent_statistics(generator, seed=seed, samples=samples)
        classes = classes or tuple(map(str, range(getattr(generator.config, "classes", 0))))
        return cls(generator, mean, covariance, name=name, classes=classes)

    @classmethod
    def read(cls, bundle: Bundle, classes: Sequence[str]) -> StyleGAN2Hub:
        try:
            config = StyleGAN2Config.from_dict(bundle.manifest.architecture["config"])
            generator = stored(lambda: Generator(config), partial(bundle.tensors, "generator"))
        except BundleError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise BundleError(f"{bundle.path}: bad hub architecture: {str(error)[:100]}") from None
        size = config.latent_dim
        statistics = bundle.tensors("statistics", {"mean_latent": (size,), "covariance": (size, size)})
        mean, covariance = statistics["mean_latent"], statistics["covariance"]
        return cls(generator, mean, covariance, name=bundle.manifest.name, classes=classes)
