"""Files that are no checkpoint, or a damaged or strange one: each gets a sentence of its own."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from anchor_hub.checkpoints import pickles, storages
from anchor_hub.checkpoints.importing import import_hub, read_hub
from anchor_hub.checkpoints.inspecting import inspect_checkpoint
from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.errors import CheckpointError
from tests.checkpoints.makers import nvidia_pickle
from tests.parity import GOLDEN

PICKLE = GOLDEN / "stylegan2_ada_pkl" / "network.pkl"


def refused(path: Path, match: str) -> None:
    with pytest.raises(CheckpointError, match=match) as caught:
        load_raw(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < len(str(path)) + 420
    with pytest.raises(CheckpointError, match=match):
        inspect_checkpoint(path)


def saved(path: Path, content: object = None, **options: object) -> Path:
    torch.save({"a": torch.arange(100.0)} if content is None else content, path, **options)
    return path


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is empty"),
        (b"\x80", "known kind|damaged|truncated"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git-LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title>", "web page.*quota.*browser"),
        (b"\xef\xbb\xbf\n <HTML>not found", "web page"),
        (b'{"error": "not found"}', "is JSON"),
        (b"[1, 2]", "is JSON"),
        (b"hello", "is text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG image"),
        (b"\x1f\x8b\x08\x00" + bytes(50), "gzip.*unpack"),
        (b"\x7fELF" + bytes(50), "is a program"),
        (b"MZ" + bytes(50), "is a program"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
        (b"\x93NUMPY" + bytes(50), "numpy array"),
        (bytes(100), "no file of a known kind"),
        (b"PK\x05\x06" + bytes(18), "empty zip"),
        (b"PK\x03\x04" + bytes(100), "begins like a zip.*truncated"),
        (b"\x80\x09" + bytes(20), "known kind"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "damaged|truncated"),
        (b"\xff\xff\x00\x00\x00\x00\x00\x00{}", "truncated"),
        (b"\x80\x02}q\x00(U\x01aK\x01u.junk", "goes on after its end"),
    ],
)
def test_sentences(data, match, tmp_path):
    path = tmp_path / "file.pt"
    path.write_bytes(data)
    refused(path, match)


def test_missing_and_special(tmp_path):
    refused(tmp_path / "no.pt", "no such file")
    refused(tmp_path, "needs config.json.*it holds nothing")
    loop = tmp_path / "loop.pt"
    loop.symlink_to(loop)
    refused(loop, "cannot be read")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.pt")
        refused(tmp_path / "pipe.pt", "not a regular file")


def test_folders(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"a": 1}')
    refused(folder, "needs config.json and one of .*it holds config.json")
    saved(folder / "pytorch_model.bin")
    for path in (folder, folder / "pytorch_model.bin"):
        raw = load_raw(path)
        assert raw.config == {"a": 1} and torch.equal(raw.content["a"], torch.arange(100.0))
    for text, match in (("{", "not JSON"), ("[1]", "not a JSON object"), ("[" * 100_000, "not JSON")):
        (folder / "config.json").write_text(text)
        with pytest.raises(CheckpointError, match=f"config.json: is {match}"):
            load_raw(folder)
    (folder / "config.json").write_text(json.dumps({"a": "x" * 2_000_000}))
    with pytest.raises(CheckpointError, match="larger than"):
        load_raw(folder)
    (folder / "bundle.yaml").write_text("")
    refused(folder, "bundle of Anchor Hub already")


@pytest.mark.parametrize("legacy", [False, True])
def test_truncated(legacy, tmp_path):
    path = saved(tmp_path / "file.pt", _use_new_zipfile_serialization=not legacy)
    data = path.read_bytes()
    for size in range(1, len(data) - 1, 7):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            load_raw(path)
    path.write_bytes(data[: len(data) // 2])
    refused(path, "truncated|damaged")


def test_truncated_pickle(tmp_path):
    path, data = tmp_path / "network.pkl", PICKLE.read_bytes()
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(data[: int(len(data) * share)])
        refused(path, "damaged|truncated")


def test_a_flipped_byte_is_found(tmp_path):
    path = saved(tmp_path / "file.pt", {"a": torch.zeros(10_000)})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refused(path, "checksum differs")


def _zip(path: Path, members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, value in members.items():
            archive.writestr(name, value)
    return path


def test_zips_that_are_none_of_torch(tmp_path):
    path = tmp_path / "file.pt"
    refused(_zip(path, {"a/data.pkl": b"x", "a/data/0": bytes(100_000_000)}, zipfile.ZIP_DEFLATED), "is compressed")
    assert path.stat().st_size < 200_000
    refused(_zip(path, {"readme.txt": b"hello"}), "not one of torch.save.*readme.txt")
    refused(_zip(path, {"a/data.pkl": b"N.", "b/data.pkl": b"N."}), "not one of torch.save")
    refused(_zip(path, {"a/data.pkl": b"N.", "a/byteorder": b"big"}), "big-endian")
    refused(_zip(path, {"a/data.pkl": b"N.", "a/constants.pkl": b"N."}), "TorchScript")
    refused(_zip(path, {"bundle.yaml": b""}), "anchor hubs install")
    with pytest.warns(UserWarning), zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"N.")
        archive.writestr("a/data.pkl", b"N.")
    refused(path, "twice")


@pytest.mark.filterwarnings("ignore")
def test_torchscript(tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(path))
    refused(path, "TorchScript")


def test_legacy_tar(tmp_path):
    path = tmp_path / "old.pth"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    refused(path, "tar archive")


@pytest.mark.parametrize(
    ("tensor", "match"),
    [
        (torch.zeros(4).to_sparse(), "sparse"),
        (torch.zeros(4, dtype=torch.complex64), "complex"),
        (torch.zeros(4, device="meta"), "meta"),
        (None, "quantised"),
    ],
    ids=["sparse", "complex", "meta", "quantised"],
)
@pytest.mark.filterwarnings("ignore")
def test_strange_tensors(tensor, match, tmp_path):
    if tensor is None:
        tensor = torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8)
    refused_content = {"g_ema": {"a": tensor}}
    torch.save(refused_content, tmp_path / "file.pt")
    with pytest.raises(CheckpointError, match=match):
        load_raw(tmp_path / "file.pt")
    try:
        problems = inspect_checkpoint(tmp_path / "file.pt").problems
    except CheckpointError as error:
        problems = [str(error)]
    assert match in problems[0]


def _views(size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> object:
    return storages.Tensors().rebuild(torch.zeros(1), offset, size, stride)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (((2**40 - 1,), (1,)), "larger than its storage"),
        (((2**40 - 1,), (0,)), "repeats a storage"),
        (((2**20, 2**20), (0, 0)), "repeats a storage"),
        (((2,), (1,), 2**39), "larger than its storage"),
        (((-1,), (1,)), "impossible shape"),
        (((2,), (-1,)), "impossible shape"),
        (((0, 2**62), (1, 1)), "impossible shape"),
        (((2,), (1, 1)), "without storage or shape"),
        (((1,) * 30, (1,) * 30), "without storage or shape"),
        (((True,), (1,)), "impossible shape"),
    ],
)
def test_views_larger_than_their_storage(arguments, match):
    with pytest.raises(CheckpointError, match=match):
        _views(*arguments)


def test_views_that_are_fine():
    table = storages.Tensors()
    assert table.rebuild(torch.arange(4.0), 0, (3, 4), (0, 1)).shape == (3, 4)
    assert table.rebuild(torch.arange(4.0), 3, (), ()).item() == 3
    assert table.rebuild(torch.arange(4.0), 0, (0, 4), (4, 1)).numel() == 0


def test_a_huge_view_in_a_file(tmp_path):
    path = tmp_path / "file.pt"
    torch.save({"a": torch.zeros(1).expand(2**39)}, path)
    assert path.stat().st_size < 10_000
    refused(path, "repeats a storage")


@pytest.mark.parametrize("depth", [50, 5000])
def test_structures_that_unfold(depth, tmp_path):
    """Lists that hold themselves, bombs of shared lists, nests."""
    path = tmp_path / "file.pkl"
    circle: list[object] = []
    circle.append(circle)
    table: dict[str, object] = {}
    table["self"] = {"again": table}
    bomb: object = [0]
    for _ in range(depth):
        bomb = [bomb, bomb]
    for content, match in ((circle, "contains itself"), (table, "contains itself")):
        path.write_bytes(pickle.dumps(content, 4))
        refused(path, match)
    nest = b"\x80\x04" + b"](" * depth + b"K\x01" + b"e" * depth + b"."
    path.write_bytes(nest)
    if depth > pickles.MAX_DEPTH:
        refused(path, "nested")
    else:
        load_raw(path)
    if depth == 50:
        path.write_bytes(pickle.dumps(bomb, 4))
        refused(path, "unfolds into more")


def test_strange_keys_and_numbers(tmp_path):
    path = tmp_path / "file.pkl"
    for content, match in (
        ({(1, (2, 3)): 1}, "as a dict's key"),
        ({2**70: 1}, "as a dict's key"),
        (2**4000, "a number of 501 bytes"),
        ({1: [{(): {((),): 1}}]}, "as a dict's key"),
    ):
        path.write_bytes(pickle.dumps(content, 4))
        refused(path, match)
    path.write_bytes(b"\x80\x02" + b"N0" * (pickles.MAX_OPCODES // 2 + 1) + b"N.")
    refused(path, "operations")


def test_one_storage_of_two_kinds_or_sizes(tmp_path):
    path = saved(tmp_path / "file.pt")
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    data = next(name for name in members if name.endswith("data/0"))
    refused(_zip(path, {**members, data: members[data][:-4]}), "are announced")
    refused(_zip(path, {name: value for name, value in members.items() if name != data}), "lacks the numbers")


def test_files_of_no_family_name_what_they_hold(tmp_path):
    for content, match in (
        (
            {"model": {"conv.weight": torch.zeros(1)}, "epoch": 3},
            r"holds model \(of conv.weight ...\), epoch \(1 tensors in all\)",
        ),
        ([1, 2], "holds a list"),
        ({}, "holds nothing"),
        ({"x\n": 1}, r"holds x\\n"),
    ):
        path = saved(tmp_path / "file.pt", content)
        with pytest.raises(CheckpointError, match=match) as caught:
            import_hub(path, "x", output=tmp_path / "x")
        assert "Supported: stylegan2: " in str(caught.value) and "stylegan2-ada" in str(caught.value)
        assert not (tmp_path / "x").exists()


def test_safetensors_of_no_family(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "file.safetensors"
    save_file({"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}, path)
    raw = load_raw(path)
    assert raw.kind == "safetensors" and torch.equal(raw.content["a"], torch.arange(6.0).reshape(2, 3))
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    refused(path, "bytes of tensors where its header names")


def test_nan_is_found_at_import(tmp_path):
    from tests.checkpoints.makers import network
    from tests.parity import load_case

    case = load_case("stylegan2_ada_g")
    bias = "synthesis.b8.conv1.bias"
    state = {**case.state, bias: torch.full_like(case.state[bias], torch.nan)}
    path = nvidia_pickle(tmp_path / "n.pkl", {"G_ema": network("Generator", state, case.manifest["config"])})
    with pytest.raises(CheckpointError, match="NaN or infinity in synthesis.blocks.8.conv.bias"):
        import_hub(path, "x", output=tmp_path / "x")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"synthesis.b8.conv1.bias": None}, "lacks 'synthesis.b8.conv1.bias'"),
        ({"synthesis.b8.extra": torch.zeros(1)}, "unknown entry"),
        ({"synthesis.b8.conv1.weight": torch.zeros(3, 3)}, "does not fit its own architecture"),
        ({"synthesis.b8.resample_filter": torch.zeros(4, 4)}, "not the FIR kernel"),
        ({"mapping.w_avg": torch.zeros(7)}, "w_avg has shape"),
        ({"mapping.fc0.weight": None}, "incomplete"),
        ({"the last torgb.bias": None}, "unknown entry"),
        ({"mapping.embed.weight": torch.zeros(64, 3)}, "lacks 'mapping.embed.bias'"),
    ],
)
def test_networks_that_do_not_fit(change, match, tmp_path):
    from tests.checkpoints.makers import network
    from tests.parity import load_case

    case = load_case("stylegan2_ada_g")
    last = f"synthesis.b{case.manifest['config']['img_resolution']}.torgb.bias"
    change = {name.replace("the last torgb.bias", last): value for name, value in change.items()}
    state = {name: value for name, value in {**case.state, **change}.items() if value is not None}
    path = nvidia_pickle(tmp_path / "n.pkl", {"G_ema": network("Generator", state, case.manifest["config"])})
    with pytest.raises(CheckpointError, match=match) as caught:
        import_hub(path, "x", output=tmp_path / "x")
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("option", [{"architecture": "resnet"}, {"resample_filter": [1, 2, 1]}, {"use_noise": False}])
def test_options_that_are_not_supported(option, tmp_path):
    from tests.checkpoints.makers import network
    from tests.parity import load_case

    case = load_case("stylegan2_ada_g")
    config = {**case.manifest["config"]}
    config["synthesis_kwargs"] = {**config["synthesis_kwargs"], **option}
    path = nvidia_pickle(tmp_path / "n.pkl", {"G_ema": network("Generator", case.state, config)})
    with pytest.raises(CheckpointError, match=f"its {next(iter(option))} is .* only .* is supported"):
        import_hub(path, "x", output=tmp_path / "x")


def test_a_discriminator_that_is_not_supported_is_left_out(tmp_path):
    from tests.checkpoints.makers import network
    from tests.parity import load_case

    case, critic = load_case("stylegan2_ada_g"), load_case("stylegan2_ada_d")
    odd = network("Discriminator", critic.state, {**critic.manifest["config"], "architecture": "orig"})
    frozen = network("Discriminator", critic.state, {**critic.manifest["config"], "block_kwargs": {"freeze_layers": 4}})
    content = {"G_ema": network("Generator", case.state, case.manifest["config"])}
    path = nvidia_pickle(tmp_path / "n.pkl", {**content, "D": odd})
    found = read_hub(path)
    assert found.discriminator is None and "left out: its architecture is 'orig'" in found.notes[0]
    assert read_hub(nvidia_pickle(tmp_path / "f.pkl", {**content, "D": frozen})).discriminator is not None
    with pytest.raises(CheckpointError, match="n.pkl: its architecture is 'orig'"):
        read_hub(tmp_path / "f.pkl", path)
