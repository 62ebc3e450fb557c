"""The scripts that make the pictures of docs/ui2i.md and docs/editing.md, and the measure beside figure 6."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from anchor_finetune.domain import FineTunedDomain
from anchor_hub.editing import directions_of
from anchor_hub.errors import UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import build_modality
from anchor_hub.modality.pictures import from_unit
from tests.scripts import script
from tests.tiny import SIZE, tiny_biggan, tiny_generator, tiny_hub, write_sample


@pytest.fixture(scope="module")
def hub() -> Hub:
    return tiny_hub()


@pytest.fixture(scope="module")
def toon(hub: Hub) -> FineTunedDomain:
    return FineTunedDomain("toon-ft", build_modality({"name": "rgb"}), hub, tiny_generator(seed=1))


def test_layers_of_the_hub_in_an_independent_generator(hub: Hub) -> None:
    sheets = script("docs/make_ui2i.py")
    other = tiny_hub(seed=5, name="alone")
    rows, names = sheets.independent_rows(hub, other, (), count=2)
    swaps = [layers for layers in (1, 2, 3) if 4 << layers < SIZE]
    assert names == ["tiny", "alone", *(f"alone, l = {layers}" for layers in swaps)] and swaps
    assert [len(row) for row in rows] == [2] * len(names)
    z = hub.sample_z(2, seed=2)
    own = from_unit(other.image(other.expand(other.truncate(other.map(z), 0.8))))
    assert torch.equal(rows[1][0], own[0]) and not torch.equal(rows[2][0], own[0])
    # Every number of layers gives another picture, and none of them is the hub's.
    assert not any(torch.equal(rows[2][0], row[0]) for row in (rows[0], *rows[3:]))
    with pytest.raises(UsageError, match="cannot be swapped"):
        sheets.independent_rows(hub, tiny_biggan(), (), count=2)


def test_several_methods_of_the_same_inputs(tmp_path: Path) -> None:
    sheets = script("docs/make_ui2i.py")
    for number in range(3):
        write_sample("face", tmp_path / "in" / f"{number}.png", seed=number)
        write_sample("face", tmp_path / "one" / f"{number}.png", seed=10 + number)
        write_sample("face", tmp_path / "two" / f"{number}.png", seed=20 + number)
    outputs = {"first": tmp_path / "one", "second": tmp_path / "two"}
    rows, names = sheets.method_rows(tmp_path / "in", outputs, 2, SIZE)
    assert names == ["input", "first", "second"] and [len(row) for row in rows] == [2, 2, 2]
    read = build_modality({"name": "rgb"}).read
    assert torch.equal(rows[2][1], read(tmp_path / "two/1.png", SIZE))
    (tmp_path / "two/1.png").unlink()
    with pytest.raises(UsageError, match="no output of the input 1"):
        sheets.method_rows(tmp_path / "in", outputs, 2, SIZE)


@pytest.mark.parametrize(
    ("outputs", "way_out"),
    [((), "give --inputs FOLDER and --outputs NAME=FOLDER"), (("--outputs", "one"), "one names no method")],
)
def test_methods_without_pictures_say_what_to_give(
    outputs: tuple[str, ...], way_out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["make_ui2i.py", "--only", "methods", "--inputs", "in", *outputs])
    with pytest.raises(SystemExit):
        script("docs/make_ui2i.py").main()
    assert way_out in capsys.readouterr().err.replace("\n", " ")


def test_a_row_of_each_model_for_each_direction(hub: Hub, toon: FineTunedDomain) -> None:
    sheets = script("docs/make_editing.py")
    rows, names = sheets.meaning_rows(hub, [toon], (0, 2))
    assert names == ["0: tiny", "0: toon-ft", "2: tiny", "2: toon-ft"]
    middle = len(sheets.STRENGTHS) // 2
    assert torch.equal(rows[0][middle], rows[2][middle]), "strength 0 is the same picture whatever the direction"
    assert not torch.equal(rows[0][0], rows[2][0]) and not torch.equal(rows[0][0], rows[1][0])


def test_directions_agree_with_themselves_and_not_with_others() -> None:
    measure = script("benchmarks/direction_meaning.py")
    draws = torch.Generator().manual_seed(1)
    changes = torch.randn(5, 2, 4, generator=draws, dtype=torch.float64)
    same = measure.agreement(changes, 2 * changes, "abcd")
    assert same.cosines == pytest.approx([1.0] * 5) and same.correlation == pytest.approx(1.0)
    assert abs(same.by_chance) < 0.5 and same.factors == pytest.approx(dict.fromkeys("abcd", 1.0))
    assert all(theirs == pytest.approx(2 * ours) for ours, theirs in same.sizes)
    opposite = measure.agreement(changes, -changes, "abcd")
    assert opposite.cosines == pytest.approx([-1.0] * 5) and opposite.correlation == pytest.approx(-1.0)
    other = measure.agreement(changes, changes.roll(1, 0), "abcd")
    assert max(other.cosines) < 0.9


def test_factors_that_both_judges_read() -> None:
    measure = script("benchmarks/direction_meaning.py")
    cat, toon = measure.shared_factors("cat"), measure.shared_factors("toon")
    assert {"yaw", "pitch", "roll", "mouth_open"} <= set(cat) < set(toon), "a cat has no glasses"
    assert "hair_style" not in toon and "brow_raise" not in toon, "places are no values; no judge reads brows well"


def test_changes_of_a_model_with_itself(hub: Hub, toon: FineTunedDomain) -> None:
    measure = script("benchmarks/direction_meaning.py")
    latents, judges = hub.expand(hub.sample(3, seed=1)), measure.load_judges()
    directions = directions_of(hub)
    changes = [measure.Watched(model, judges, latents).changes(directions, 0, (0.0, 2.0)) for model in (hub, toon)]
    assert float(changes[0]["yaw"][0]) == 0.0 and float(changes[0]["yaw"][1]) != 0.0
    assert float(changes[0]["yaw"][1]) != float(changes[1]["yaw"][1])
