"""Which files are read and under which names the outputs go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DataError, UsageError
from anchor_hub.modality import build_modality
from anchor_hub.system.inputs import FolderFiles, list_inputs, shown
from anchor_hub.system.outputs import plan_outputs

PNG = {".png", ".jpg"}


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(inputs) -> list[str]:
    return [str(item.name) for item in inputs]


def test_folders_are_sorted_searched_deep_and_filtered(tmp_path):
    touch(
        *(
            tmp_path / name
            for name in ("b.png", "a.PNG", "sub/c.jpg", "notes.txt", ".hidden.png", ".git/d.png")
        )
    )
    assert names(list_inputs([tmp_path], PNG)) == ["a", "b", "sub/c"]
    with pytest.raises(DataError, match="no readable file"):
        list_inputs([tmp_path / ".git"], {".gif"})


def test_a_data_set_of_several_domains_is_not_one_domain(tmp_path):
    touch(tmp_path / "dataset.yaml", tmp_path / "face" / "0.png", tmp_path / "seg" / "0.png")
    with pytest.raises(DataError, match="name one of its folders: face, seg"):
        list_inputs([tmp_path], PNG)
    assert names(list_inputs([tmp_path / "seg"], PNG)) == ["0"]


def test_link_loops_end(tmp_path):
    touch(tmp_path / "x" / "a.png")
    os.symlink(tmp_path, tmp_path / "x" / "loop")
    assert names(list_inputs([tmp_path], PNG)) == ["x/a"]


def test_globs_files_and_duplicates(tmp_path):
    touch(tmp_path / "b.png", tmp_path / "a.png", tmp_path / "c.txt")
    given = [str(tmp_path / "*.png"), str(tmp_path / "c.txt"), tmp_path / "a.png"]
    assert names(list_inputs(given, PNG)) == ["a", "b", "c"]
    with pytest.raises(DataError, match="no file matches"):
        list_inputs([str(tmp_path / "*.jpg")], PNG)
    assert names(list_inputs([tmp_path / "missing.png"], PNG)) == ["missing"], "found missing when it is read"


def test_the_empty_name_is_not_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert names(list_inputs(["."], PNG)) == ["a"]
    for read in (lambda: list_inputs([""], PNG), lambda: ImageFolder("", build_modality({"name": "rgb"}), 16)):
        with pytest.raises(UsageError, match="empty name ''; write ."):
            read()


def test_a_file_whose_name_looks_like_a_glob(tmp_path):
    touch(tmp_path / "a[1].png")
    assert names(list_inputs([str(tmp_path / "a[1].png")], PNG)) == ["a[1]"]


def planned(tmp_path, paths, output, **options):
    touch(*(tmp_path / path for path in paths))
    inputs = list_inputs([tmp_path / path for path in paths], PNG)
    rows = plan_outputs(inputs, output, suffix=".png", **options)
    return [[path.relative_to(Path(output).parent).as_posix() for path in row] for row in rows]


def test_output_folder_keeps_names_and_numbers_collisions(tmp_path):
    out = tmp_path / "out"
    rows = planned(tmp_path, ["a/1.png", "b/1.png", "b/1.jpg", "b/2.png"], out)
    assert rows == [["out/1.png"], ["out/1-2.png"], ["out/1-3.png"], ["out/2.png"]]


def test_collisions_by_case_alone(tmp_path):
    assert planned(tmp_path, ["a/X.png", "b/x.png"], tmp_path / "o") == [["o/X.png"], ["o/x-2.png"]]


def test_output_file_and_styles(tmp_path):
    assert planned(tmp_path, ["in.jpg"], tmp_path / "face.png") == [["face.png"]]
    assert planned(tmp_path, ["in.jpg"], tmp_path / "face.png", endings=("style1", "style2")) == [
        ["face-style1.png", "face-style2.png"]
    ]
    assert planned(tmp_path, ["in.jpg"], tmp_path / "o", endings=("style1",)) == [["o/in.png"]]


def test_wrong_outputs(tmp_path):
    with pytest.raises(UsageError, match="2 inputs: give a folder"):
        planned(tmp_path, ["a.png", "b.png"], tmp_path / "face.png")
    with pytest.raises(UsageError, match="written as .png"):
        planned(tmp_path, ["a.png"], tmp_path / "face.gif")
    with pytest.raises(UsageError, match="would be overwritten"):
        plan_outputs(list_inputs([tmp_path / "a.png"], PNG), tmp_path, suffix=".png")
    touch(tmp_path / "plain")
    with pytest.raises(UsageError, match="is a file"):
        plan_outputs(list_inputs([tmp_path / "a.png"], PNG), tmp_path / "plain", suffix=".png")


def test_names_in_messages_are_printable():
    assert shown(Path("a\nb\udcff\U0001f600.png")) == "a\\nb\\udcff\U0001f600.png"


def test_a_folders_files_are_the_same_held_as_names(tmp_path: Path) -> None:
    for name in ("a/x.png", "a-b/x.png", "a.png", "b/c/y.PNG", "b/c.png", ".hidden/z.png", "b/.z.png", "b/text.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    wanted = list_inputs([tmp_path], (".png",))
    found = FolderFiles.of(tmp_path, (".png",))
    assert list(found) == wanted and found[1:3] == wanted[1:3] and found[-1] == wanted[-1]
    # Folder by folder, as paths are sorted: texts alone would put a-b before a.
    assert [file.name.as_posix() for file in found] == ["a/x", "a-b/x", "a", "b/c/y", "b/c"]
    with pytest.raises(DataError, match="no readable file"):
        FolderFiles.of(tmp_path, (".json",))
