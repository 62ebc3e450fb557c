"""A folder of files, with or without subfolders: every file the modality reads is a sample."""

from __future__ import annotations

from anchor_hub.data.layouts.base import Found, Request, Sample, nothing_readable, readable, stem, unread
from anchor_hub.data.layouts.trees import Tree

NAME = "folder"
SUMMARY = "files in a folder, with its subfolders; points may lie beside their pictures"


def find(tree: Tree, request: Request) -> Found:
    """All files. :raises DataError: not a single one can be read."""
    names = readable(tree, request)
    if not names:
        raise nothing_readable(tree, request)
    unused = unread(tree, names)
    return Found(NAME, [Sample(tree.source(name), stem(name)) for name in names], folder=tree.root, unused=unused)
