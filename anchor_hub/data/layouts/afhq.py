"""AFHQ as it is published: ``train|val|test/cat|dog|wild``, pictures of animals' faces in three classes."""

from __future__ import annotations

from anchor_hub.data.layouts.base import Found, Request, is_image, missing
from anchor_hub.data.layouts.class_folders import split_samples
from anchor_hub.data.layouts.trees import Tree

NAME = "AFHQ"
SUMMARY = "train|val|test/cat|dog|wild; --where \"class == cat\" chooses a class, \"split == val\" a split"
CLASSES = ("cat", "dog", "wild")
SPLITS = ("train", "val", "test")


def find(tree: Tree, request: Request) -> Found | None:
    """The pictures of all classes, of the training split unless ``--where`` chooses by split.

    :raises DataError: label maps or landmarks are asked for.
    """
    inner = {tuple(name.split("/")[:2]) for name in tree.files if name.count("/") > 1}
    if not inner or not all(len(pair) == 2 and pair[0] in SPLITS and pair[1] in CLASSES for pair in inner):
        return None
    if request.label_maps or request.points:
        raise missing(tree, NAME, f"{request.modality}, which is not published with it,", ("a folder by itself",))
    samples = split_samples(tree, [name for name in tree.files if is_image(name) and name.count("/") > 1])
    if not samples:
        return None
    found = Found(NAME, samples, folder=tree.root)
    absent = [name for name in CLASSES if name not in {pair[1] for pair in inner}]
    if absent:
        found.notes.append(f"there are no pictures of {' and '.join(absent)}")
    return found
