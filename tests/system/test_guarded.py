"""Every reader of ours refuses what is no regular file: pipes would be waited for, devices read without end."""

from __future__ import annotations

import os
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anchor_hub.bundles.archive import export_bundle, install_bundle
from anchor_hub.bundles.base import open_bundle
from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.data.sample_tables import read_table
from anchor_hub.errors import AnchorError
from anchor_hub.evaluation.result import read_samples
from anchor_hub.images.reading import read_bytes
from anchor_hub.images.zips import ZipArchive
from anchor_hub.inversion.latents import read_latents
from anchor_hub.metrics.features import read_weights
from anchor_hub.system.config import read_text
from anchor_hub.system.files import file_sha256
from anchor_hub.system.guarded import RefusedFile, open_regular, read_regular
from anchor_hub.system.home import Home
from tests.bundle_makers import tiny_hub

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes and devices of POSIX")

READERS: dict[str, Callable[[Path], object]] = {
    "regular": read_regular, "hash": file_sha256, "text": read_text, "image": read_bytes, "table": read_table,
    "archive": ZipArchive, "install": install_bundle, "weights": lambda path: read_weights(path, "weights"),
    "samples": lambda path: list(read_samples(path)), "checkpoint": load_raw, "latents": read_latents,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _not_for_ever() -> Iterator[None]:
    """A reader that waits or reads without end fails in 20 seconds instead."""

    def late(number: int, frame: object) -> None:
        raise AssertionError("it waits, or reads without end")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def odd_files(folder: Path, name: str) -> Iterator[Path]:
    pipe, link = folder / f"pipe-{name}", folder / f"link-{name}"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    yield from (pipe, link)


@pytest.mark.parametrize("reader", READERS)
def test_pipes_and_devices_are_refused_by_every_reader(reader: str, tmp_path: Path) -> None:
    suffix = ".safetensors" if reader == "latents" else ".pt"
    for path in odd_files(tmp_path, f"a{suffix}"):
        with pytest.raises((AnchorError, RefusedFile), match="not a regular file") as caught:
            READERS[reader](path)
        assert isinstance(caught.value, AnchorError) or reader in ("regular", "hash")


@pytest.mark.parametrize("name", ["generator.safetensors", "README.md"])
def test_a_pipe_in_a_bundle_hangs_nothing(name: str, tmp_path: Path) -> None:
    for number, odd in enumerate(odd_files(tmp_path, "x")):
        folder = tiny_hub(tmp_path / f"made{number}")
        (folder / name).unlink()
        odd.rename(folder / name)
        bundle = open_bundle(folder)
        assert ["not a regular file" in problem for problem in bundle.verify()] == [True]
        with pytest.raises(AnchorError, match="not a regular file"):
            export_bundle(folder, tmp_path / "x.zip")
        with pytest.raises(AnchorError, match="not a regular file"):
            install_bundle(folder, Home(tmp_path / "home"))
        with pytest.raises(AnchorError, match="not a regular file"):
            bundle.tensors("generator") if name.startswith("gen") else bundle.card()


def test_the_size_is_known_before_a_byte_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with open(path, "wb") as stream:
        stream.truncate(1 << 42)  # no byte of it is on the disk
    with pytest.raises(RefusedFile, match=r"larger than what is read \(4398047 MB; the limit is 4295 MB\)"):
        read_regular(path)
    with pytest.raises(AnchorError, match="larger than"):
        read_table(path)


def test_a_growing_file_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "grows"
    path.write_bytes(b"12345")
    stream, size = open_regular(path)
    with stream, open(path, "ab") as other:
        other.write(b"678")
        other.flush()
        assert (size, stream.read(size)) == (5, b"12345")


def test_regular_files_are_read_through_links(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    (tmp_path / "b.zip").symlink_to(tmp_path / "a.zip")
    assert list(ZipArchive(tmp_path / "b.zip").members) == ["a.txt"]
