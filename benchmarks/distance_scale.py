"""What the numbers of the model distance mean, and which size of pictures it needs: the scale of docs/few-images.md.

    python -m benchmarks.distance_scale --hub faces-64 --domain toon-ft --domain cat-ft --domain lorelei-ft
    python -m benchmarks.distance_scale --hub faces-64 --side 128

The distance of UI2I's equation 1 with EfficientNet-Lite0's features, from the hub's samples to other samples of it, to
their negatives, to themselves in grey, and to what domains make of the same latents.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_hub import load_domain, load_hub
from anchor_hub.evaluation.distance import pictures_of
from anchor_hub.hubs.base import Hub
from anchor_hub.inversion.perceptual import EfficientNetDistance


@torch.no_grad()
def scale(hub: Hub, domains: list[str], latents: int, seed: int, side: int) -> dict[str, float]:
    """Mean distances from the hub's samples, by what they are compared with."""
    codes = hub.expand(hub.sample(latents, seed=seed))
    samples = pictures_of(hub, codes)
    grey = samples.float().mean(1, keepdim=True).round().byte().expand_as(samples)
    others = {"another sample": samples.roll(1, 0), "its negative": 255 - samples, "itself in grey": grey}
    others |= {name: pictures_of(load_domain(name, hub), codes) for name in domains}
    network = EfficientNetDistance(hub.device)
    return {
        name: float(network.between(_at(found, side), _at(samples, side)).mean()) for name, found in others.items()
    }


def _at(pictures: Tensor, side: int) -> Tensor:
    if pictures.shape[-1] == side:
        return pictures
    resized = F.interpolate(pictures.float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return resized.round().clamp(0, 255).byte()


def main() -> None:
    """Print a row for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hub", default="faces-64")
    parser.add_argument("--domain", action="append", default=[])
    parser.add_argument("--latents", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, help="in pixels [default: the hub's size]")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    hub = load_hub(chosen.hub, "cpu")
    began = time.process_time()
    found = scale(hub, chosen.domain, chosen.latents, chosen.seed, chosen.side or hub.size)
    for name, value in found.items():
        print(f"{name}: {value:.3f}")
    print(f"processor seconds: {time.process_time() - began:.1f}")


if __name__ == "__main__":
    main()
