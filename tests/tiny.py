"""A tiny hub (16 px, 16 channels, random weights) and tiny domains on it, for tests that need real bundles.

hub = tiny_hub(seed=0)                            # a Hub in memory, the same weights for the same seed
domain = tiny_domain("seg", hub)                  # an AnchoredDomain in memory
home = tiny_home(tmp_path, monkeypatch)           # $ANCHOR_HOME with hub "tiny" and the domains below as
bundles write_sample("seg", folder / "a.png", seed=3)     # an input file of a domain
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.domains.loading import clear_cache
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import build_modality
from anchor_hub.networks.biggan import BigGAN, BigGANConfig
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

SIZE, CHANNELS, LATENT = 16, 16, 16
CLASSES = 5
COMPACT = {"name": "compact", "options": {"width": 4}}

#: name -> modality and architecture of the domains of :func:`tiny_home`.
DOMAINS: dict[str, dict[str, Any]] = {
    "face": {"modality": {"name": "rgb"}, "encoder": COMPACT, "regressor": "hub", "structure_layers": 6},
    "seg": {
        "modality": {"name": "segmentation", "classes": CLASSES},
        "encoder": COMPACT,
        "regressor": {"name": "compact", "options": {"resolutions": [8, 16], "width": 4}},
        "structure_layers": 4,
    },
    "sketch": {
        "modality": {"name": "gray"},
        "encoder": COMPACT,
        "regressor": {"name": "shallow", "options": {"resolutions": [8]}},
        "structure_layers": 4,
    },
    "points": {
        "modality": {"name": "landmarks", "points": 68},
        "encoder": COMPACT,
        "regressor": {"name": "shallow", "options": {"resolutions": [16]}},
        "structure_layers": 4,
    },
    "decode-only": {
        "modality": {"name": "gray"},
        "encoder": None,
        "regressor": {"name": "shallow", "options": {"resolutions": [8]}},
        "structure_layers": 4,
    },
    "encode-only": {
        "modality": {"name": "gray"},
        "encoder": COMPACT,
        "regressor": None,
        "structure_layers": 4,
    },
}


def tiny_generator(
    seed: int = 0, size: int = SIZE, channels: int = CHANNELS, latent: int = LATENT
) -> Generator:
    """A generator with random weights; the same seed gives the same ones."""
    table = {resolution: channels for resolution in (4, 8, 16, 32, 64) if resolution <= size}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = Generator(StyleGAN2Config(size=size, latent_dim=latent, mapping_layers=2, channels=table))
        # Some noise, so that a test can tell whether it was used.
        for conv in generator.synthesis.styled_convs():
            torch.nn.init.constant_(conv.noise_strength, 0.05)
    return generator


def tiny_hub(seed: int = 0, name: str = "tiny", size: int = SIZE) -> Hub:
    """A hub around :func:`tiny_generator`, statistics of 4,000 samples."""
    return Hub.from_generator(tiny_generator(seed, size), name, samples=4000)


def tiny_biggan(seed: int = 0, name: str = "zoo", classes: tuple[str, ...] = ("cat", "dog", "hen")) -> Hub:
    """A hub around a hierarchical BigGAN of 16 px with random weights: 3 chunks of z of length 4."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = BigGANConfig(
            SIZE, latent_dim=4, classes=len(classes), embedding_dim=6, channels={4: 16, 8: 8, 16: 8}, attention=(8,)
        )
        generator = BigGAN(config)
        for parameter in generator.parameters():
            # Fresh class-conditional gains are nearly zero; these make classes and chunks count.
            torch.nn.init.normal_(parameter, std=0.5)
    return Hub.from_generator(generator, name, classes=classes)


def tiny_domain(name: str, hub: Hub, *, seed: int = 1, **changes: Any) -> AnchoredDomain:
    """One of :data:`DOMAINS` (or another one, described by ``changes``) with random weights, in eval mode."""
    table = {**DOMAINS.get(name, {}), **changes}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        modality = build_modality(table.pop("modality"))
        domain = AnchoredDomain.build(name, modality, hub, **table)
        if domain.encoder is not None:
            # Fresh encoders predict the mean latent; these react to their input.
            with torch.no_grad():
                domain.encoder.weight.mul_(20)
    return domain.eval()


def tiny_home(tmp_path: Path, monkeypatch: Any = None, domains: tuple[str, ...] = tuple(DOMAINS)) -> Path:
    """A home folder with hub ``tiny`` and bundles of ``domains``; made $ANCHOR_HOME with a
    ``monkeypatch``."""
    home = tmp_path / "home"
    hub = tiny_hub()
    if not (home / "hubs" / "tiny").exists():
        hub.save(home / "hubs" / "tiny")
    for name in domains:
        if not (home / "domains" / name).exists():
            tiny_domain(name, hub).save(home / "domains" / name)
    if monkeypatch is not None:
        monkeypatch.setenv("ANCHOR_HOME", str(home))
        clear_cache()
    return home


def write_sample(domain: str, path: Path, seed: int = 0, size: int = SIZE) -> Path:
    """A random but blocky input file of a tiny domain (``seg``: ids PNG; ``face``: RGB; others: gray)."""
    generator = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = generator.integers(0, CLASSES if domain == "seg" else 256, (4, 4, 3), dtype=np.uint8)
    picture = np.kron(cells, np.ones((size // 4, size // 4, 1), dtype=np.uint8))
    Image.fromarray(picture if domain == "face" else picture[..., 0]).save(path)
    return path
