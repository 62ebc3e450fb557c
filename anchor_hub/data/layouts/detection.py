"""Telling layouts apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anchor_hub.data.layouts import (
    afhq,
    celebamask_hq,
    class_folders,
    cufsf,
    ffhq,
    labelled_json,
    manifest,
    paired,
    plain,
    split_kinds,
)
from anchor_hub.data.layouts.base import TRAINING_SPLITS, Found, Layout, Request, Sample
from anchor_hub.data.layouts.trees import FolderTree, Tree, ZipTree
from anchor_hub.data.layouts.where import mentions
from anchor_hub.errors import DataError
from anchor_hub.images.zips import is_zip

if TYPE_CHECKING:
    from anchor_hub.modality import Modality

# The first layout that recognises a tree is taken: layouts with names of their own come before those that fit much.
LAYOUTS: tuple[Layout, ...] = (
    celebamask_hq, ffhq, afhq, cufsf, manifest, labelled_json, split_kinds, paired, class_folders
)


def supported_layouts() -> list[tuple[str, str]]:
    """(name, what it looks like) of every layout, and of zip archives."""
    return [(layout.NAME, layout.SUMMARY) for layout in (*LAYOUTS, plain)] + [
        ("zip", "any of these in a zip archive, stored or deflated; read in place")
    ]


def find_data_set(root: Path, modality: Modality) -> Found:
    """What the folder or zip archive ``root`` holds for a modality.

    :raises DataError: nothing the modality reads, a layout that is not whole, or a refused archive; the message lists
        what was found and what is supported.
    """
    tree: Tree = FolderTree(root) if root.is_dir() else ZipTree(root)
    request = Request.of(modality)
    found = _find(tree, request)
    inner = tree
    # An archive often holds one folder with everything in it, and so do some downloads.
    while found is None and len(inner.folders) == 1 and not inner.top:
        inner = inner.below(inner.folders[0])
        found = _find(inner, request)
    if found is None:
        try:
            found = plain.find(tree, request)
        except DataError as error:
            known = "; ".join(f"{name}: {summary}" for name, summary in supported_layouts())
            raise DataError(f"{error}. Supported are {known}") from None
    if found.folder is None:
        found.folder = root if root.is_dir() else root.parent
    return found


def _find(tree: Tree, request: Request) -> Found | None:
    for layout in LAYOUTS:
        found: Found | None = layout.find(tree, request)
        if found is not None:
            return found
    return None


def training_samples(found: Found, where: str | None) -> list[Sample]:
    """The samples to train on: those of the training split, unless there is none or ``where`` chooses by split."""
    training = [sample for sample in found.samples if sample.split in TRAINING_SPLITS]
    if not training or len(training) == len(found.samples) or (where is not None and mentions(where, "split")):
        return found.samples
    return training


def is_data_set(path: Path) -> bool:
    """Whether a path is a folder or a zip archive, the places where layouts are looked for."""
    return path.is_dir() or (path.is_file() and is_zip(path))
