"""Names of a class-conditional hub's classes: finding one, and the file of the bundle that keeps them."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anchor_hub.errors import BundleError, NotFoundError, UsageError, did_you_mean
from anchor_hub.networks.imagenet_names import IMAGENET_CLASSES, class_names, folded, imagenet_aliases

if TYPE_CHECKING:
    from torch import Tensor

    from anchor_hub.bundles.base import Bundle
    from anchor_hub.hubs.base import Hub

#: The file of a hub's bundle: a JSON list of names in the order of the labels.
CLASSES_FILE = "classes.json"


def find_class(classes: Sequence[str], which: str | int, hub: str) -> int:
    """Index of a class by name or index.

    Upper and lower case are alike; each part of a name with commas ("tabby, tabby cat") is a name. A string of
    digits is an index unless a class has that name. ImageNet's classes have everyday names, too.

    :raises UsageError: the hub has no classes. :raises NotFoundError: no such class; the message has the nearest names.
    """
    if not classes:
        raise UsageError(f"hub {hub!r} has no classes: leave the class out")
    names: dict[str, int] = {}
    for index, name in enumerate(classes):
        names.setdefault(name.lower(), index)
    for index, name in enumerate(classes):
        for part in name.split(","):
            names.setdefault(part.strip().lower(), index)
    other_names = _imagenet_aliases(classes)
    for name, index in other_names.items():
        names.setdefault(name, index)
    if isinstance(which, bool) or not isinstance(which, (int, str)):
        raise UsageError(f"a class is a name or an index, not {which!r}")
    if isinstance(which, int):
        if 0 <= which < len(classes):
            return which
    else:
        text = which.strip().lower()
        if text in names:
            return names[text]
        if other_names and folded(text) in other_names:
            return other_names[folded(text)]
        if text.isdecimal() and int(text) < len(classes):
            return int(text)
    near = did_you_mean(str(which).strip().lower(), names) if len(classes) <= 50 else _near(str(which), names)
    raise NotFoundError(f"hub {hub!r} has no class {which!r}; it has {len(classes)}, by name or index.{near}")


def _imagenet_aliases(classes: Sequence[str]) -> dict[str, int]:
    """Everyday names of ImageNet's classes ("great white shark", "cat"), for a hub that has those classes."""
    return imagenet_aliases() if tuple(classes) == class_names(IMAGENET_CLASSES) else {}


def _near(name: str, names: dict[str, int]) -> str:
    """A sentence with the nearest names; '' if none is near, since a list of very many classes helps nobody."""
    near = did_you_mean(name.strip().lower(), names)
    return near if near.startswith(" Did") else ""


def classes_file(classes: Sequence[str]) -> dict[str, bytes]:
    """The bundle's extra file; nothing for a hub without classes."""
    if not classes:
        return {}
    return {CLASSES_FILE: (json.dumps(list(classes), ensure_ascii=False, indent=0) + "\n").encode("utf-8")}


def read_classes(bundle: Bundle) -> tuple[str, ...]:
    """The names of a hub bundle's classes; empty where it has none. :raises BundleError: a damaged file."""
    if CLASSES_FILE not in bundle.manifest.files:
        return ()
    where = bundle.path / CLASSES_FILE
    try:
        names = json.loads(bundle.read(CLASSES_FILE).decode("utf-8"))
    except ValueError as error:
        raise BundleError(f"{where}: cannot be read as JSON ({error}); install the bundle again") from None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise BundleError(f"{where}: must be a list of class names; install the bundle again")
    return tuple(names)


def with_classes(hub: Hub, labels: Tensor) -> Hub:
    """The hub with a class of its own for each of ``len(labels)`` pictures: a view for batches of that length.

    :param labels: ``[B]``, indices of classes. Other batches raise ValueError.
    """
    view, given = copy.copy(hub.base), labels.to(hub.device)

    def of_each(count: int) -> Tensor:
        if len(given) != count:
            raise ValueError(f"hub {hub.name!r}: {count} pictures do not fit the {len(given)} classes given")
        return given

    view._whitening, view.labels = {}, of_each  # type: ignore[method-assign]
    return view
