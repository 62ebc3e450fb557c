"""Tiny hubs with discriminators, class folders and trainings at 16 px, for the tests of DeepI2I."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from anchor_hub.domains.loading import clear_cache
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import build_modality
from anchor_hub.networks.biggan_discriminators import BigGANDiscriminator, BigGANDiscriminatorConfig
from anchor_hub.networks.stylegan2_discriminator import Discriminator
from anchor_hub.training.base import Samples
from anchor_hub.training.generators.start import discriminator_config
from tests.tiny import tiny_biggan, tiny_hub
from tests.training.tiny import pictures

RGB = build_modality({"name": "rgb"})
CLASSES = ("cat", "dog", "hen")
SIDE = 16
#: The fusion of networks of 16 px.
FUSION = "4:0.1,8:0.1"
FAST = ("--device", "cpu", "--precision", "fp32", "--processes", "1", "--quiet")


def zoo(folder: Path, seed: int = 0, classes: tuple[str, ...] = CLASSES) -> Hub:
    """A BigGAN hub of three classes whose bundle keeps a discriminator."""
    hub = tiny_biggan(seed, classes=classes)
    with torch.random.fork_rng():
        torch.manual_seed(seed + 1)
        config = BigGANDiscriminatorConfig.of_size(SIDE, channels={8: 8, 4: 12}, attention=(8,), classes=len(classes))
        critic = BigGANDiscriminator(config)
    return Hub.load(hub.save(folder / "zoo", discriminator=critic, exact_discriminator=True))


def faces(folder: Path) -> Hub:
    """A StyleGAN2 hub whose bundle keeps a discriminator."""
    hub = tiny_hub()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        critic = Discriminator(discriminator_config(hub.config))
    return Hub.load(hub.save(folder / "tiny", discriminator=critic, exact_discriminator=True))


def labelled(count: int = 24, classes: tuple[str, ...] = CLASSES) -> dict[str, Samples]:
    """The data set of a training: random pictures of classes in turn."""
    labels = (torch.arange(count) * len(classes)) // count
    return {"own": Samples(pictures(count), RGB, labels, classes)}


def class_folders(folder: Path, classes: tuple[str, ...] = CLASSES, each: int = 6) -> Path:
    """A folder of pictures per class."""
    draw = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(each):
            pixels = draw.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def home_with_zoo(tmp_path: Path, monkeypatch: Any) -> Path:
    """$ANCHOR_HOME with the hub `zoo`."""
    home = tmp_path / "home"
    zoo(home / "hubs")
    monkeypatch.setenv("ANCHOR_HOME", str(home))
    clear_cache()
    return home
