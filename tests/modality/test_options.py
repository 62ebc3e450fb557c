"""A modality's options, told and given."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from anchor_hub.data.check import folder_modality
from anchor_hub.errors import ConfigError, ModalityNotFoundError, UsageError
from anchor_hub.modality import build_modality, known_options
from anchor_hub.modality.base import ModalityOption
from anchor_hub.modality.landmarks import Landmarks
from anchor_hub.modality.options import modality_table
from anchor_hub.training.anchoring.add_domain import modality_table as of_domain

pytestmark = pytest.mark.usefixtures("strangers")


def test_the_options_of_a_registered_modality() -> None:
    assert known_options("landmarks") == {
        "points": ModalityOption("points", "int", 68),
        "drawn": ModalityOption("drawn", "bool", False),
        "size": ModalityOption("size", "int | None", None),
        "sigma": ModalityOption("sigma", "float", 1.0),
        "fit": ModalityOption("fit", "str", "stretch"),
    }
    assert list(known_options("rgb")) == ["range", "fit"]
    count = known_options("corners")["count"]
    assert count.required and count.type == "int" and count.default is None
    with pytest.raises(ModalityNotFoundError, match="Did you mean 'rgb'"):
        known_options("rbg")


def test_the_signature_of_a_modality_is_its_constructors() -> None:
    assert list(inspect.signature(Landmarks).parameters) == ["points", "drawn", "size", "sigma", "fit"]


def test_options_that_a_constructor_cannot_take_are_one_line() -> None:
    with pytest.raises(ConfigError, match="modality 'corners' needs the option 'count'"):
        build_modality({"name": "corners"})
    with pytest.raises(ConfigError, match="modality 'landmarks': {'sigma': 'wide'} cannot be its options"):
        build_modality({"name": "landmarks", "sigma": "wide"})
    with pytest.raises(ConfigError, match="^modality landmarks: points is 0"):
        build_modality({"name": "landmarks", "points": 0})


def test_a_call_adds_options(tmp_path: Path) -> None:
    seg = {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"}
    assert modality_table(seg) == seg
    merge = tmp_path / "merge.yaml"
    merge.write_text("face: [skin, nose]\nrest: ['*']\n")
    assert modality_table(seg, merge_classes=merge) == {**seg, "merge": {"face": ["skin", "nose"], "rest": ["*"]}}
    assert modality_table({"name": "segmentation"}, classes=3) == {"name": "segmentation", "classes": 3}
    table = modality_table({"name": "landmarks", "points": 68}, settings=["points=5", "drawn = true", "sigma=2.5"])
    assert table == {"name": "landmarks", "points": 5, "drawn": True, "sigma": 2.5}
    assert modality_table({"name": "corners"}, settings=["count=4", "colour={a: [1]}"])["colour"] == {"a": [1]}
    assert modality_table({"name": "rgb"}, settings=["fit=crop"]) == {"name": "rgb", "fit": "crop"}


@pytest.mark.parametrize(
    ("name", "given", "error", "message"),
    [
        ("rgb", {"classes": 3}, UsageError, "are for label maps, not for modality 'rgb'"),
        ("landmarks", {"settings": ["point=3"]}, UsageError, "has no option 'point'. Did you mean 'points'"),
        ("landmarks", {"settings": ["points"]}, UsageError, "write NAME=VALUE, e.g. --modality-set"),
        ("segmentation", {"classes": 3, "settings": ["classes=4"]}, UsageError, "'classes' is given twice"),
        ("landmarks", {"settings": ["points=3", "points=4"]}, UsageError, "'points' is given twice"),
        ("landmarks", {"settings": ["points=012"]}, ConfigError, "--modality-set points"),
        ("rbg", {"settings": ["fit=crop"]}, ModalityNotFoundError, "Did you mean 'rgb'"),
    ],
)
def test_wrong_options_of_a_call(name: str, given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        modality_table({"name": name}, **given)


def test_every_command_takes_them_the_same_way() -> None:
    assert folder_modality(None, "corners", settings=["count=3"]).options() == {"count": 3}
    assert folder_modality("seg", settings=["fit=crop"]).options()["fit"] == "crop"
    assert of_domain("new", "corners", settings=["count=3"]) == {"name": "corners", "count": 3}
    assert of_domain("seg", None) is None and of_domain("new", None) is None
    assert of_domain("new", "rgb") == {"name": "rgb"}
    assert (of_domain("seg", None, settings=["fit=crop"]) or {})["palette"] == "celebamask-hq"
    with pytest.raises(UsageError, match="'new' is new: say what its images are"):
        of_domain("new", None, settings=["fit=crop"])
    with pytest.raises(UsageError, match="are for label maps, not for modality 'rgb'"):
        of_domain("new", "rgb", classes=3)
