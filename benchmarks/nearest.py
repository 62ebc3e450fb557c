"""Answers the benchmark with the nearest neighbour in the training set, as the judges see it.

    python benchmarks/nearest.py --data faces-64 --samples "$(anchor benchmark samples)" -o outputs/nearest
    anchor benchmark run --domains face,seg,landmark --also nearest=outputs/nearest

    samples="$(anchor benchmark samples --domains face,toon,cat)"
    python benchmarks/nearest.py --domains face,toon,cat --data faces-64 --samples "$samples" -o outputs/nearest
    anchor benchmark run --pair face:toon --pair face:cat --also nearest=outputs/nearest --only-also

Every answer is a copy of a training file; the script knows no pairs. It compares a label map with the map that the
parser reads in each training face, and landmarks with the points that the landmark judge finds there; for a face, the
same the other way round. Faces, toons and cats are compared by the points that the judges find, as distances from the
mean of their own kind: a cat's eyes lie elsewhere than a person's. Label maps cannot be compared with landmarks, nor
sketches with anything: those get no answer.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_faces.benchmark.judge_kinds import judge_kind_of
from anchor_faces.benchmark.judges import load_judges
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.modality import build_modality
from anchor_hub.plugins.registry import registry

SIZE, CLASSES = 64, 19
#: (source, target, the description that both are compared by).
WAYS = (
    ("seg", "face", "labels"),
    ("face", "seg", "labels"),
    ("landmark", "face", "points"),
    ("face", "landmark", "points"),
    ("face", "toon", "shifts"),
    ("face", "cat", "shifts"),
    ("toon", "face", "shifts"),
    ("cat", "face", "shifts"),
    ("toon", "cat", "shifts"),
    ("cat", "toon", "shifts"),
)


def pooled(labels: Tensor) -> Tensor:
    """Shares of the classes at 16 x 16 positions, float16 ``[N, 19 * 256]``, of ids ``[N, 1, 64, 64]``."""
    parts = []
    for part in labels.split(100):
        hot = F.one_hot(part[:, 0].long(), CLASSES).permute(0, 3, 1, 2).float()
        parts.append(F.avg_pool2d(hot, 4).flatten(1).half())
    return torch.cat(parts)


def shifts(points: Tensor) -> Tensor:
    """Points ``[N, 68, 2]`` as distances from their mean over the samples, in standard deviations, ``[N, 136]``."""
    flat = points.flatten(1)
    return (flat - flat.mean(0)) / flat.std(0)


def described(folder: Path, domains: set[str], count: int | None) -> tuple[dict[tuple[str, str], Tensor], list[str]]:
    """(domain, description) -> ``[N, D]``, and the names of the samples."""
    found: dict[tuple[str, str], Tensor] = {}
    names: list[str] = []
    for domain in sorted(domains):
        modality = build_modality(dict(registry().domains[domain].spec.modality))
        files = ImageFolder(folder / domain, modality, SIZE, limit=count)
        names = [path.stem for path in files.paths]
        samples = files.load_all(1)
        assert isinstance(samples, Tensor)
        kind = judge_kind_of(domain)
        if kind is not None:
            reading = load_judges(kind=kind).read(samples)
            found[domain, "shifts"] = shifts(reading.points)
            if domain == "face":
                found["face", "labels"], found["face", "points"] = pooled(reading.labels), reading.points.flatten(1)
        elif domain == "seg":
            found["seg", "labels"] = pooled(samples)
        else:
            found["landmark", "points"] = samples.float().flatten(1)
    return found, names


def nearest(queries: Tensor, known: Tensor) -> Tensor:
    """Index ``[N]`` of the row of ``known [M, D]`` that is nearest to each of ``queries [N, D]`` (Euclidean)."""
    best = []
    squares = torch.stack([row.float().square().sum() for row in known])
    for part in queries.split(100):
        scores = torch.cat([part.float() @ block.float().T for block in known.split(2000)], 1)
        best.append((squares - 2 * scores).argmin(1))
    return torch.cat(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="rendered training set (anchor data render)")
    parser.add_argument("--domains", default="face,seg,landmark", help="domains to answer between, comma-separated")
    parser.add_argument("--samples", type=Path, required=True, help="the folder that anchor benchmark samples prints")
    parser.add_argument("--known", type=int, default=22_000, help="number of samples of the training set to take")
    parser.add_argument("--count", type=int, help="number of benchmark samples to answer, the first ones [all]")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    domains = set(arguments.domains.split(","))
    known, names = described(arguments.data, domains, arguments.known)
    asked, samples = described(arguments.samples, domains, arguments.count)
    written = {}
    for source, target, what in (way for way in WAYS if {*way[:2]} <= domains):
        folder = arguments.output / f"{source}-to-{target}"
        folder.mkdir(parents=True, exist_ok=True)
        suffix = ".json" if target == "landmark" else ".png"
        for name, place in zip(samples, nearest(asked[source, what], known[target, what]).tolist(), strict=True):
            shutil.copyfile(arguments.data / target / f"{names[place]}{suffix}", folder / f"{name}{suffix}")
        written[folder.name] = len(samples)
    print(json.dumps({"known": len(names), **written}))


if __name__ == "__main__":
    main()
