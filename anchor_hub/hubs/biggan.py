"""Hubs of the BigGAN family: latents are chunks of z, pictures are of the class that a view of the hub fixes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from anchor_hub.bundles.base import Bundle
from anchor_hub.errors import BundleError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.biggan import BigGAN, BigGANConfig
from anchor_hub.networks.biggan_deep import BigGANDeep, BigGANDeepConfig
from anchor_hub.networks.blank import stored
from anchor_hub.networks.stylegan2 import SynthesisOutput

#: Bound of z, in standard deviations, for truncated samples.
CUT = 2.0
#: architecture name -> generator and its configuration
GENERATORS: dict[str, tuple[Any, Any]] = {
    "biggan": (BigGAN, BigGANConfig),
    "biggan-deep": (BigGANDeep, BigGANDeepConfig),
}


class BigGANHub(Hub):
    """A frozen BigGAN or BigGAN-deep generator; latents are z ``[B, L, D]``, standard normal.

    A hierarchical BigGAN has L chunks of z of length D: the first for the layout at 4 px, one for every block after
    that. BigGAN-deep has one (L = 1). The mean is zero and the covariance the identity: nothing is measured. A
    generator published for a truncation (BigGAN-deep: 0.4, for which its batch norms are made) is sampled with that
    truncation, and its covariance is that of such samples.

    Feature maps are the last activations of each resolution; the finest lies before the last norm and RGB convolution.
    There is no noise.
    """

    layers_share_code = False
    latent_name = "z"

    def __init__(
        self,
        generator: nn.Module,
        *,
        name: str,
        fingerprint: str | None = None,
        classes: Sequence[str] = (),
    ) -> None:
        config: Any = generator.config
        size = config.latent_dim
        names = tuple(classes) or tuple(str(number) for number in range(config.classes))
        if len(names) != config.classes:
            raise BundleError(f"hub {name!r}: {len(names)} class names do not fit {config.classes} classes")
        covariance = torch.eye(size) * _deviation(config.truncation) ** 2
        super().__init__(
            generator, torch.zeros(size), covariance, name=name, fingerprint=fingerprint, classes=names
        )

    @property
    def feature_channels(self) -> dict[int, int]:
        return dict(sorted(self.config.feature_channels.items()))

    def architecture(self) -> dict[str, Any]:
        name = next(name for name, (network, _) in GENERATORS.items() if isinstance(self.generator, network))
        return {"name": name, "config": self.config.to_dict()}

    @property
    def code_shape(self) -> tuple[int, ...]:
        return (self.num_latents, self.latent_dim)

    def map(self, z: Tensor) -> Tensor:
        """z itself, as ``[n, L, D]``: BigGAN has no mapping network."""
        return self.expand(z.to(self.mean_latent))

    def expand(self, latents: Tensor) -> Tensor:
        """``[B, L, D]``, ``[B, L * D]``, or one code ``[B, D]`` or ``[B, 1, D]`` for all chunks, to ``[B, L, D]``.

        :raises ValueError: any other shape.
        """
        if latents.ndim == 2 and latents.shape[1] == self.num_latents * self.latent_dim:
            return latents.unflatten(1, (self.num_latents, self.latent_dim))
        return super().expand(latents)

    def sample(
        self,
        n: int,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        truncation: float = 1.0,
        start: int = 0,
    ) -> Tensor:
        """``n`` latents ``[n, L, D]``: standard normal, or truncated where a truncation is below 1.

        The truncation trick of the paper: values beyond two standard deviations are drawn again (here: folded back
        by the quantile function, so that a seed gives one sample), and all are scaled by both truncations.
        """
        z = self.sample_z(n, seed=seed, generator=generator, start=start)
        scale = truncation * self.config.truncation
        return z * truncation if scale >= 1.0 else scale * truncated(z)

    def run(
        self, latents: Tensor, features: tuple[int, ...], image: bool, noise: str | Sequence[Tensor]
    ) -> SynthesisOutput:
        return self.generator(latents, self.labels(len(latents)), features=features, image=image)

    @classmethod
    def generator_types(cls) -> tuple[type[nn.Module], ...]:
        return tuple(network for network, _ in GENERATORS.values())

    @classmethod
    def around(
        cls, generator: nn.Module, name: str, *, seed: int, samples: int, classes: Sequence[str]
    ) -> BigGANHub:
        return cls(generator, name=name, classes=classes)

    @classmethod
    def read(cls, bundle: Bundle, classes: Sequence[str]) -> BigGANHub:
        network, config_class = GENERATORS[bundle.manifest.architecture["name"]]
        try:
            config = config_class.from_dict(bundle.manifest.architecture["config"])
            # Orthogonal initial weights take long to compute for a large hub, and would only be replaced.
            generator = stored(lambda: network(config), partial(bundle.tensors, "generator"))
        except BundleError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise BundleError(f"{bundle.path}: bad hub architecture: {str(error)[:100]}") from None
        return cls(generator, name=bundle.manifest.name, classes=classes)

    def _statistics(self) -> dict[str, Tensor]:
        return {}


def _deviation(truncation: float) -> float:
    """Standard deviation of samples of that truncation: 0.8796 (of a normal cut at two deviations) times it."""
    if truncation >= 1.0:
        return 1.0
    density, inside = math.exp(-CUT**2 / 2) / math.sqrt(2 * math.pi), math.erf(CUT / math.sqrt(2))
    return truncation * math.sqrt(1 - 2 * CUT * density / inside)


def truncated(z: Tensor, cut: float = CUT) -> Tensor:
    """Standard normal numbers to normal numbers cut to ``[-cut, cut]``, order kept: ``F_cut^-1(F(z))``."""
    edge = torch.special.ndtr(torch.tensor(cut, dtype=torch.float64))
    inside = (1 - edge) + torch.special.ndtr(z.double()) * (2 * edge - 1)
    return torch.special.ndtri(inside).to(z)
