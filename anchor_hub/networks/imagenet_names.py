"""Names of the 1,000 ImageNet classes (ILSVRC 2012), in the order in which all published networks number them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

#: Number of classes of ILSVRC 2012.
IMAGENET_CLASSES = 1000
_FILE = Path(__file__).with_name("imagenet_names.txt")


@lru_cache(maxsize=1)
def _lines() -> tuple[tuple[str, ...], ...]:
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    return tuple(tuple(name.strip() for name in line.split(";")) for line in lines)


def imagenet_names() -> tuple[str, ...]:
    """The name of each class, class 281 being ``tabby``; no two are the same, whatever their case."""
    return tuple(names[0] for names in _lines())


def imagenet_aliases() -> dict[str, int]:
    """Name, in the form of :func:`folded` -> class: the 1,000 names and some hundred others that people use."""
    return {folded(name): index for index, names in enumerate(_lines()) for name in names}


def folded(name: str) -> str:
    """A name in the form for comparing: lower case, one space for anything but letters and digits (``shih tzu``)."""
    return " ".join("".join(c if c.isalnum() else " " for c in name.casefold()).split())


def class_names(count: int) -> tuple[str, ...]:
    """Names of ``count`` classes: ImageNet's where there are 1,000, their numbers otherwise."""
    return imagenet_names() if count == IMAGENET_CLASSES else tuple(str(index) for index in range(count))
