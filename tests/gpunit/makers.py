"""Tiny networks of GP-UNIT (32 px, random weights), as bundles and as the files that the authors released."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image

from anchor_gpunit.networks.configs import ContentConfig, GeneratorConfig
from anchor_gpunit.networks.content import ContentEncoder
from anchor_gpunit.networks.generator import Generator
from anchor_gpunit.networks.sampler import StyleSampler
from anchor_gpunit.prior import PART, prior_architecture
from anchor_gpunit.translator import translator_architecture, translator_parts
from anchor_hub.bundles.base import open_bundle, requirement_of, write_bundle

SIZE = 32
CONTENT = ContentConfig(size=SIZE, width=4, content_side=4)
GENERATOR = GeneratorConfig(
    size=SIZE, content_side=4, content_width=4, width=4, style_width=4, style_halvings=3, intensity=True
)
RGB = {"name": "rgb"}


def tiny_encoder(config: ContentConfig = CONTENT, seed: int = 0) -> ContentEncoder:
    torch.manual_seed(seed)
    return ContentEncoder(config).eval()


def tiny_generator(config: GeneratorConfig = GENERATOR, seed: int = 1) -> Generator:
    """A generator whose masks depend on the intensity."""
    torch.manual_seed(seed)
    generator = Generator(config).eval()
    with torch.no_grad():
        for parameter in generator.dynamic.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for parameter in (p for name, p in generator.named_parameters() if name.endswith("bias")):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return generator


def tiny_sampler(config: GeneratorConfig = GENERATOR, seed: int = 2) -> StyleSampler:
    torch.manual_seed(seed)
    return StyleSampler(config.style_dim, noise_dim=128).eval()


def prior_bundle(folder: Path, name: str = "content", *, encoder: ContentEncoder | None = None) -> Path:
    encoder = encoder or tiny_encoder()
    return write_bundle(
        folder, kind="prior", name=name, tensors={PART: encoder.state_dict()},
        architecture=prior_architecture(encoder.config), card=f"# {name}\n",
    )  # fmt: skip


def translator_bundle(folder: Path, prior: Path | None, name: str = "face-cat", **options: Any) -> Path:
    """A translator from ``face`` to ``cat`` that requires a prior, or brings the same content encoder."""
    content = None if prior is not None else tiny_encoder()
    generator = options.pop("generator", None) or tiny_generator()
    return write_bundle(
        folder, kind="translator", name=name,
        tensors=translator_parts(generator, tiny_sampler(), content, **options),
        architecture=translator_architecture(generator.config, content and content.config),
        source={"name": "face", "modality": RGB}, targets=[{"name": "cat", "modality": RGB}],
        requires=[] if prior is None else [requirement_of(open_bundle(prior))], card=f"# {name}\n",
    )  # fmt: skip


def picture(path: Path, seed: int = 0, side: int = 40) -> Path:
    """A PNG of coarse random colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = torch.randint(0, 256, (8, 8, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    Image.fromarray(values.numpy()).resize((side, side)).save(path)
    return path
