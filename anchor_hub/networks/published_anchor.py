"""The published latent-space anchoring model, assembled: encoder, StyleGAN2 generator(s) and regressor.

The model is for published checkpoints. It differs from this project's own domains: the regressor reads both feature
maps of a resolution (also the one before the last convolution), every picture is pooled to 256 px, and one variant has
a fine-tuned generator as its decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.errors import ConfigError, MissingPartError
from anchor_hub.networks.regressors import Regressor
from anchor_hub.networks.stylegan2 import Generator, Noise

#: Side in pixels of the regressor's input and of every published picture.
PUBLISHED_SIZE = 256


class PublishedOutput(NamedTuple):
    """``image`` ``[B, 3, 256, 256]`` of the hub, ``output`` ``[B, C, 256, 256]`` of the domain (raw), and the
    hub's image at full size.
    """

    image: Tensor
    output: Tensor
    full_image: Tensor


def layer_activations(
    generator: Generator, latents: Tensor, *, noise: Noise = "const", up_to: int | None = None
) -> tuple[Tensor, list[Tensor]]:
    """A generator's image and all its activations: the 4x4 constant, then every styled convolution's output.

    Entries ``2 k`` and ``2 k + 1`` (k > 0) are the maps of resolution ``4 * 2 ** k``; 256 px has entries 12 and 13.

    :param up_to: resolution in pixels after which to stop; the image is then the one accumulated so far.
    """
    activations = [generator.synthesis.constant.expand(latents.shape[0], -1, -1, -1)]
    hooks = [
        conv.register_forward_hook(lambda _module, _inputs, output: activations.append(output))
        for conv in generator.synthesis.styled_convs()
    ]
    try:
        stop = up_to if up_to is not None and up_to < generator.config.size else None
        image = generator.synthesize(latents, noise=noise, up_to=stop).image
    finally:
        for hook in hooks:
            hook.remove()
    assert image is not None
    return image, activations


def aggregate(activations: Sequence[Tensor], how: Literal["single", "concat"] | int = "single") -> Tensor:
    """The input of a published regressor, ``[B, channels, 256, 256]``.

    ``single``: both maps of 256 px, also for larger generators. ``concat``: all maps up to 256 px. An integer
    k: maps ``2 k`` and ``2 k + 1``. Smaller maps are resized bilinearly.

    :raises ConfigError: the generator is too small for the choice.
    """
    if how == "concat":
        chosen = list(activations[:14])
    else:
        pair = 6 if how == "single" else int(how)
        chosen = list(activations[2 * pair : 2 * pair + 2]) if pair >= 0 else []
    if len(chosen) < 2:
        raise ConfigError(f"feature aggregation {how!r}: the generator has only {len(activations)} maps")
    size = (PUBLISHED_SIZE, PUBLISHED_SIZE)
    return torch.cat(
        [
            m if m.shape[-2:] == size else F.interpolate(m, size, mode="bilinear", align_corners=False)
            for m in chosen
        ],
        dim=1,
    )


class PublishedAnchor(nn.Module):
    """One published domain.

    :param generator: the frozen hub; it makes the translated picture.
    :param encoder: images to offsets ``[B, L, D]``; may be ``None`` for a target domain.
    :param regressor: reads the aggregated maps as ``features[256]``; may be ``None`` with
        ``domain_generator``.
    :param mean_latent: ``[L, D]`` or ``[1, D]``, added to the offsets; ``None`` adds nothing.
    :param domain_generator: the variant with a fine-tuned copy of the generator: it makes the domain's
        picture instead of the regressor.
    """

    mean_latent: Tensor | None

    def __init__(
        self,
        generator: Generator,
        *,
        encoder: nn.Module | None = None,
        regressor: Regressor | None = None,
        mean_latent: Tensor | None = None,
        domain_generator: Generator | None = None,
        aggregation: Literal["single", "concat"] | int = "single",
    ) -> None:
        super().__init__()
        self.generator, self.encoder, self.regressor = generator, encoder, regressor
        self.domain_generator, self.aggregation = domain_generator, aggregation
        self.register_buffer("mean_latent", mean_latent)

    def encode(self, images: Tensor) -> Tensor:
        """Codes ``[B, L, D]`` of images ``[B, C, 256, 256]``, mean latent added (equation 1).

        :raises MissingPartError: no encoder.
        """
        if self.encoder is None:
            raise MissingPartError("this published domain has no encoder: it can only be translated to")
        offsets: Tensor = self.encoder(images)
        return offsets if self.mean_latent is None else offsets + self.mean_latent

    def decode(self, codes: Tensor, *, noise: Noise = "const") -> PublishedOutput:
        """Pictures of codes ``[B, L, D]`` or ``[B, D]`` (equations 1 and 2).

        :raises MissingPartError: neither a regressor nor a generator of the domain.
        """
        if self.domain_generator is not None:
            full = self.generator.synthesize(codes, noise=noise).image
            domain = self.domain_generator.synthesize(codes, noise=noise).image
            assert full is not None and domain is not None
            return PublishedOutput(_pool(full), _pool(domain), full)
        if self.regressor is None:
            raise MissingPartError("this published domain has no regressor: it can only be translated from")
        full, activations = layer_activations(self.generator, codes, noise=noise)
        output = self.regressor({PUBLISHED_SIZE: aggregate(activations, self.aggregation)})
        return PublishedOutput(_pool(full), output, full)


def _pool(image: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(image, PUBLISHED_SIZE)
