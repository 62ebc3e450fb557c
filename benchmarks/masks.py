"""Measures translations of hand photographs to masks, sign by sign, beside the mean mask, which needs no photograph.

    python benchmarks/masks.py hands/train hands/heldout --signs 0,1,2,3,4,5,6,7,8,9 -o docs/hands.json

`hands/train/mask/5` holds the masks that `hand-mask-5` learned from, `hands/heldout/photo/5` and `hands/heldout/mask/5`
photographs and masks that no training saw. Prints a table for docs/biggan.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

import anchor_hub as ah
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.metrics.segmentation import ConfusionMatrix


def read(folder: Path, modality: ah.Modality, size: int) -> Tensor:
    samples = ImageFolder(folder, modality, size).load_all()
    assert isinstance(samples, Tensor)
    return samples


def scores(found: Tensor, truth: Tensor, classes: int) -> tuple[float, float]:
    """Pixel accuracy and mean IoU."""
    matrix = ConfusionMatrix(classes)
    matrix.update(found, truth)
    return matrix.pixel_accuracy(), matrix.mean_iou()


@torch.no_grad()
def measure(sign: str, train: Path, held_out: Path) -> dict[str, tuple[float, float]]:
    """The scores of one sign."""
    between = ah.translator(f"hand-{sign}", f"hand-mask-{sign}", device="cpu")
    photo, mask, size = between.source.modality, between.target.modality, between.hub.size
    truth = read(held_out / "mask" / sign, mask, size)
    photographs = photo.to_network(read(held_out / "photo" / sign, photo, size))
    found = mask.from_network(between.translate(photographs))
    again = mask.from_network(ah.translator(between.target, between.target).translate(mask.to_network(truth)))
    learned = mask.to_network(read(train / "mask" / sign, mask, size))
    mean = learned.mean(0, keepdim=True).argmax(1, keepdim=True).expand_as(truth)
    named = {"photo": found, "mask": again, "mean mask": mean}
    return {name: scores(maps.to(truth.dtype), truth, mask.output_channels) for name, maps in named.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="folder with mask/SIGN/")
    parser.add_argument("held_out", type=Path, help="folder with photo/SIGN/ and mask/SIGN/")
    parser.add_argument("--signs", default="0,1,2,3,4,5,6,7,8,9")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    results = {}
    print("| sign | photograph → mask | mask → mask | the mean mask |\n|---|---|---|---|")
    for sign in arguments.signs.split(","):
        results[sign] = measure(sign, arguments.train, arguments.held_out)
        cells = [f"{accuracy:.3f}, {iou:.3f}" for accuracy, iou in results[sign].values()]
        print(f"| {sign} | {' | '.join(cells)} |", flush=True)
    if arguments.output:
        named = {
            sign: {name: dict(zip(("pixel_accuracy", "mean_iou"), pair, strict=True)) for name, pair in row.items()}
            for sign, row in results.items()
        }
        arguments.output.write_text(json.dumps({"torch": torch.__version__, "signs": named}, indent=2) + "\n")


if __name__ == "__main__":
    main()
