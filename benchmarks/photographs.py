"""Measures label maps of photographs against true ones of another class set, where the class sets can be matched.

    anchor add-domain photo --data faces/photo --modality rgb --limit 1800
    python benchmarks/photographs.py faces/photo faces/label --source photo --target seg --skip 1800

Both class sets are merged into the common classes of ``MATCHED`` (for CelebAMask-HQ's classes and the label maps of the
London portraits). The first ``--skip`` photographs are left out: they trained the domain.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

import anchor_hub as ah
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.metrics.segmentation import ConfusionMatrix
from anchor_hub.modality.merging import merge_lookup

#: Common class -> classes of CelebAMask-HQ (19) and of the portraits' maps (9), where neck is skin and ears are hair.
MATCHED: dict[str, tuple[list[str | int], list[str | int]]] = {
    "background": (["background", "cloth", "neck_l"], ["background"]),
    "hair": (["hair", "hat", "l_ear", "r_ear", "ear_r"], ["hair_or_ear"]),
    "skin": (["skin", "neck", "eye_g"], ["skin"]),
    "brow": (["l_brow", "r_brow"], ["brow"]),
    "eye": (["l_eye", "r_eye"], ["eye", "iris"]),
    "nose": (["nose"], ["nose"]),
    "mouth": (["u_lip", "l_lip", "mouth"], ["lip", "mouth"]),
}
BATCH = 50


def lookup(names: Sequence[str], side: int) -> torch.Tensor:
    """Common class id for each class id of the class set on one side (0 or 1) of ``MATCHED``."""
    groups: Mapping[str, list[str | int]] = {name: sides[side] for name, sides in MATCHED.items()}
    return torch.tensor(merge_lookup(groups, names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("labels", type=Path, help="label maps (class ids) of the same file names")
    parser.add_argument("--palette", type=Path, help="class list of labels [default: labels.json beside the folder]")
    parser.add_argument("--source", default="photo", help="domain that encodes the photographs")
    parser.add_argument("--target", default="seg", help="domain of label maps to translate into")
    parser.add_argument("--skip", type=int, default=1800, help="number of photographs to leave out, the first ones")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--invert", type=int, default=0, help="refinement steps per photograph")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()

    source, target = ah.load_domain(arguments.source), ah.load_domain(arguments.target)
    palette = arguments.palette or arguments.labels.parent / "labels.json"
    truth_modality = ah.build_modality({"name": "segmentation", "palette": str(palette)})
    photographs = sorted(path for path in arguments.photographs.iterdir() if path.suffix in (".jpg", ".png"))
    chosen = photographs[arguments.skip : arguments.skip + arguments.count]
    true_maps = [next(arguments.labels.glob(f"{path.stem}.*")) for path in chosen]

    found_of, truth_of = lookup(target.modality.traits.classes, 0), lookup(truth_modality.traits.classes, 1)
    truth = ImageFolder(true_maps, truth_modality, target.hub.size).load_all()
    results = ah.translate(chosen, source=source, target=target, batch=BATCH, invert=arguments.invert)
    found = torch.stack([result.sample for result in results])

    matrix, chance = ConfusionMatrix(len(MATCHED)), ConfusionMatrix(len(MATCHED))
    matched = truth_of[truth.long()]
    matrix.update(found_of[found.long()], matched)
    chance.update(matched.mode(dim=0, keepdim=True).values.expand_as(matched), matched)  # the commonest class per pixel
    scores = {"source": source.name, "target": target.name, "hub": target.hub.name, "count": len(chosen),
              "invert": arguments.invert, **matrix.as_dict(tuple(MATCHED)),
              "one map for all": {"pixel_accuracy": chance.pixel_accuracy(), "mean_iou": chance.mean_iou()},
              }  # fmt: skip
    print(json.dumps(scores, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(scores, indent=2) + "\n")


if __name__ == "__main__":
    main()
