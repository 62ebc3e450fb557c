"""Files that want to run something: nothing runs, and they are named for what they are."""

from __future__ import annotations

import builtins
import importlib
import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from anchor_hub.checkpoints.importing import import_hub
from anchor_hub.checkpoints.importing_domains import import_domain
from anchor_hub.checkpoints.inspecting import inspect_checkpoint
from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.errors import CheckpointError
from tests.checkpoints.makers import Calls, Persistent, network, nvidia_modules, nvidia_pickle
from tests.parity import load_case
from tests.tiny import tiny_hub

COMMAND = "echo ran > ran.txt"
PROGRAMS = {
    "os.system": Calls(os.system, COMMAND),
    "subprocess": Calls(subprocess.call, ["touch", "ran.txt"]),
    "eval": Calls(eval, "open('ran.txt', 'w')"),
    "exec": Calls(exec, "open('ran.txt', 'w')"),
    "import": Calls(importlib.import_module, "antigravity"),
    "getattr": Calls(getattr, "x", "upper"),
    "open": Calls(open, "ran.txt", "w"),
    "pickle": Calls(pickle.loads, b"cos\nsystem\n(S'echo'\ntR."),
    "torch.load": Calls(torch.load, "ran.txt"),
}


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    """In an empty folder, with everything that could run something replaced by a failure."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "ran.txt").exists()


def refused(path: Path, match: str) -> None:
    """Every public way into a file refuses it; looking at it says the same."""
    before = set(sys.modules)
    for read in (load_raw, lambda p: import_hub(p, "x", output=path.parent / "x"), inspect_raising):
        with pytest.raises(CheckpointError, match=match) as caught:
            read(path)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert not (path.parent / "x").exists()
    foreign = {name for name in set(sys.modules) - before if not name.startswith(("anchor_hub", "torch"))}
    assert not foreign & {"antigravity", "torch_utils", "dnnlib"}


def inspect_raising(path: Path) -> None:
    found = inspect_checkpoint(path)
    assert found.problems
    raise CheckpointError(found.problems[0])


@pytest.mark.parametrize("container", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs(program, container, tmp_path):
    path = tmp_path / "file.pt"
    content = {"g_ema": {"style.1.weight": torch.zeros(2, 2)}, "x": PROGRAMS[program]}
    if container == "pickle":
        path.write_bytes(pickle.dumps({"G_ema": PROGRAMS[program]}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=container == "zip")
    refused(path, "asks to run|object of torch.serialization.load")


def test_the_oldest_protocol(tmp_path):
    """Protocol 0 is text; it is no checkpoint, and it is not run to find out."""
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps(Calls(os.system, COMMAND), protocol=0))
    with pytest.raises(CheckpointError, match="is text"):
        load_raw(path)


@pytest.mark.parametrize("where", ["storage type", "key", "whole id"])
@pytest.mark.parametrize("legacy", [False, True])
def test_programs_in_persistent_ids(where, legacy, tmp_path, monkeypatch):
    """torch looks storages up by a pickled tuple: any part of it can be a call."""
    path, evil = tmp_path / "file.pt", Calls(os.system, COMMAND)

    class Pickler(pickle._Pickler):
        def persistent_id(self, thing):
            found = super().persistent_id(thing)
            if not isinstance(thing, torch.UntypedStorage | torch.storage.TypedStorage):
                return found
            parts = ["storage", torch.FloatStorage, "0", "cpu", 4]
            if where == "whole id":
                return evil
            parts[1 if where == "storage type" else 2] = evil
            return tuple(parts)

    stream = io.BytesIO()
    Pickler(stream, 2).dump({"a": torch.zeros(4)})
    torch.save({"a": torch.zeros(4)}, path, _use_new_zipfile_serialization=not legacy)
    _replace_pickle(path, stream.getvalue(), legacy)
    refused(path, "asks to run posix.system|asks to run nt.system")


def _replace_pickle(path: Path, data: bytes, legacy: bool) -> None:
    import zipfile

    if legacy:
        stream = io.BytesIO(path.read_bytes())
        for _ in range(3):
            pickle.load(stream)
        path.write_bytes(stream.getvalue()[: stream.tell()] + data)
        return
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in members.items():
            archive.writestr(name, data if name.endswith("data.pkl") else value)


def test_a_program_within_stored_numbers(tmp_path):
    """NVIDIA's pickles hold torch streams as bytes, which torch would unpickle without a limit."""
    inner = io.BytesIO()
    torch.save(Calls(os.system, COMMAND), inner, _use_new_zipfile_serialization=False)
    load = torch.storage._load_from_bytes
    data = pickle.dumps({"G_ema": Calls(load, inner.getvalue())})
    path = tmp_path / "network.pkl"
    path.write_bytes(data)
    refused(path, "asks to run")
    # One stream within another is not followed.
    again = io.BytesIO()
    torch.save(Calls(load, b"x"), again, _use_new_zipfile_serialization=False)
    path.write_bytes(pickle.dumps({"G_ema": Calls(load, again.getvalue())}))
    refused(path, "object of torch.storage._load_from_bytes")


