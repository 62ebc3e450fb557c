"""RC and FC, which differ in what is learned from and what is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from anchor_hub.errors import DataError
from anchor_hub.evaluation.classes import PicturesMeasure, shared_classes, trained_classifiers
from anchor_hub.evaluation.measures import Loaded
from anchor_hub.evaluation.rows import Rows
from anchor_hub.metrics import trained_classifier


def kept(folder: Path, role: str, brightness: Sequence[int]) -> Rows:
    """Rows of plain gray pictures."""
    measure = PicturesMeasure(role)
    rows = Rows(folder / measure.key, measure.width, measure.dtype)
    values = torch.tensor(brightness, dtype=torch.uint8)
    rows.append(measure.rows(Loaded(output_pictures=values[:, None, None, None].expand(-1, 3, 16, 16).contiguous())))
    return rows


def test_rc_learns_from_real_pictures_and_fc_from_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained_classifier, "STEPS", 25)
    # Real: a is dark, b is bright. Outputs: one of the four b came out dark.
    real = kept(tmp_path, "real", [20, 220, 30, 230, 25, 225]), list("ababab")
    fake = kept(tmp_path, "fake", [25, 220, 25, 25, 25, 230, 20, 230]), list("abababab")
    rc, fc = trained_classifiers(("rc", "fc"), real, fake, seed=3, side=16)
    # Who learned from real pictures takes the dark b for an a; who learned from outputs still knows a dark one is an a.
    assert (rc.name, rc.value, fc.name, fc.value) == ("rc", 7 / 8, "fc", 1.0)
    assert rc.details["by_class"] == {"a": 1.0, "b": 0.75}
    assert rc.details["on_its_own_training_pictures"] == 1.0 and fc.details["on_its_own_training_pictures"] == 7 / 8
    assert (rc.chance, rc.seed, rc.extractor, rc.higher_is_better) == (0.5, 3, None, True)
    assert rc.settings["steps"] == 25 and rc.settings["widths"] == [24, 48, 96] and "64x64" in rc.resize
    assert rc.counts == {"real": 6, "fake": 8} and rc.protocol != fc.protocol
    done: list[int] = []
    (only,) = trained_classifiers(("fc",), real, fake, seed=3, side=16, progress=done.append)
    assert only == fc and sum(done) == 25


def test_classes_have_to_be_the_same() -> None:
    assert shared_classes(list("abba"), list("aabbb")) == ["a", "b"]
    for real, fake, message in (
        ("aabb", "aacc", "real: a, b; outputs: a, c"),
        ("", "", "real: none; outputs: none"),
        ("abbb", "aabb", "class 'a' has 1 real files and 2 outputs"),
    ):
        with pytest.raises(DataError, match=message):
            shared_classes(list(real), list(fake))
    with pytest.raises(DataError, match="one folder per class"):
        shared_classes(["a", "a", ""], ["a", "a"])
