"""Splits with a folder per kind of file in each: ``train/images``, ``train/labels`` (LaPa), or ``train_img``,
``train_label``. Folders per domain (``trainA``, ``trainB``) are told apart, never mixed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import PurePosixPath

from anchor_hub.data.layouts.base import SPLITS, Found, Request, Sample, readable, stem
from anchor_hub.data.layouts.paired import FOLDERS, kinds_for
from anchor_hub.data.layouts.trees import Tree
from anchor_hub.errors import DataError
from anchor_hub.system.inputs import shown

NAME = "splits of kinds"
SUMMARY = "train/images/, train/labels/, val/images/ ..., or train_img/, train_label/, val_img/ ..."
_KIND = {name: kind for kind, names in FOLDERS.items() for name in names}
_DOMAIN = re.compile(rf"({'|'.join(SPLITS)})[_-]?([A-D])", re.IGNORECASE)


def find(tree: Tree, request: Request) -> Found | None:
    """The samples of the kind that suits the modality, with their splits; None where folders are no such.

    :raises DataError: no folder suits it, several do, or the folders are of several domains.
    """
    _refuse_domains(tree)
    folders = _folders(tree)
    kinds = {kind for _, kind in folders.values()}
    if len(folders) < 2 or len(kinds) < 2:
        return None
    wanted = next((kind for kind in kinds_for(request) if kind in kinds), None)
    if wanted is None:
        there = ", ".join(sorted(map(shown, folders)))
        raise DataError(f"{shown(tree.root)}: of its folders {there}, none is for modality {request.modality!r}")
    chosen: dict[str, list[str]] = defaultdict(list)
    for folder, (split, kind) in folders.items():
        if kind == wanted:
            chosen[split].append(folder)
    for split, same in chosen.items():
        if len(same) > 1:
            both = ", ".join(map(shown, same))
            raise DataError(f"{shown(tree.root)}: {both} are all of split {split!r} and of one kind; name one of them")
    found = Found(NAME, [], folder=tree.root)
    for split, (folder,) in chosen.items():
        inner = tree.below(folder)
        for name in readable(inner, request):
            found.samples.append(Sample(inner.source(name), PurePosixPath(split) / stem(name), None, split))
    if not found.samples:
        raise DataError(f"{shown(tree.root)}: its {wanted} hold no readable file for modality {request.modality!r}")
    counts = ", ".join(f"{split} {count:,}" for split, count in Counter(one.split for one in found.samples).items())
    found.notes.append(f"read as {wanted}: {counts}; the other folders ({', '.join(sorted(kinds - {wanted}))}) are not")
    return found


def _folders(tree: Tree) -> dict[str, tuple[str, str]]:
    """Folder -> (split, kind) of those whose names say both."""
    found: dict[str, tuple[str, str]] = {}
    for folder in tree.folders:
        lower = folder.lower()
        if lower in SPLITS:
            known = [name for name in tree.below(folder).folders if name.lower() in _KIND]
            found |= {f"{folder}/{name}": (lower, _KIND[name.lower()]) for name in known}
            continue
        first, _, last = lower.replace("-", "_").partition("_")
        split, kind = (first, last) if first in SPLITS else (last, first)
        if split in SPLITS and kind in _KIND:
            found[folder] = (split, _KIND[kind])
    return found


def _refuse_domains(tree: Tree) -> None:
    domains: dict[str, list[str]] = defaultdict(list)
    for folder in tree.folders:
        if match := _DOMAIN.fullmatch(folder):
            domains[match[2].upper()].append(folder)
    if len(domains) > 1:
        # The training split's, where there is one.
        firsts = [max(folders, key=lambda folder: folder.lower().startswith("tr")) for folders in domains.values()]
        names = ", ".join(shown(tree.root / folder) for folder in firsts)
        raise DataError(
            f"{shown(tree.root)}: holds {len(domains)} domains ({', '.join(sorted(domains))}), which one domain never "
            f"mixes; name one folder: {names}"
        )
