"""Measures translations on held-out renders, whose exact pairs no domain ever saw together.

    anchor data render -o heldout --count 500 --size 64 --seed 1000 --modalities face,seg,sketch,landmark
    python benchmarks/held_out.py heldout -o docs/results.json [--extractor FILE]

Prints one row per translation and writes all rows with every setting. Training sets have other seeds.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import anchor_hub as ah
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import AnchorError
from anchor_hub.metrics.frechet import FeatureStatistics, frechet_distance
from anchor_hub.metrics.image import l1, psnr
from anchor_hub.metrics.landmarks import LandmarkErrors
from anchor_hub.metrics.segmentation import ConfusionMatrix
from anchor_hub.modality.pictures import from_unit

BATCH = 50


def samples_of(folder: Path, domain: Any, count: int) -> Tensor:
    """The first ``count`` samples of a domain's files, in memory."""
    return ImageFolder(folder / domain.name, domain.modality, domain.hub.size, limit=count).load_all()


def translated(source: Any, target: Any, samples: Tensor) -> Tensor:
    """Samples of the target domain for samples of the source domain, with the mean appearance."""
    translator = ah.translator(source, target)
    parts = []
    for part in samples.split(BATCH):
        with torch.no_grad():
            output = translator.translate(source.modality.to_network(part))
        parts.append(target.modality.from_network(output).cpu())
    return torch.cat(parts)


def label_scores(found: Tensor, truth: Tensor, names: tuple[str, ...]) -> dict[str, Any]:
    matrix = ConfusionMatrix(len(names))
    matrix.update(found, truth)
    return matrix.as_dict(names)


def landmark_scores(found: Tensor, truth: Tensor) -> dict[str, Any]:
    errors = LandmarkErrors()
    errors.update(found, truth)
    return errors.as_dict()


def picture_scores(found: Tensor, truth: Tensor) -> dict[str, Any]:
    scores: dict[str, Any] = {"l1": float(l1(found, truth).mean()), "psnr": float(psnr(found, truth).mean())}
    if found.shape[1] != 3:
        return scores
    try:
        from anchor_hub.metrics.perceptual import Perceptual

        distance = Perceptual()
        batches = zip(found.split(BATCH), truth.split(BATCH), strict=True)
        scores["lpips"] = float(torch.cat([distance(a, b) for a, b in batches]).mean())
    except AnchorError as error:
        print(error, file=sys.stderr)
        scores["lpips"] = None  # not measured
    return scores


def score(source: Any, target: Any, folder: Path, count: int) -> dict[str, Any]:
    """Scores of one ordered pair of domains against the true pairs."""
    found = translated(source, target, samples_of(folder, source, count))
    truth = samples_of(folder, target, count)
    if target.modality.traits.classes:
        return label_scores(found, truth, target.modality.traits.classes)
    if target.modality.traits.points:
        return landmark_scores(found, truth)
    return picture_scores(found, truth)


def hub_distance(hub: Any, extractor: Any, folder: Path, seed: int) -> dict[str, Any]:
    """Fréchet distance of the hub's samples to held-out renders, beside that between two halves of the renders."""
    renders = ImageFolder(folder / "face", ah.build_modality({"name": "rgb"}), hub.size).load_all()
    half = len(renders) // 2
    statistics = []
    for pictures in (renders[:half], renders[half : 2 * half]):
        statistics.append(extractor.statistics(pictures))
    fakes = FeatureStatistics()
    for start in range(0, half, BATCH):
        with torch.no_grad():
            images = hub.image(hub.sample(BATCH, seed=seed, start=start), noise="const")
        fakes.update(extractor(from_unit(images)))
    return {"extractor": extractor.describe(), "images": half, "seed": seed,
            "hub_to_renders": frechet_distance(fakes, statistics[0]),
            "renders_to_renders": frechet_distance(statistics[1], statistics[0])}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="rendered set with aligned modalities (anchor data render)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--domains", default="face,seg,landmark", help="domains to measure; targets and sources")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--extractor", type=Path, help="MobileNetV2 weights for the hub's Fréchet distance")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    domains = [ah.load_domain(name) for name in arguments.domains.split(",")]
    hub = domains[0].hub
    results: dict[str, Any] = {
        "hub": hub.fingerprint, "count": arguments.count, "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads", "pairs": {},
    }  # fmt: skip
    for source in domains:
        for target in domains:
            scores = score(source, target, arguments.folder, arguments.count)
            results["pairs"][f"{source.name}->{target.name}"] = scores
            shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in scores.items() if k != "iou"}
            print(f"{source.name:>9} -> {target.name:<9}", shown, flush=True)
    if arguments.extractor:
        from anchor_hub.metrics.extractors import load_extractor

        extractor = load_extractor(arguments.extractor)
        results["hub_frechet"] = hub_distance(hub, extractor, arguments.folder, arguments.seed)
        print(results["hub_frechet"])
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
