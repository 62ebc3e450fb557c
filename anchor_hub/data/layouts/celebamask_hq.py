"""CelebAMask-HQ as it is published: 30,000 faces, a mask per part and face, attributes and poses in text tables.

::

    CelebA-HQ-img/0.jpg ... 29999.jpg
    CelebAMask-HQ-mask-anno/0/00000_hair.png ... 14/29999_u_lip.png   (512 px, 0 or 255)
    CelebAMask-HQ-mask/0.png ... 29999.png   (in place of the parts: the 19 classes, as the authors' script merges them)
    CelebAMask-HQ-attribute-anno.txt, CelebAMask-HQ-pose-anno.txt     (columns for --where)

The parts of a face are merged into one map of 19 classes in the published order: later classes cover earlier ones.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import PurePath, PurePosixPath
from typing import Any

import numpy as np

from anchor_hub.data.layouts.base import Found, Request, Sample, is_image, missing, natural
from anchor_hub.data.layouts.published_tables import attribute_table
from anchor_hub.data.layouts.trees import Tree
from anchor_hub.errors import ImageError
from anchor_hub.images.reading import open_image
from anchor_hub.images.sources import ComposedFile, Source
from anchor_hub.modality.palettes import CELEBAMASK_HQ
from anchor_hub.system.inputs import shown

NAME = "CelebAMask-HQ"
SUMMARY = "CelebA-HQ-img/, CelebAMask-HQ-mask-anno/ (00000_hair.png ...) and CelebAMask-HQ-attribute-anno.txt"
IMAGES, MASKS = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno"
#: What the authors' own script g_mask.py writes: 0.png ..., maps of the 19 classes.
MERGED = "CelebAMask-HQ-mask"
TABLES = ("CelebAMask-HQ-attribute-anno.txt", "CelebAMask-HQ-pose-anno.txt")
_MASK = re.compile(r"(?:.*/)?(\d+)_(\w+)\.png$")
_CLASS = {name: index for index, name in enumerate(CELEBAMASK_HQ.names)}


def find(tree: Tree, request: Request) -> Found | None:
    """Photographs, or label maps merged of part masks. :raises DataError: the part asked for is not there."""
    if not {IMAGES, MASKS, MERGED} & set(tree.folders):
        return None
    if request.points:
        raise missing(tree, NAME, "landmarks, which are not published with it,", ("a folder of them by itself",))
    found = _masks(tree) if request.label_maps else _images(tree)
    _add_columns(found, tree)
    return found


def _images(tree: Tree) -> Found:
    return _pictures(tree, IMAGES, "its photographs")


def _pictures(tree: Tree, folder: str, what: str) -> Found:
    images = tree.below(folder)
    names = sorted((name for name in images.files if is_image(name)), key=natural)
    if not names:
        raise missing(tree, NAME, what, (f"{folder}/",))
    return Found(NAME, [_sample(images.source(name), name.rsplit(".", 1)[0]) for name in names], folder=tree.root)


def _masks(tree: Tree) -> Found:
    if MASKS not in tree.folders and MERGED in tree.folders:
        return _pictures(tree, MERGED, "its masks")
    masks = tree.below(MASKS)
    parts: dict[int, dict[str, Source]] = defaultdict(dict)
    found = Found(NAME, [], folder=tree.root)
    for name in masks.files:
        match = _MASK.match(name)
        if match is None or match[2] not in _CLASS:
            found.unused.append(f"{MASKS}/{name}")
        else:
            parts[int(match[1])][match[2]] = masks.source(name)
    if not parts:
        raise missing(tree, NAME, "its masks", (f"{MASKS}/0/00000_skin.png",))
    for number in sorted(parts):
        path = masks.root / f"{number:05d}.pgm"
        found.samples.append(_sample(ComposedFile(path, partial(merged, dict(parts[number]), path)), str(number)))
    if found.unused:
        found.notes.append(
            f"{len(found.unused):,} files in {MASKS}/ are masks of no known part, e.g. {shown(found.unused[0])}"
        )
    bare = [number for number in sorted(parts) if "skin" not in parts[number]]
    if bare:
        found.notes.append(f"{len(bare):,} of {len(parts):,} faces have no mask of their skin, e.g. {bare[0]:05d}")
    return found


def _sample(source: Source, number: str) -> Sample:
    # Named by number alone, so that photographs and label maps of a face have one name.
    return Sample(source, PurePosixPath(number), row={"number": number})


def merged(parts: dict[str, Source], path: PurePath) -> bytes:
    """The label map of one face, as a PGM file of ids.

    :param parts: the masks by part. :raises ImageError: a mask cannot be read, or differs in size from the others.
    """
    ids: np.ndarray[Any, Any] | None = None
    first: Source | None = None
    for name in CELEBAMASK_HQ.names:
        if name not in parts:
            continue
        mask = open_image(parts[name]).convert("L")
        if ids is None:
            ids, first = np.zeros((mask.height, mask.width), dtype=np.uint8), parts[name]
        if mask.size != ids.shape[::-1]:
            raise ImageError(
                f"{shown(parts[name])}: is {mask.width}x{mask.height}, {shown(first)} is "
                f"{ids.shape[1]}x{ids.shape[0]}; download it again"
            )
        ids[np.asarray(mask) != 0] = _CLASS[name]
    if ids is None:
        raise ImageError(f"{shown(path)}: has no mask of any part")
    return b"P5 %d %d 255\n" % (ids.shape[1], ids.shape[0]) + ids.tobytes()


def _add_columns(found: Found, tree: Tree) -> None:
    """Add the attributes and poses as columns, and the image's number."""
    columns: list[str] = ["number"]
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for name in TABLES:
        if name in tree.names:
            more, table = attribute_table(tree, name)
            columns.extend(more)
            for key, row in table.items():
                rows[key].update(row)
    found.columns = tuple(columns)
    without = 0
    samples = []
    for sample in found.samples:
        row = rows.get(sample.name.name, {})
        without += not row
        samples.append(Sample(sample.source, sample.name, row={**sample.row, **row}))
    found.samples = samples
    if len(columns) > 1 and without:
        found.notes.append(f"{without:,} of {len(samples):,} faces are in no table of attributes")
