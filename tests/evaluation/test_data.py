from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from anchor_hub.errors import DataError, UsageError
from anchor_hub.evaluation.data import PairData, pair_data
from anchor_hub.modality import build_modality
from tests.tiny import CLASSES, write_sample

SEG = ("seg", build_modality({"name": "segmentation", "classes": CLASSES}))
FACE = ("face", build_modality({"name": "rgb"}))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for index, name in enumerate(("a", "b", "x/c")):
        for domain in ("seg", "face"):
            write_sample(domain, tmp_path / domain / f"{name}.png", seed=index)
    return tmp_path


def read(folder: Path, **options: object) -> PairData:
    return pair_data(folder, SEG, FACE, **options)  # type: ignore[arg-type]


def test_pairs_have_the_same_names(pairs: Path) -> None:
    data = read(pairs)
    assert data.paired and [item.name for item in data.items] == ["a", "b", "x/c"]
    assert [item.truth for item in data.items] == [pairs / "face" / f"{n}.png" for n in ("a", "b", "x/c")]
    assert [item.label for item in data.items] == ["", "", "x"]
    assert [file.path.name for file in data.real] == ["a.png", "b.png", "c.png"]
    first = read(pairs, limit=1)
    assert [item.name for item in first.items] == ["a"] and [file.path.name for file in first.real] == ["a.png"]


def test_the_sum_tells_names_and_bytes(pairs: Path) -> None:
    before = read(pairs).sha256()
    assert read(pairs).sha256() == before != read(pairs, limit=2).sha256()
    (pairs / "face" / "extra.png").write_bytes((pairs / "face" / "a.png").read_bytes())
    extra = read(pairs).sha256()
    assert extra != before  # a further real picture changes what sets are compared with
    (pairs / "face" / "extra.png").unlink()
    (pairs / "seg" / "b.png").write_bytes((pairs / "seg" / "a.png").read_bytes())
    assert read(pairs).sha256() not in (before, extra)


def test_samples_are_held_as_names_alone(tmp_path: Path) -> None:
    count = 4000
    for domain in ("seg", "face"):
        for part in ("a", "b"):
            (tmp_path / domain / part).mkdir(parents=True)
        for index in range(count):
            (tmp_path / domain / "ab"[index % 2] / f"{index:06d}.png").touch()
    read(tmp_path)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    data = read(tmp_path)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(data.items) == len(data.real) == count and data.items[-1].truth is not None
    assert held / count < 300  # two names; with paths it was 2,000


def test_unpaired_sets(pairs: Path) -> None:
    for index, path in enumerate(sorted((pairs / "face").rglob("*.png"))):
        path.rename(pairs / "face" / f"other{index}.png")
    data = read(pairs, limit=1)
    assert not data.paired and len(data.real) == 3 and data.items[0].truth is None


def test_other_real_files(pairs: Path, tmp_path: Path) -> None:
    write_sample("face", tmp_path / "more" / "z.png", seed=9)
    data = read(pairs, real=tmp_path / "more")
    assert data.paired and [file.path.name for file in data.real] == ["z.png"]


def test_wrong_folders(pairs: Path) -> None:
    with pytest.raises(DataError, match=r"cat: is not there \(there are face, seg\)"):
        pair_data(pairs, ("cat", FACE[1]), SEG)
    with pytest.raises(DataError, match="--real nowhere: there is no such folder"):
        read(pairs, real="nowhere")
    with pytest.raises(DataError, match="no folder in it"):
        read(pairs / "nowhere")
    (pairs / "face" / "b.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 inputs have no true face \(the first: b\)"):
        read(pairs)
    write_sample("face", pairs / "face" / "b.png", seed=1)
    (pairs / "seg" / "a.bmp").write_bytes((pairs / "seg" / "a.png").read_bytes())
    with pytest.raises(DataError, match="same name"):
        read(pairs)
    with pytest.raises(UsageError, match="at least 1"):
        read(pairs, limit=0)
