from __future__ import annotations

import inspect

import pytest

from anchor_hub import errors


def test_every_error_is_an_anchor_error_and_a_builtin() -> None:
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, Exception)]
    assert len(classes) > 15
    for item in classes:
        assert issubclass(item, errors.AnchorError)
        if item is not errors.AnchorError:
            assert any(base.__module__ == "builtins" and base is not Exception for base in item.__mro__[:-3])
        assert item("what failed").exit_code in (1, 2)
        assert str(item("it's 'quoted'")) == "it's 'quoted'"


def test_did_you_mean() -> None:
    assert errors.did_you_mean("skech", ["sketch", "face"]) == " Did you mean 'sketch'?"
    assert errors.did_you_mean("xyz", ["face", "seg"]) == " Known: face, seg."
    assert errors.did_you_mean("xyz", []) == ""
    with pytest.raises(KeyError):
        raise errors.HubNotFoundError("no hub")
