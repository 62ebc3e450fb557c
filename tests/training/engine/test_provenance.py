"""What bundles record about data and licences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anchor_hub.plugins.registry import registry
from anchor_hub.specs import DatasetSpec
from anchor_hub.training.engine.provenance import licenses, plugins_of, provenance, rendered_data_set


@pytest.mark.parametrize("data", ["set", "set/face", "set/face/*.png"])
def test_a_rendered_data_set_is_found_in_the_folder_and_beside_it(tmp_path: Path, data: str) -> None:
    (tmp_path / "set" / "face").mkdir(parents=True)
    (tmp_path / "set" / "dataset.yaml").write_text("renderer: anchor_faces\nseed: 3\n")
    assert rendered_data_set(tmp_path / data) == {"renderer": "anchor_faces", "seed": 3}
    assert rendered_data_set(tmp_path) is None


@pytest.mark.parametrize("text", ["train: images\n", "renderer: somebody's\n", "[", "- a\n", ""])
def test_another_tools_file_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.yaml").write_text(text)
    assert rendered_data_set(tmp_path) is None


def test_the_caller_has_the_last_word_on_licences() -> None:
    rendered = {"renderer": "anchor_faces"}
    assert licenses(None, None, None) == {"weights": "unknown", "data": "unknown"}
    assert licenses("MIT", None, rendered) == {"weights": "MIT", "data": "Apache-2.0 (rendered, no photographs)"}
    assert licenses(None, "mine", rendered)["data"] == "mine"


def test_a_registered_data_set_states_its_licence() -> None:
    spec = DatasetSpec("dogs", target="anchor_dogs.data:folder", license={"data": "CC-BY-4.0, the authors"})
    assert licenses(None, None, None, spec) == {"weights": "unknown", "data": "CC-BY-4.0, the authors"}
    assert licenses(None, "CC0", None, spec)["data"] == "CC0"
    assert licenses(None, None, None, DatasetSpec("dogs", target="anchor_dogs.data:folder"))["data"] == "unknown"


def test_the_faces_state_the_licence_of_their_renders() -> None:
    for name in ("rendered-faces", "rendered-creatures", "face-renders"):
        assert registry().datasets[name].spec.license == {"data": "Apache-2.0 (rendered, no photographs)"}


def test_only_strangers_plugins_are_named() -> None:
    own = registry().recipes["anchor"]
    stranger = replace(own, source="third-party", distribution="nobodys-dist")
    assert plugins_of([own, None]) is None
    assert plugins_of([stranger, own, stranger]) == {"nobodys-dist": "unknown"}, "not loaded any more"
    record = provenance("train", plugins=plugins_of([own]), samples=3)
    assert list(record) == ["command", "samples", "anchor_hub", "torch", "python"]