def test_source_text_is_never_run(tmp_path):
    case = load_case("stylegan2_ada_g")
    source = f"import os\nos.system({COMMAND!r})\nraise SystemExit\n" * 100
    path = tmp_path / "network.pkl"
    nvidia_pickle(path, {"G_ema": network("Generator", case.state, case.manifest["config"], source)})
    result = import_hub(path, "x", output=tmp_path / "x")
    assert any("not run" in note for note in result.notes)
    assert any("program text, not run" in entry.value for entry in inspect_checkpoint(path).entries)
    assert "torch_utils" not in sys.modules and "os.system" not in (tmp_path / "x" / "bundle.yaml").read_text()


def test_programs_within_nvidia_objects(tmp_path):
    for number, bad in enumerate((Calls(os.system, COMMAND), {"a": [Calls(eval, "1")]})):
        path = nvidia_pickle(tmp_path / f"{number}.pkl", {"G_ema": Persistent("Generator", {"_modules": bad})})
        refused(path, "asks to run")


class Custom:
    pass


def test_whole_models_are_named(tmp_path):
    path = tmp_path / "model.pt"
    for thing, name in ((torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"), (Custom(), "test_malicious.Custom")):
        torch.save(thing, path)
        refused(path, f"object of .*{name}.*state dict")
        torch.save(thing, path, _use_new_zipfile_serialization=False)
        with pytest.raises(CheckpointError, match="object of"):
            load_raw(path)


def test_tensorflow_pickles_are_named(tmp_path):
    path = tmp_path / "stylegan2-ffhq-config-f.pkl"
    path.write_bytes(b"\x80\x03cdnnlib.tflib.network\nNetwork\nq\x00)\x81q\x01}q\x02b.")
    refused(path, "TensorFlow pickle.*legacy.py")


def test_classes_of_this_library_cannot_be_changed(tmp_path):
    """BUILD sets attributes in Python's unpickler; here it never touches what is not a record of the file."""
    for state in (b"}U\x08__call__K\x01s", b"NU\x04namq\x00\x86"):
        path = tmp_path / "file.pkl"
        path.write_bytes(b"\x80\x02ccollections\nOrderedDict\n" + state + b"b.")
        with pytest.raises(CheckpointError):
            load_raw(path)
    assert OrderedDict().__class__ is OrderedDict and "__call__" not in vars(OrderedDict)


def test_domains_refuse_them_too(tmp_path):
    path = tmp_path / "seg.pt"
    torch.save({"translator": {"encoder.x": torch.zeros(1)}, "opts": PROGRAMS["os.system"]}, path)
    with pytest.raises(CheckpointError, match="asks to run"):
        import_domain(path, "seg", tiny_hub(), output=tmp_path / "seg")
    assert not (tmp_path / "seg").exists()


def test_no_builtin_is_called(tmp_path, monkeypatch):
    """Importing and evaluating are refused at the source while a file is read."""
    path = tmp_path / "file.pt"
    torch.save({"a": torch.zeros(3), "n": {1, 2}}, path)
    load_raw(path)  # imports what this library needs
    with nvidia_modules():
        monkeypatch.setattr(builtins, "eval", lambda *_: pytest.fail("eval"))
        monkeypatch.setattr(builtins, "exec", lambda *_: pytest.fail("exec"))
        monkeypatch.setattr(pickle, "loads", lambda *_: pytest.fail("loads"))
        monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch.load"))
        assert load_raw(path).content["n"] == {1, 2}


#: A value that unfolds into 2 ** 60 of them: [], ([], []), (([], []), ([], [])) and so on.
ENDLESS = b"]" + b"2\x86" * 60
#: A text that is joined to itself 60 times.
JOINED = b"cpathlib\nPosixPath\nq\x000\x8c\x01x" + b"q\x010h\x00h\x01h\x01\x86R" * 60
NESTED = b"ctorch._tensor\n_rebuild_from_type_v2\nq\x000ctorch\nTensor\nq\x010)" + b"q\x020(h\x00h\x01h\x02Nt" * 5000


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"cpathlib\nPosixPath\n" + ENDLESS + b"\x85R", "no text"),
        (b"ctorch\ndevice\n" + ENDLESS + b"\x85R", "no text"),
        (b"cdnnlib.util\nEasyDict\n" + ENDLESS + b"N\x86\x85\x85R", "as a dict's key"),
        (JOINED, "far more values"),
        (NESTED + b"q\x020h\x00h\x02R", "damaged"),
    ],
    ids=["path", "device", "key", "text", "nested"],
)
def test_small_files_that_would_fill_memory_or_stack(data, match, tmp_path):
    (tmp_path / "file.pkl").write_bytes(b"\x80\x02" + data + b".")
    with pytest.raises(CheckpointError, match=match):
        load_raw(tmp_path / "file.pkl")
