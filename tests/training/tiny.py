"""A tiny hub training at 16 px for the tests, also run as a program of its own: `python tiny.py RUN_DIR [options]`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import AnchorError
from anchor_hub.networks.stylegan2 import StyleGAN2Config
from anchor_hub.training.base import Batch, Samples
from anchor_hub.training.engine.trainer import RunEnd, Trainer
from anchor_hub.training.generators.stylegan2_recipe import HubOptions, HubRecipe

CONFIG = StyleGAN2Config(16, latent_dim=8, mapping_layers=2, channels={4: 8, 8: 8, 16: 8})


class PlainRGB:
    """Just enough of a modality: uint8 [3, H, W] samples."""

    def collate(self, samples: list[Tensor]) -> Tensor:
        return torch.stack(samples)

    def to_network(self, samples: Tensor) -> Tensor:
        return samples.float() / 127.5 - 1

    def flip(self, samples: Tensor) -> Tensor:
        return samples.flip(-1)


def own(images: Tensor, labels: Tensor | None = None) -> dict[str, Batch]:
    """A step's batches of a recipe that reads one data set."""
    return {"own": Batch(images, labels)}


def pictures(count: int = 40) -> Tensor:
    """uint8 [count, 3, 16, 16], always the same."""
    return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


class WatchedRecipe(HubRecipe):
    """The hub recipe with something happening at one step: a kill, a signal, a NaN."""

    def __init__(self, *, at: int = -1, event: str = "", pause: float = 0.0, **options: Any) -> None:
        super().__init__(CONFIG, HubOptions(r1_every=2, path_length_every=3, r1_gamma=1.0, **options))
        self.at, self.event, self.pause = at, event, pause

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        losses = dict(super().step(batches, index))
        time.sleep(self.pause)
        if index == self.at:
            if self.event == "nan":
                losses["generator"] = torch.tensor(float("nan"))
            elif self.event:
                os.kill(os.getpid(), getattr(signal, self.event))
        return losses


def train(run_dir: Path, *, images: int | None = 80, resume: bool = False, at: int = -1, event: str = "",
          learning_rate: float = 0.002, **trainer: Any) -> RunEnd:
    """Train the tiny hub: 8 images a step, a checkpoint every 3 steps."""
    recipe = WatchedRecipe(at=at, event=event, learning_rate=learning_rate, pause=trainer.pop("pause", 0.0))
    settings: dict[str, Any] = {"batch": 8, "mirror": True, "tick_every": 2, "sample_every": 5, "checkpoint_every": 3,
                                "quiet": True, "options": recipe.describe()}
    data = trainer.pop("data", None)
    samples = Samples(pictures() if data is None else data, PlainRGB())
    run = Trainer(recipe, {"own": samples}, run_dir, total_images=images, **{**settings, **trainer})
    return run.run(resume)


def final_state(run_dir: Path) -> dict[str, Any]:
    """The newest checkpoint's content."""
    path = sorted((run_dir / "checkpoints").glob("step-*.pt"))[-1]
    return torch.load(path, weights_only=True)


def same(first: Any, second: Any) -> bool:
    """Whether two nested states are equal, bit for bit."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--at", type=int, default=-1)
    parser.add_argument("--event", default="")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    given = vars(parser.parse_args())
    try:
        sys.exit(train(given.pop("run_dir"), **given).exit_code)
    except AnchorError as error:
        sys.exit(f"error: {error}")
