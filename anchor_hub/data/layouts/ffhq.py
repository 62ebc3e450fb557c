"""FFHQ as it is published: aligned faces in thousands, thumbnails, and one JSON file with 68 landmarks of each.

::

    images1024x1024/00000/00000.png ... 69000/69999.png   (or without the inner folders)
    thumbnails128x128/00000/00000.png ...
    ffhq-dataset-v2.json                                  {"0": {"category", "image": {"face_landmarks", ...}, ...}}
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import PurePath, PurePosixPath
from typing import Any

from anchor_hub.data.layouts.base import Found, Request, Sample, is_image, missing
from anchor_hub.data.layouts.published_tables import load_json
from anchor_hub.data.layouts.trees import Tree
from anchor_hub.errors import DataError, ImageError
from anchor_hub.images.sources import ComposedFile, Source
from anchor_hub.system.inputs import shown

NAME = "FFHQ"
SUMMARY = "images1024x1024/ or thumbnails128x128/ (00000/00000.png ...) and ffhq-dataset-v2.json with 68 landmarks"
_FOLDER = re.compile(r"(images|thumbnails)(\d+)x\2$")
_TABLES = ("ffhq-dataset-v2.json", "ffhq-dataset-v1.json")
COLUMNS = ("number", "category", "license", "author", "country")


def find(tree: Tree, request: Request) -> Found | None:
    """Aligned faces (the larger pictures, where thumbnails lie beside them), or their landmarks.

    :raises DataError: label maps are asked for, or the part asked for is not there.
    """
    folders = {folder: int(match[2]) for folder in tree.folders if (match := _FOLDER.match(folder))}
    table = next((name for name in _TABLES if name in tree.names), None)
    if not folders and table is None:
        return None
    if request.label_maps:
        raise missing(tree, NAME, "label maps, which are not published with it,", ("a folder of them by itself",))
    records: dict[str, Any] = {}
    if table is not None:
        records = load_json(tree, table)
        if not isinstance(records, dict) or not all(isinstance(record, dict) for record in records.values()):
            raise DataError(f"{shown(tree.source(table))}: is not FFHQ's table of images; download it again")
    if request.points:
        if table is None:
            raise missing(tree, NAME, "its table with landmarks", _TABLES[:1])
        return _landmarks(tree, table, records)
    if not folders:
        raise missing(tree, NAME, "its images", ("images1024x1024/", "thumbnails128x128/"))
    largest = max(folders, key=lambda folder: folders[folder])
    images = tree.below(largest)
    samples = [_sample(images.source(name), name, records) for name in images.files if is_image(name)]
    found = Found(NAME, samples, columns=COLUMNS if records else ("number",), folder=tree.root)
    if len(folders) > 1:
        found.notes.append(f"of {', '.join(sorted(folders))}, {largest} is read; name another folder to read that")
    if records and len(samples) < len(records):
        found.notes.append(f"{len(records) - len(samples):,} of {len(records):,} images of the table are not there")
    return found


def _sample(source: Source, name: str, records: dict[str, Any]) -> Sample:
    number = PurePosixPath(name).stem
    record = records.get(str(int(number))) if number.isdecimal() else None
    return Sample(source, PurePosixPath(number), row=_row(number, record or {}))


def _row(number: str, record: dict[str, Any]) -> dict[str, str]:
    given = record.get("metadata")
    metadata: dict[str, Any] = given if isinstance(given, dict) else {}
    values = {"number": number, "category": record.get("category"), **{k: metadata.get(k) for k in COLUMNS[2:]}}
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _landmarks(tree: Tree, table: str, records: dict[str, Any]) -> Found:
    samples = []
    for key, record in sorted(records.items(), key=lambda item: int(item[0]) if item[0].isdecimal() else -1):
        number = f"{int(key):05d}" if key.isdecimal() else key
        path = tree.root / table / f"{number}.json"
        source = ComposedFile(path, partial(_points, record, path))
        samples.append(Sample(source, PurePosixPath(number), row=_row(number, record)))
    if not samples:
        raise DataError(f"{shown(tree.source(table))}: lists no image; download it again")
    return Found(NAME, samples, columns=COLUMNS, folder=tree.root)


def _points(record: dict[str, Any], path: PurePath) -> bytes:
    """The landmarks of the aligned image as a landmark file. :raises ImageError: there are none."""
    image = record.get("image")
    if not isinstance(image, dict) or not isinstance(image.get("face_landmarks"), list):
        raise ImageError(f"{shown(path)}: has no face_landmarks of the aligned image; use ffhq-dataset-v2.json")
    size = image.get("pixel_size", [1024, 1024])
    return json.dumps({"size": size, "points": image["face_landmarks"]}).encode()
