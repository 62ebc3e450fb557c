"""A folder per class, as ImageNet has them, with or without a folder per split around them."""

from __future__ import annotations

from anchor_hub.data.layouts.base import SPLITS, Found, Request, Sample, readable, stem, unread
from anchor_hub.data.layouts.trees import Tree

NAME = "class folders"
SUMMARY = "CLASS/..., or train|val|test/CLASS/... as ImageNet has it; the folder is the class"


def find(tree: Tree, request: Request) -> Found | None:
    """Classes by folder, where every readable file lies in one and there are at least two."""
    names = readable(tree, request)
    if not names:
        return None
    samples = split_samples(tree, names) or class_samples(tree, names)
    return None if samples is None else Found(NAME, samples, folder=tree.root, unused=unread(tree, names))


def split_samples(tree: Tree, names: list[str]) -> list[Sample] | None:
    """Samples of ``train/CLASS/x.png`` or ``train/x.png``; None where other folders lie beside the splits."""
    tops = {name.split("/", 1)[0] for name in names}
    if not all("/" in name for name in names) or not all(top.lower() in SPLITS for top in tops):
        return None
    inner = [name.split("/")[1:-1] for name in names]
    has_classes = all(inner) and len({parts[0] for parts in inner}) > 1
    return [
        Sample(tree.source(name), stem(name), parts[0] if has_classes else None, name.split("/", 1)[0].lower())
        for name, parts in zip(names, inner, strict=True)
    ]


def class_samples(tree: Tree, names: list[str]) -> list[Sample] | None:
    """Samples of ``CLASS/x.png``; None if a file lies outside, there is only one class, or folders only group files."""
    if not all("/" in name for name in names) or len({name.split("/", 1)[0] for name in names}) < 2:
        return None
    if all(_in_thousands(name) for name in names):
        return None
    return [Sample(tree.source(name), stem(name), name.split("/", 1)[0]) for name in names]


def _in_thousands(name: str) -> bool:
    """Whether a folder only groups files by the thousand: ``01000/01234.png``."""
    folder, last = name.split("/", 1)[0], name.rsplit("/", 1)[-1].split(".", 1)[0]
    return len(folder) >= 4 and folder.isdecimal() and last.isdecimal() and int(last) // 1000 * 1000 == int(folder)
