"""CUFSF (CUHK Face Sketch FERET) as it is published: drawings of faces; the photographs belong to FERET.

::

    original_sketch/00001.jpg ...   cropped_sketch/00001.jpg ...   sketch_points/00001.3pts ...
    photo/ or cropped_photo/        where somebody has put FERET's photographs of the same names
"""

from __future__ import annotations

from pathlib import PurePosixPath

from anchor_hub.data.layouts.base import Found, Request, Sample, is_image, missing
from anchor_hub.data.layouts.trees import Tree

NAME = "CUFSF"
SUMMARY = "cropped_sketch/ or original_sketch/ (00001.jpg ...), perhaps with photo/ beside them"
SKETCHES = ("cropped_sketch", "original_sketch")
PHOTOS = ("cropped_photo", "photo", "photos", "original_photo")


def find(tree: Tree, request: Request) -> Found | None:
    """The sketches (cropped ones where there are both) for gray; for RGB the photographs, else the sketches.

    :raises DataError: label maps or landmarks are asked for: three points per face are published, not 68.
    """
    by_name = {folder.lower(): folder for folder in tree.folders}
    if not any(name in by_name for name in SKETCHES):
        return None
    if request.label_maps or request.points:
        raise missing(tree, NAME, f"{request.modality}, which is not published with it,", ("a folder by itself",))
    order = (*PHOTOS, *SKETCHES) if request.traits.picture else SKETCHES
    there = {name: _images(tree, by_name[name]) for name in (*PHOTOS, *SKETCHES) if name in by_name}
    chosen = next((name for name in order if there.get(name)), None)
    if chosen is None:
        raise missing(tree, NAME, "its sketches", ("cropped_sketch/00001.jpg",))
    # A download often holds cropped_sketch/cropped_sketch/00001.jpg: the file's own name is what pairs.
    samples = [Sample(tree.source(name), PurePosixPath(PurePosixPath(name).stem)) for name in there[chosen]]
    found = Found(NAME, samples, folder=tree.root)
    others = [name for name in there if name != chosen and there[name]]
    if others:
        found.notes.append(f"{by_name[chosen]}/ is read; name {' or '.join(by_name[name] for name in others)} for that")
    own = {str(sample.name) for sample in samples}
    for name in others:
        alone = sorted(own ^ {PurePosixPath(path).stem for path in there[name]})
        if alone and name[-6:] != chosen[-6:]:
            found.notes.append(f"{len(alone):,} faces are in {chosen}/ or {name}/ alone, e.g. {alone[0]}")
    return found


def _images(tree: Tree, folder: str) -> list[str]:
    return [name for name in tree.files if name.startswith(f"{folder}/") and is_image(name)]
