"""A folder or archive with a ``dataset.json`` that gives each picture a class number, as StyleGAN2-ADA packs them."""

from __future__ import annotations

from typing import Any

from anchor_hub.data.layouts.base import Found, Request, Sample, is_image, stem
from anchor_hub.data.layouts.published_tables import load_json
from anchor_hub.data.layouts.trees import Tree
from anchor_hub.errors import DataError
from anchor_hub.system.inputs import shown
from anchor_hub.system.tables import same_name

NAME = "dataset.json"
SUMMARY = "pictures and a dataset.json: {\"labels\": [[\"00000/img00000000.png\", 3], ...]}"
TABLE = "dataset.json"


def find(tree: Tree, request: Request) -> Found | None:
    """The pictures, with their class numbers. :raises DataError: labels for pictures that are not there."""
    if TABLE not in tree.names or request.points:
        return None
    table = load_json(tree, TABLE)
    if not isinstance(table, dict) or "labels" not in table:
        return None
    labels = table["labels"]
    if labels is not None and not isinstance(labels, list):
        return None
    names = [name for name in tree.files if is_image(name)]
    if not names:
        return None
    if not labels:  # the tool that packs such sets writes null where there are no classes; folders are none either
        return Found(NAME, [Sample(tree.source(name), stem(name)) for name in names], folder=tree.root)
    by_name = _by_name(labels, tree)
    absent = [name for name in by_name if name not in tree.names]
    if absent:
        raise DataError(
            f"{shown(tree.source(TABLE))}: labels {len(absent):,} pictures that are not there, e.g. "
            f"{shown(absent[0])}; pack the data set again"
        )
    without = [name for name in names if name not in by_name]
    if without:
        raise DataError(
            f"{shown(tree.source(TABLE))}: {len(without):,} of {len(names):,} pictures have no label, e.g. "
            f"{shown(without[0])}; label all or none"
        )
    return Found(NAME, [Sample(tree.source(name), stem(name), by_name[name]) for name in names], folder=tree.root)


def _by_name(labels: list[Any], tree: Tree) -> dict[str, str]:
    by_name: dict[str, str] = {}
    same = {same_name(name): name for name in tree.files if not name.isascii()}
    for number, item in enumerate(labels):
        good = isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)
        if not good or not isinstance(item[1], int) or isinstance(item[1], bool) or item[1] < 0:
            wrong = shown(str(item)[:60])
            raise DataError(f"{shown(tree.source(TABLE))}: label {number} is {wrong}; write [file, class number]")
        name = item[0].replace("\\", "/")
        name = name if name in tree.names else same.get(same_name(name), name)
        if name in by_name:
            both = f"{by_name[name]} and {item[1]}"
            raise DataError(f"{shown(tree.source(TABLE))}: labels {shown(name)!r} twice ({both}); keep one label")
        by_name[name] = str(item[1])
    return by_name
