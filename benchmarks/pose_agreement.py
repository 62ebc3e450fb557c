"""Does one latent show the same pose in two classes of a class-conditional hub? Measured by rendered landmarks.

    anchor data render --classes all --count 50 --seed 1 -o creatures-heldout
    python benchmarks/pose_agreement.py --hub creatures-64 --test creatures-heldout

The benchmark's bundled judges find 68 landmarks in the hub's pictures of the same latents in every class: the judges of
faces in people, those of creatures in toons and cats. Classes differ in shape (cats have no human jaw), so the mean
landmarks of each class are subtracted first. The residuals tell how a picture differs from its class's mean: where it
looks, how far it is turned.

Figures over all pairs of classes: the mean distance of the residuals for the same latent, and for two latents (chance);
how often the same latent is the nearest of all (chance: 1 / latents); the correlation of the turn of the head. The same
figures for true renders of one pose in two classes show the best that these judges can measure; their own errors on the
true renders are given for people, toons and cats.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from anchor_faces.benchmark.agreement import turn
from anchor_faces.benchmark.judge_kinds import judge_kind_of
from anchor_faces.benchmark.judges import Judges, load_judges
from anchor_faces.rendering.creatures import CREATURE_MODALITIES, creature
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.hubs.loading import load_hub
from anchor_hub.metrics.landmarks import point_distances
from anchor_hub.modality import build_modality
from anchor_hub.modality.pictures import from_unit

SIZE, POINTS = 64, 68


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


def judges_of(name: str) -> Judges:
    """The bundled judges that read pictures of a class of creatures."""
    kind = judge_kind_of(CREATURE_MODALITIES["image"][creature(name).kind])
    assert kind is not None
    return load_judges(kind=kind)


def agreement(points: Tensor) -> dict[str, float]:
    """Figures over all pairs of classes of landmarks [classes, latents, 68, 2]."""
    residuals = points - points.mean(dim=1, keepdim=True)
    turned = turn(points)
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
            correlations.append(torch.corrcoef(torch.stack([turned[first], turned[second]]))[0, 1])
    figures = {
        "same_latent_px": same, "chance_px": chance, "nearest_is_the_same": nearest, "turn_correlation": correlations,
    }  # fmt: skip
    result = {name: round(torch.stack(values).mean().item(), 4) for name, values in figures.items()}
    result["nearest_by_chance"] = round(1 / count, 4)
    result["agreement"] = round(1 - result["same_latent_px"] / result["chance_px"], 4)
    return result


@torch.no_grad()
def measure(hub_name: str, test: Path | None, latents: int, seed: int) -> dict[str, object]:
    hub = load_hub(hub_name, "cpu")
    z = hub.sample(latents, seed=seed)
    found = torch.stack([
        judges_of(name).read(from_unit(hub.of_class(index).image(z))).points for index, name in enumerate(hub.classes)
    ])  # fmt: skip
    result: dict[str, object] = {"hub": hub.name, "latents": latents, "classes": len(hub.classes), **agreement(found)}
    if test is not None:
        pictures, truth, labels, names = load(test)
        count = min(latents, len(pictures) // len(names))
        rendered: list[Tensor] = []
        errors: dict[str, list[float]] = {}
        for index, name in enumerate(names):
            points = judges_of(name).read(pictures[labels == index][:count]).points
            distances = point_distances(points, truth[labels == index][:count]).mean()
            errors.setdefault(creature(name).kind, []).append(float(distances))
            rendered.append(points)
        held = {kind: round(sum(values) / len(values), 3) for kind, values in errors.items()}
        result["rendered_pairs"] = {"pictures": count, **agreement(torch.stack(rendered)), "judges_error_px": held}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hub", required=True)
    parser.add_argument("--test", type=Path, help="rendered creatures of a seed that no training uses")
    parser.add_argument("--latents", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(measure(given.hub, given.test, given.latents, given.seed), indent=2))


if __name__ == "__main__":
    main()
