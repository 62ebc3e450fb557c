"""What a training step of a StyleGAN2 hub costs with each critic and augmentation, as a ratio to the plain one.

    python benchmarks/critics.py [--size 64] [--batch 16] [--steps 8] [--precision fp32] [--only NAME ...]

Processor time of one thread (of a GPU: seconds), the least of the steps; the penalty of every sixteenth step counts a
sixteenth. The projected critic needs the extra [perceptual].
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from anchor_hub.modality import build_modality
from anchor_hub.networks.stylegan2 import StyleGAN2Config
from anchor_hub.system.precision import resolve_precision
from anchor_hub.training.base import Batch, TrainingContext
from anchor_hub.training.generators.choices import StyleGAN2Choices
from anchor_hub.training.generators.stylegan2_recipe import HubRecipe
from anchor_hub.training.generators.stylegan2_training import PRESETS, constants

CASES = {
    "stylegan2": {},
    "stylegan2, fixed augmentation": {"augment": "all"},
    "stylegan2, ada at p = 0.5": {"augment": "ada"},
    "stylegan2, ada of all kinds at p = 0.5": {"augment": "ada:flip,turn,shift,geometry,colour,cutout"},
    "projected": {"critic": "projected"},
    "projected at 224 px": {"critic": "projected", "critic_side": 224},
    "projected, fixed augmentation": {"critic": "projected", "augment": "all"},
    "projected, ada at p = 0.5": {"critic": "projected", "augment": "ada"},
}


def seconds(device: torch.device) -> float:
    """The clock: processor time on a CPU, time on a GPU once it has finished."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def cost(choices: dict[str, object], given: argparse.Namespace) -> float:
    """Seconds of a step."""
    device = torch.device(given.device)
    channels = {side: count for side, count in PRESETS["small"]["channels"].items() if side <= given.size}
    config = StyleGAN2Config(given.size, latent_dim=256, channels=channels)
    recipe = HubRecipe(config, constants(StyleGAN2Choices(**choices), None))
    recipe.check()
    modality = build_modality({"name": "rgb"}).at(given.size)
    torch.manual_seed(0)
    recipe.setup(TrainingContext(device, resolve_precision(given.precision, device), 0, given.batch, Path(), modality))
    if recipe.adaptive is not None:
        recipe.adaptive.probability = 0.5
    images = torch.randint(0, 256, (given.batch, 3, given.size, given.size), dtype=torch.uint8).to(device)
    batches, taken = {"own": Batch(images)}, []
    for index in (1, 2, 0, *range(3, 3 + given.steps)):  # the first warms up, step 0 has the penalty
        if recipe.adaptive is not None:
            recipe.adaptive.load_state_dict({"probability": 0.5, "signs": 0.0, "steps": 0, "seen": 0})
        start = seconds(device)
        recipe.step(batches, index)
        taken.append(seconds(device) - start)
    plain = min(taken[3:])
    return plain + (taken[2] - plain) / 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES), metavar="NAME")
    given = parser.parse_args()
    torch.set_num_threads(1)
    first = 0.0
    for name in given.only:
        found = cost(CASES[name], given)
        first = first or found
        print(f"{name:40}  {found:7.3f} s  {found / first:5.2f} x", flush=True)


if __name__ == "__main__":
    main()
