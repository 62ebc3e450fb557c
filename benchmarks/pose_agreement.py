"""Does one latent show the same pose in two classes of a class-conditional hub? Measured by rendered landmarks.

    anchor data render --classes all --count 1000 -o creatures           # what the landmark network learns from
    anchor data render --classes all --count 50 --seed 1 -o held-out
    python benchmarks/pose_agreement.py train --data creatures --test held-out -o landmarks.pt
    python benchmarks/pose_agreement.py measure --hub creatures-64 --network landmarks.pt --test held-out

A small network learns 68 landmarks of rendered creatures (all classes), then finds them in the hub's pictures of the
same latents in every class. Classes differ in shape (cats have no human jaw), so the mean landmarks of each class are
subtracted first. The residuals tell how a picture differs from its class's mean: where it looks, how far it is turned.

Figures over all pairs of classes: the mean distance of the residuals for the same latent, and for two latents (chance);
how often the same latent is the nearest of all (chance: 1 / latents); the correlation of the turn of the head. The same
figures for true renders of one pose in two classes show the best that this network can measure.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.hubs.loading import load_hub
from anchor_hub.modality import build_modality
from anchor_hub.modality.pictures import from_unit
from anchor_hub.networks.compact import CompactEncoder

SIZE, POINTS = 64, 68
NOSE, JAW_LEFT, JAW_RIGHT = 30, 0, 16


def load(data: Path) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Images uint8 [N, 3, 64, 64], points [N, 68, 2] in pixels, labels [N], class names."""
    pictures = ImageFolder(data / "image", build_modality({"name": "rgb"}), SIZE)
    points = ImageFolder(data / "landmark", build_modality({"name": "landmarks", "points": POINTS}), SIZE)
    if [p.stem for p in pictures.paths] != [p.stem for p in points.paths]:
        raise SystemExit(f"{data}: image/ and landmark/ do not hold the same files")
    labels, names = torch.tensor(pictures.labels), list(pictures.class_names)
    images, targets = pictures.load_all(), points.load_all()
    assert isinstance(images, Tensor) and isinstance(targets, Tensor)
    return images, targets.float(), labels, names


def build() -> CompactEncoder:
    return CompactEncoder(3, 1, 2 * POINTS, space="w", input_size=SIZE, width=16)


def find(network: nn.Module, images: Tensor) -> Tensor:
    """Landmarks [N, 68, 2] in pixels of uint8 images."""
    found = [network(part.float() / 127.5 - 1)[:, 0] for part in images.split(64)]
    return (torch.cat(found).unflatten(1, (POINTS, 2)) + 1) * (SIZE / 2)


def train(data: Path, test: Path, output: Path, images: int, batch: int, seed: int) -> None:
    torch.manual_seed(seed)
    pictures, points, _, _ = load(data)
    network = build()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    steps, start = images // batch, time.monotonic()
    for step in range(steps):
        chosen = torch.randint(len(pictures), (batch,))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, 2.5 * (1 - step / steps) + 0.01)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = network(pictures[chosen].float() / 127.5 - 1)[:, 0]
        loss = (found.float() - (points[chosen] / (SIZE / 2) - 1).flatten(1)).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"{step * batch:,} images, {loss.item() * SIZE / 2:.2f} px", flush=True)
    network.eval()
    torch.save(network.state_dict(), output)
    with torch.no_grad():
        pictures, points, _, _ = load(test)
        error = (find(network, pictures) - points).norm(dim=2).mean().item()
    print(json.dumps({"held_out_error_px": round(error, 3), "minutes": round((time.monotonic() - start) / 60, 1)}))


def agreement(points: Tensor) -> dict[str, float]:
    """Figures over all pairs of classes of landmarks [classes, latents, 68, 2]."""
    residuals = points - points.mean(dim=1, keepdim=True)
    turn = points[..., NOSE, 0] - (points[..., JAW_LEFT, 0] + points[..., JAW_RIGHT, 0]) / 2
    same, chance, nearest, correlations = [], [], [], []
    count = points.shape[1]
    for first in range(len(points)):
        for second in range(len(points)):
            if first == second:
                continue
            distances = torch.stack([(r - residuals[second]).norm(dim=2).mean(dim=1) for r in residuals[first]])
            diagonal = distances.diagonal()
            same.append(diagonal.mean())
            chance.append((distances.sum() - diagonal.sum()) / (count * (count - 1)))
            nearest.append((distances.argmin(dim=1) == torch.arange(count)).float().mean())
            correlations.append(torch.corrcoef(torch.stack([turn[first], turn[second]]))[0, 1])
    figures = {
        "same_latent_px": same, "chance_px": chance, "nearest_is_the_same": nearest, "turn_correlation": correlations,
    }  # fmt: skip
    result = {name: round(torch.stack(values).mean().item(), 4) for name, values in figures.items()}
    result["nearest_by_chance"] = round(1 / count, 4)
    result["agreement"] = round(1 - result["same_latent_px"] / result["chance_px"], 4)
    return result


@torch.no_grad()
def measure(hub_name: str, network_path: Path, test: Path | None, latents: int, seed: int) -> dict[str, object]:
    network = build()
    network.load_state_dict(torch.load(network_path, weights_only=True))
    network.eval()
    hub = load_hub(hub_name, "cpu")
    z = hub.sample(latents, seed=seed)
    found = torch.stack([find(network, from_unit(hub.of_class(index).image(z))) for index in range(len(hub.classes))])
    result: dict[str, object] = {"hub": hub.name, "latents": latents, "classes": len(hub.classes), **agreement(found)}
    if test is not None:
        pictures, _, labels, names = load(test)
        count = min(latents, len(pictures) // len(names))
        rendered = torch.stack([find(network, pictures[labels == index][:count]) for index in range(len(names))])
        result["rendered_pairs"] = {"pictures": count, **agreement(rendered)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("--data", type=Path, required=True)
    training.add_argument("--test", type=Path, required=True)
    training.add_argument("-o", "--output", type=Path, required=True)
    training.add_argument("--images", type=int, default=48_000)
    training.add_argument("--batch", type=int, default=32)
    training.add_argument("--seed", type=int, default=0)
    measuring = commands.add_parser("measure")
    measuring.add_argument("--hub", required=True)
    measuring.add_argument("--network", type=Path, required=True)
    measuring.add_argument("--test", type=Path)
    measuring.add_argument("--latents", type=int, default=50)
    measuring.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    if given.pop("command") == "train":
        train(**given)
    else:
        given["hub_name"], given["network_path"] = given.pop("hub"), given.pop("network")
        print(json.dumps(measure(**given), indent=2))


if __name__ == "__main__":
    main()
