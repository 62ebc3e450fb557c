"""What folding, sharing and freezing save a DeepI2I, against the plain formulation, in the same run.

    python benchmarks/deepi2i_cost.py [--hub creatures-64] [--images 4] [--repeats 5]

Plain: as the published code runs, every pass iterates every power iteration, and every class encodes the image again;
a training step runs the encoder with gradients, twice, and all gradients of the frozen generator are computed.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from anchor_deepi2i.losses import ALPHA, paper, weighted
from anchor_deepi2i.options import DeepI2IOptions
from anchor_deepi2i.recipe import DeepI2IRecipe
from anchor_deepi2i.start import Start
from anchor_hub import load_hub
from anchor_hub.modality import build_modality
from anchor_hub.training.base import Batch, Samples, TrainingContext
from anchor_hub.training.generators.gan_losses import d_hinge, g_hinge

BATCH = 16


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """The shortest processor time of a call: other programs' work does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def inference(hub: Any, images: int, repeats: int) -> None:
    start = Start.of(hub, DeepI2IOptions())
    plain = start.networks(hub.classes).eval().requires_grad_(False)
    folded = copy.deepcopy(plain).freeze().to(memory_format=torch.channels_last)
    classes = len(hub.classes)
    for count in (1, images):
        x = torch.rand(count, 3, hub.size, hub.size) * 2 - 1
        z = torch.randn(count, *plain.code_shape)

        @torch.inference_mode()
        def as_published(x: torch.Tensor = x, z: torch.Tensor = z) -> None:
            for label in range(classes):
                plain(x, z, torch.full((len(x),), label))

        @torch.inference_mode()
        def ours(x: torch.Tensor = x, z: torch.Tensor = z) -> None:
            added = folded.adapt(folded.features(x))
            for label in range(classes):
                folded.generate(z, torch.full((len(x),), label), added)

        slow, fast = seconds(as_published, repeats), seconds(ours, repeats)
        made = count * classes
        print(
            f"{count} image{'s' if count > 1 else ''} to {classes} classes: plain {made / slow:.1f} images/s, ours "
            f"{made / fast:.1f} images/s, ratio {slow / fast:.2f}"
        )


def recipe_of(hub: Any) -> DeepI2IRecipe:
    options = DeepI2IOptions(first_phase=10**9)
    recipe = DeepI2IRecipe("bench", Start.of(hub, options), build_modality({"name": "rgb"}), options)
    count = 8 * len(hub.classes)
    rows = torch.randint(0, 256, (count, 3, hub.size, hub.size), dtype=torch.uint8)
    labels = torch.arange(count) % len(hub.classes)
    recipe = recipe.fitted({"own": Samples(rows, recipe.modality(), labels, tuple(hub.classes))})
    recipe.setup(TrainingContext(torch.device("cpu"), "fp32", seed=0, batch=2 * BATCH, run_dir=Path(".")))
    return recipe


def training(hub: Any, repeats: int) -> None:
    recipe = recipe_of(hub)
    rows: Any = recipe.sources.rows
    batches = {
        "source": Batch(rows[:BATCH]), "target": Batch(rows[BATCH : 2 * BATCH], torch.arange(BATCH) % len(hub.classes)),
    }  # fmt: skip
    start = Start.of(hub, DeepI2IOptions())
    networks, critic = start.networks(hub.classes).train(), start.discriminator(hub.classes).train()
    adam = torch.optim.Adam([*networks.adaptors.parameters()], lr=4e-4)
    critic_adam = torch.optim.Adam(critic.parameters(), lr=4e-4)
    source, real = (rows[part].float() / 127.5 - 1 for part in (slice(0, BATCH), slice(BATCH, 2 * BATCH)))
    labels = torch.arange(BATCH) % len(hub.classes)

    def plain() -> None:
        z = torch.randn(BATCH, *networks.code_shape)
        fake = networks(source, z, labels)
        logits = critic(torch.cat([fake.detach(), real]), torch.cat([labels, labels]))
        critic_adam.zero_grad()
        d_hinge(logits[BATCH:], logits[:BATCH]).backward()
        critic_adam.step()
        fake = networks(source, torch.randn_like(z), labels)
        both, maps = critic.judge(torch.cat([fake, source]), torch.cat([labels, labels]), tuple(networks.fusion))
        halves = [{side: value.chunk(2)[half] for side, value in maps.items()} for half in (0, 1)]
        adam.zero_grad()
        (g_hinge(both[:BATCH]) + weighted(paper(*halves), ALPHA)).backward()
        adam.step()

    slow = seconds(plain, repeats)
    first = seconds(lambda: recipe.step(batches, 0), repeats)
    second = seconds(lambda: recipe.step(batches, 10**9), repeats)
    images = 2 * BATCH
    print(
        f"a step of phase one: plain {images / slow:.1f} images/s, ours {images / first:.1f} images/s, ratio "
        f"{slow / first:.2f}; of phase two: {images / second:.1f} images/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", default="creatures-64")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    hub = load_hub(arguments.hub)
    inference(hub, arguments.images, arguments.repeats)
    training(hub, arguments.repeats)


if __name__ == "__main__":
    main()
