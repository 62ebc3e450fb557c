"""GP-UNIT at its published size, with random weights: a translation, and the arithmetic of a step of stage II.

The plain formulation (`plain_gpunit.py`) is the published code's: in a translation the spectral norm divides weights
in every pass, in a step after a power iteration; the discriminator judges made and real pictures in one pass, with the
gradients of its weights, whoever learns. Neither side has the perceptual loss, which is VGG-19's time on both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import plain_gpunit as plain
from benchmarks.measuring import Piece

SIDE, STYLE_LAYER = 256, 4
LEARNING_RATE, BETAS, DECAY = 1e-4, (0.0, 0.99), 1e-4


def _networks() -> tuple[Any, Any, Any]:
    """Content encoder with spectral norms, generator and discriminator."""
    from anchor_gpunit.networks.configs import ContentConfig, DiscriminatorConfig, GeneratorConfig
    from anchor_gpunit.networks.content import ContentEncoder
    from anchor_gpunit.networks.discriminator import Discriminator
    from anchor_gpunit.networks.generator import Generator
    from anchor_hub.networks.biggan_layers import SpectralWeight

    torch.manual_seed(0)
    encoder = ContentEncoder(ContentConfig(spectral=True))
    made = encoder, Generator(GeneratorConfig()), Discriminator(DiscriminatorConfig())
    for network in made:
        for module in network.modules():
            if isinstance(module, SpectralWeight) and module.v is not None:
                # Where the power iteration ends, so that its number of passes does not matter.
                matrix = module.weight.detach().flatten(1)
                module.u.copy_(torch.linalg.eigh(matrix @ matrix.t())[1][:, -1])
                module.v.copy_(torch.nn.functional.normalize(matrix.t() @ module.u, dim=0))
    return made


def _plain_networks() -> tuple[Any, Any, Any]:
    made = plain.ContentEncoder(64), plain.Generator(64, 64), plain.Discriminator(64, 512)
    for ours, theirs in zip(_networks(), made, strict=True):
        theirs.load_state_dict(ours.state_dict())
    return made


def _frozen_encoder(encoder: Any) -> Any:
    from anchor_gpunit.networks.blocks import fold, folded_weights
    from anchor_gpunit.networks.configs import ContentConfig
    from anchor_gpunit.networks.content import ContentEncoder
    from anchor_hub.networks.blank import lay_out

    frozen = ContentEncoder(ContentConfig())
    frozen.load_state_dict(folded_weights(encoder.state_dict()))
    return fold(lay_out(frozen.requires_grad_(False)))


def _pictures(seed: int) -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def translating(as_plain: bool = False) -> Callable[[Path], Piece]:
    """One picture in the style of another."""

    def build(cache: Path) -> Piece:
        x, y = _pictures(1), _pictures(2)
        if as_plain:
            encoder, generator, _ = (network.eval() for network in _plain_networks())

            def translate() -> Tensor:
                picture: Tensor = generator(encoder(x), generator.style(y))[0]
                return picture
        else:
            from anchor_gpunit.networks.sampler import StyleSampler
            from anchor_gpunit.translator import GpUnitTranslator
            from anchor_hub import build_modality

            spectral, generator, _ = _networks()
            rgb = build_modality({"name": "rgb"})
            ends = ("source", rgb), ("target", rgb)
            between = GpUnitTranslator(*ends, _frozen_encoder(spectral), generator, StyleSampler())

            def translate() -> Tensor:
                return between.translate(x, between.reference_styles(y))

        @torch.inference_mode()
        def call() -> Tensor:
            return translate()

        return Piece([(1, call)], 1, "fp32", output=call, note="1 picture, 1 exemplar")

    return build


def _adam(network: Any) -> Any:
    return torch.optim.Adam(network.parameters(), LEARNING_RATE, betas=BETAS, weight_decay=DECAY)


def step(as_plain: bool = False) -> Callable[[Path], Piece]:
    """Both networks' step on one pair of pictures; the output is its losses."""

    def build(cache: Path) -> Piece:
        from anchor_gpunit import losses
        from anchor_hub.networks.blank import lay_out

        x, y = _pictures(1), _pictures(2)
        encoder, generator, critic = _plain_networks() if as_plain else _networks()
        encoder.requires_grad_(False)
        frozen = encoder if as_plain else _frozen_encoder(encoder)
        if not as_plain:
            lay_out(generator)
            lay_out(critic)
        start = [{name: value.clone() for name, value in net.state_dict().items()} for net in (generator, critic)]
        optimisers = _adam(generator), _adam(critic)

        def judged(pictures: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
            """Logits and style features of each batch: plain, in one pass; ours, made ones alone with gradients."""
            if as_plain:
                logits, styles = critic(torch.cat(list(pictures)), STYLE_LAYER)
                return list(zip(logits.chunk(2), styles.chunk(2), strict=True))
            critic.requires_grad_(False)
            made, (style,) = critic(pictures[0], [STYLE_LAYER])
            with torch.no_grad():
                real, (wanted,) = critic(pictures[1], [STYLE_LAYER])
            return [(made, style), (real, wanted)]

        def made(maps: Sequence[Tensor], code: Tensor, use_skips: bool) -> tuple[Tensor, Sequence[Tensor]]:
            images, masks = generator(maps, code, use_skips=use_skips)
            return images, masks

        def learn() -> Tensor:
            with torch.no_grad():
                source, target = frozen(x), frozen(y)
            code = generator.style(y)
            translated, masks = made(source, code, True)
            again, _ = made(target, code, False)
            (fake, style), (_, wanted) = judged((translated, y))
            parts = [
                losses.generator_loss(fake, saturating=False),
                losses.CONTENT_WEIGHT * losses.content_loss(frozen(translated)[0], source[0]),
                losses.STYLE_WEIGHT * losses.style_loss(style, wanted),
                losses.MASK_WEIGHT * losses.mask_loss(masks),
                losses.RECONSTRUCTION_WEIGHT * losses.reconstruction_loss(again, y),
            ]
            optimisers[0].zero_grad()
            sum(parts, start=x.new_zeros(())).backward()  # type: ignore[no-untyped-call]
            optimisers[0].step()
            with torch.no_grad():
                fresh = made(frozen(x) if as_plain else source, generator.style(y), True)[0]
            critic.requires_grad_(True)
            pictures = y.clone().requires_grad_()
            if as_plain:
                fake, real = critic(torch.cat([fresh, pictures]), STYLE_LAYER)[0].chunk(2)
            else:
                fake, real = critic(fresh)[0], critic(pictures)[0]
            parts += [losses.discriminator_loss(real, fake), losses.r1_penalty(real, pictures)]
            optimisers[1].zero_grad()
            (parts[-2] + parts[-1]).backward()  # type: ignore[no-untyped-call]
            optimisers[1].step()
            return torch.stack([part.detach() for part in parts])

        @torch.enable_grad()
        def output() -> Tensor:
            found = learn()
            for network, state in zip((generator, critic), start, strict=True):
                network.load_state_dict(state)
            return found[:5]  # the discriminator's come behind an update, which rounding alone decides in part

        return Piece([(1, learn)], 1, "fp32", training=True, output=output, note="1 pair")

    return build
