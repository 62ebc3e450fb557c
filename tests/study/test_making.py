"""Runs become a study: matched by name, copied without a trace of whose they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from anchor_hub.errors import DataError, UsageError
from anchor_hub.study.making import new_study, parse_runs
from anchor_hub.study.plan import QUESTIONS, open_study, parse_questions, picture, shuffled
from tests.evaluation.report_makers import report_folder
from tests.study.makers import QUALITY, STRUCTURE, colour_of, runs_of, square, study_of
from tests.tiny import tiny_home, write_sample


def test_a_study_holds_every_set_of_every_run(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    assert made.notes == () and made.folder == tmp_path / "study" and open_study(made.folder) == made.study
    assert made.study.runs == ["red", "green", "blue"] and sorted(made.study.sets) == ["a", "b", "c", "d"]
    assert made.study.sets_per_participant == 4 and made.study.inputs
    for place in range(4):
        shown = [colour_of(picture(made.folder, place, run).read_bytes()) for run in (None, 0, 1, 2)]
        assert shown == ["input", "red", "green", "blue"]


def test_pictures_carry_nothing_but_pixels(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    assert "made by red" in (tmp_path / "red" / "a.png").read_bytes().decode("latin-1")
    for path in (made.folder / "pictures").rglob("*.png"):
        assert b"made by" not in path.read_bytes() and Image.open(path).info == {}


def test_unequal_runs_share_what_all_have(tmp_path: Path) -> None:
    runs = runs_of(tmp_path)
    (runs["red"] / "a.png").unlink()
    square(runs["blue"] / "deep" / "only-blue.png", (1, 2, 3))
    (tmp_path / "input" / "b.png").unlink()
    made = new_study(runs, tmp_path / "study", questions=[QUALITY, STRUCTURE], inputs=tmp_path / "input")
    assert sorted(made.study.sets) == ["c", "d"]
    notes = "\n".join(made.notes)
    assert "1 of 3 results of red are left out" in notes and "2 of 4 results of green are left out" in notes
    assert "3 of 5 results of blue are left out, not all others have them: a, b, deep/only-blue" in notes


def test_a_broken_picture_leaves_its_set_out(tmp_path: Path) -> None:
    runs = runs_of(tmp_path)
    (runs["green"] / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    made = new_study(runs, tmp_path / "study", questions=[QUALITY])
    assert sorted(made.study.sets) == ["a", "c", "d"] and "left out b: " in made.notes[0]
    assert len(list((tmp_path / "study" / "pictures").iterdir())) == 3


def test_nothing_in_common_is_an_error_that_shows_names(tmp_path: Path) -> None:
    first, second = tmp_path / "x", tmp_path / "y"
    square(first / "one.png", (0, 0, 0))
    square(second / "two.png", (0, 0, 0))
    with pytest.raises(DataError, match=r"matched by name \(x: one, ...; y: two, ...\)"):
        new_study({"x": first, "y": second}, tmp_path / "study", questions=[QUALITY])
    assert not (tmp_path / "study").exists() and not list(tmp_path.glob(".study*"))


def test_styles_find_their_input(tmp_path: Path) -> None:
    for run in ("x", "y"):
        for style in (1, 2):
            square(tmp_path / run / f"a-style{style}.png", (style, 0, 0))
    square(tmp_path / "input" / "a.png", (9, 9, 9))
    runs = {"x": tmp_path / "x", "y": tmp_path / "y"}
    made = new_study(runs, tmp_path / "study", questions=[STRUCTURE], inputs=tmp_path / "input")
    assert sorted(made.study.sets) == ["a-style1", "a-style2"]


def test_the_pool_is_drawn_by_the_seed(tmp_path: Path) -> None:
    names = [f"{n:03d}" for n in range(40)]
    runs = runs_of(tmp_path, names)

    def pool(seed: int) -> list[str]:
        made = new_study(runs, tmp_path / f"{seed}", questions=[QUALITY], pool=10, sets=4, seed=seed, overwrite=True)
        assert made.study.settings["sets_in_common"] == 40 and made.study.sets_per_participant == 4
        return made.study.sets

    assert len(pool(0)) == 10 and pool(0) == pool(0) != pool(1)


def test_report_folders_know_their_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_home(tmp_path, monkeypatch, ("seg",))
    first, second = report_folder(tmp_path / "one", count=3), report_folder(tmp_path / "two", count=4)
    made = new_study({"one": first, "two": second}, tmp_path / "study", questions=[STRUCTURE])
    assert sorted(made.study.sets) == ["000000", "000001", "000002"] and made.study.inputs
    place = made.study.sets.index("000002")
    kept = Image.open(picture(made.folder, place, None)).tobytes()
    assert kept == Image.open(tmp_path / "one" / "input" / "2.png").tobytes()
    with pytest.raises(DataError, match="names no samples of this translation"):
        new_study({"one": first, "two": second}, tmp_path / "s2", questions=[QUALITY], source="seg")


def test_label_maps_and_points_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_home(tmp_path, monkeypatch, ("seg", "points"))
    points = {"size": [16, 16], "points": [[4 + n / 8, 4 + n / 10] for n in range(68)]}
    for run in ("x", "y"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "a.json").write_text(json.dumps(points))
    (tmp_path / "input").mkdir()
    write_sample("seg", tmp_path / "input" / "a.png", seed=1)
    runs = {"x": tmp_path / "x", "y": tmp_path / "y"}
    options = {"questions": [STRUCTURE], "inputs": tmp_path / "input", "source": "seg"}
    made = new_study(runs, tmp_path / "study", target="points", **options)  # type: ignore[arg-type]
    assert Image.open(picture(made.folder, 0, 1)).size == (128, 128)
    assert len(Image.open(picture(made.folder, 0, None)).convert("RGB").getcolors() or []) > 2
    with pytest.raises(UsageError, match="--to nothing: there is no such domain"):
        new_study(runs, tmp_path / "other", target="nothing", **options)  # type: ignore[arg-type]


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    made = study_of(tmp_path)
    (made.folder / "votes.sqlite").write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        study_of(tmp_path)
    assert (made.folder / "votes.sqlite").read_text() == "precious"


def test_questions_that_compare_need_inputs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give --inputs FOLDER"):
        study_of(tmp_path, inputs=None)


def test_runs_are_named(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    runs = parse_runs([f"{tmp_path}/x/,ours={tmp_path}/y", f"{tmp_path}/a=b"])
    assert runs == {"x": tmp_path / "x", "ours": tmp_path / "y", "a=b": tmp_path / "a=b"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a", "at least two"),
        ("x/a,y/a", "two runs are called 'a'"),
        ("m=a,n=a", "the same folder"),
        (",".join(f"r{n}" for n in range(10)), "9 at most"),
    ],
)
def test_wrong_runs(given: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_runs([given])


def test_questions_are_parsed() -> None:
    asked = parse_questions("quality, structure", ["fur=Which has better fur?"])
    assert [item.name for item in asked] == ["quality", "structure", "fur"]
    assert asked[0].text == QUESTIONS["quality"] and asked[2].text == "Which has better fur?"
    for names, own, message in (
        ("qualty", [], "Did you mean 'quality'"),
        ("", [], "needs a question"),
        ("", ["Fur?"], "NAME=WORDS"),
        ("quality", ["quality=x"], "two questions have one name"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_questions(names, own)


def test_orders_differ_by_question_and_participant_and_are_fair(tmp_path: Path) -> None:
    study = study_of(tmp_path).study
    assert study.tasks("anna") == study.tasks("anna") != study.tasks("berta")
    first = [study.order(f"p{n}", 0, QUALITY)[0] for n in range(3000)]
    assert all(900 < first.count(run) < 1100 for run in range(3))
    assert any(study.order(f"p{n}", 0, QUALITY) != study.order(f"p{n}", 0, STRUCTURE) for n in range(20))
    sets = {tuple(task.place for task in study.tasks(f"p{n}")) for n in range(20)}
    assert len(sets) > 10


def test_shuffling_is_fixed_for_ever() -> None:
    assert shuffled("abcdef", 0, "anna") == ["f", "e", "c", "a", "d", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("runs: [a, a]\nsets: [x]\nquestions: [{name: q, text: t}]\n", "runs have one name"),
        ("runs: [a, b]\nsets: []\nquestions: [{name: q, text: t}]\n", "sets"),
        ("runs: [a, b]\nsets: [x]\nquestions: [{name: q, text: t}]\nformat_version: 9\n", "format_version"),
        ("runs: [a", "study.yaml"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        open_study(tmp_path)


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="anchor study new"):
        open_study(tmp_path)
