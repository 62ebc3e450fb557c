from __future__ import annotations

import pytest

from anchor_hub.errors import UsageError
from anchor_hub.specs import CommandSpec, DomainSpec, HubSpec, ModalitySpec, RecipeSpec, check_name


@pytest.mark.parametrize("name", ["a", "face", "seg-4", "faces-64", "a_b.c", "0x", "a" * 64])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "a/b",
        "a\\b",
        "A",
        "Face",
        "CON",
        "con",
        "nul.txt",
        "com1",
        "a" * 65,
        "a" * 10_000,
        "fаce",
        "ﬁne",
        "a b",
        "a\0",
        "a\n",
        "-a",
        ".a",
        "a.",
        "a..b",
        None,
        3,
        "face\u200b",
    ],
)
def test_unusable_names(name: object) -> None:
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert len(str(caught.value)) < 400 and str(caught.value).isascii() and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "spec",
    [
        HubSpec("x", bundle=3),
        HubSpec("x", summary="two\nlines"),
        HubSpec("x", summary="s" * 501),
        DomainSpec("x", hub="h", modality={"classes": 3}),
        DomainSpec("x", hub="", modality={"name": "rgb"}),
        DomainSpec("x", hub="h", modality=[]),
        DomainSpec("x", hub="h", modality={"name": "rgb"}, training=None),
        ModalitySpec("x"),
        ModalitySpec("x", target="os.system"),
        ModalitySpec("x", target="a:b; import c"),
        RecipeSpec("x", target="a:b", kind="other"),
        CommandSpec("x", target="a:b", help=None),
    ],
)
def test_wrong_fields(spec: HubSpec) -> None:
    with pytest.raises(UsageError, match="'x'"):
        spec.check()
