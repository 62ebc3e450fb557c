"""Names of classes."""

from __future__ import annotations

import pytest

from anchor_hub.errors import NotFoundError, UsageError
from anchor_hub.hubs.classes import classes_file, find_class


def test_names_parts_and_indices() -> None:
    names = ("tabby, tabby cat", "tiger cat", "Egyptian cat")
    assert [find_class(names, which, "h") for which in ("tabby", "Tabby Cat", "tabby, tabby cat", 0, "0")] == [0] * 5
    assert find_class(names, " egyptian cat ", "h") == 2 and find_class(names, 2, "h") == 2


def test_a_class_called_by_a_digit_wins_over_the_index() -> None:
    assert find_class(("9", "1", "0"), "0", "h") == 2 and find_class(("9", "1", "0"), 0, "h") == 0
    assert find_class(("9", "1", "0"), "2", "h") == 2


@pytest.mark.parametrize("which", [3, -1, "3", "tigre", True, 1.5])
def test_what_is_no_class(which: object) -> None:
    with pytest.raises((NotFoundError, UsageError)):
        find_class(("cat", "tiger", "hen"), which, "h")  # type: ignore[arg-type]


def test_the_nearest_name_is_told_and_of_many_only_that() -> None:
    with pytest.raises(NotFoundError, match="Did you mean 'tiger'"):
        find_class(("cat", "tiger"), "tigr", "h")
    many = [f"kind {index}" for index in range(200)]
    with pytest.raises(NotFoundError) as raised:
        find_class(many, "zzz", "h")
    assert "kind 7" not in str(raised.value) and "200" in str(raised.value)
    assert classes_file(()) == {}
