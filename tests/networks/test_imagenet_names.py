"""The built-in names of ImageNet's classes."""

from __future__ import annotations

import pytest

from anchor_hub.errors import NotFoundError
from anchor_hub.hubs.classes import find_class
from anchor_hub.networks.imagenet_names import class_names, folded, imagenet_aliases, imagenet_names


def test_a_thousand_names_of_which_no_two_are_alike() -> None:
    names = imagenet_names()
    assert len(names) == 1000 and len({folded(name) for name in names}) == 1000
    assert all(name == name.strip() and name for name in names)
    aliases = imagenet_aliases()
    assert len(aliases) > 1500 and set(aliases.values()) == set(range(1000))
    assert all(aliases[folded(name)] == index for index, name in enumerate(names))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("tench", 0), ("tabby", 281), ("tiger cat", 282), ("golden retriever", 207), ("toilet tissue", 999),
        ("crane bird", 134), ("crane", 517), ("Cardigan Welsh corgi", 264), ("cardigan", 474), ("maillot", 638),
        ("Tabby", 281), ("great_white_shark", 2), ("shih tzu", 155), ("cat", 281), ("ATM", 480), ("281", 281),
    ],
)  # fmt: skip
def test_by_name_alias_and_index(name: str, index: int) -> None:
    assert find_class(class_names(1000), name, "imagenet") == index


def test_names_of_hubs_with_other_classes_are_their_own() -> None:
    assert class_names(3) == ("0", "1", "2")
    with pytest.raises(NotFoundError, match="Did you mean .*'tabby'"):
        find_class(class_names(1000), "tabi", "imagenet")
    with pytest.raises(NotFoundError):
        find_class(class_names(3), "tabby", "digits")
