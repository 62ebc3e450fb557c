"""A folder per modality side by side (``images``, ``masks``, ``landmarks``), aligned by name, classes or not."""

from __future__ import annotations

from anchor_hub.data.layouts.base import Found, Request, Sample, readable, stem
from anchor_hub.data.layouts.class_folders import class_samples, split_samples
from anchor_hub.data.layouts.trees import Tree, Without
from anchor_hub.errors import DataError
from anchor_hub.system.inputs import shown

NAME = "paired folders"
SUMMARY = "images/, masks/, sketches/ and landmarks/ side by side, each with the same names; class folders inside count"

# What the folder of a kind of file may be called.
FOLDERS = {
    "images": ("image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "jpegimages", "rgb"),
    "masks": (
        "mask", "masks", "seg", "label", "labels", "label_map", "label_maps", "segmentation", "segmentations",
        "segmentationclass", "annotation", "annotations",
    ),
    "sketches": ("sketch", "sketches", "gray", "depth", "edge", "edges"),
    "landmarks": ("landmark", "landmarks", "points", "pts"),
}  # fmt: skip


def kinds_for(request: Request) -> tuple[str, ...]:
    """The kinds of folder that may hold a modality; the first that exists is taken."""
    if request.label_maps:
        return ("masks",)
    if request.points:
        return ("landmarks",)
    return ("sketches", "images") if request.channels == 1 else ("images",)


def find(tree: Tree, request: Request) -> Found | None:
    """The samples of the folder that suits the modality, where two or more such folders lie side by side.

    :raises DataError: none suits it, or several do.
    """
    kinds = {kind: [f for f in tree.folders if f.lower() in names] for kind, names in FOLDERS.items()}
    if readable_at_top(tree, request):
        return None
    if sum(bool(folders) for folders in kinds.values()) < 2:
        return _beside_classes(tree, request, kinds["masks"])
    wanted = kinds_for(request)
    folders = next((kinds[kind] for kind in wanted if kinds[kind]), [])
    there = ", ".join(shown(tree.root / folder) for folders in kinds.values() for folder in folders)
    if len(folders) != 1:
        what = "none is" if not folders else "several are"
        raise DataError(
            f"{shown(tree.root)}: of its folders {there}, {what} for modality {request.modality!r}; name one of them"
        )
    found = _samples(tree.below(folders[0]), request)
    found.folder = tree.root
    _compare(found, tree, folders[0], [folder for others in kinds.values() for folder in others])
    return found


def _samples(inner: Tree, request: Request) -> Found:
    names = readable(inner, request)
    if not names:
        raise DataError(
            f"{shown(inner.root)}: holds no readable file for modality {request.modality!r}; found {inner.summary()}"
        )
    samples = split_samples(inner, names) or class_samples(inner, names)
    return Found(NAME, samples or [Sample(inner.source(name), stem(name)) for name in names])


def _beside_classes(tree: Tree, request: Request, masks: list[str]) -> Found | None:
    """``CLASS/...`` or ``train/CLASS/...`` with a folder of masks beside them that has the same folders in it."""
    if len(masks) != 1:
        return None
    inner = set(tree.below(masks[0]).folders)
    others = set(tree.folders) - set(masks)
    if not inner or not inner <= others:
        return None
    if request.label_maps:
        found = _samples(tree.below(masks[0]), request)
    else:
        found = _samples(Without(tree, masks[0]), request)
    found.folder = tree.root
    return found


def readable_at_top(tree: Tree, request: Request) -> bool:
    """Whether pictures lie beside the folders, which are then ordinary subfolders and not kinds of files."""
    return any(name.lower().endswith(request.suffixes) and not name.lower().endswith(_TABLES) for name in tree.top)


_TABLES = (".json", ".csv")


def _compare(found: Found, tree: Tree, chosen: str, folders: list[str]) -> None:
    """Notes about names that one folder has and another has not."""
    own = {str(sample.name) for sample in found.samples}
    for folder in folders:
        if folder == chosen:
            continue
        other = {str(stem(name)) for name in tree.below(folder).files}
        alone, extra = sorted(own - other), sorted(other - own)
        if alone:
            found.notes.append(
                f"{len(alone):,} of {len(own):,} in {chosen}/ have no partner in {folder}/, e.g. {shown(alone[0])}"
            )
        if extra:
            found.notes.append(
                f"{len(extra):,} of {len(other):,} in {folder}/ have no partner in {chosen}/, e.g. {shown(extra[0])}"
            )
