from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anchor_hub.bundles import tensorfile
from anchor_hub.bundles.base import MANIFEST, fingerprint, open_bundle, write_bundle
from anchor_hub.errors import AnchorError, BundleError, HomeError, UsageError
from anchor_hub.system.config import dump_yaml, load_yaml
from tests.bundle_makers import FINGERPRINT, tiny_domain, tiny_hub


def test_the_card_ends_with_the_licences(tmp_path: Path):
    """Data whose licence asks for credit get it wherever the bundle goes."""
    license = {"weights": "Apache-2.0", "data": "CC-BY-4.0 (Somebody)"}
    written = write_bundle(
        tmp_path / "b", kind="hub", name="b", tensors={"generator": {"w": torch.ones(1)}}, architecture={},
        card="# b\n", license=license,
    )  # fmt: skip
    assert open_bundle(written).card() == "# b\n\n## Licences\n\n- weights: Apache-2.0\n- data: CC-BY-4.0 (Somebody)\n"


def test_round_trip(tmp_path: Path) -> None:
    folder = tiny_hub(tmp_path / "hub", extras={"preview.png": b"\x89PNG"})
    bundle = open_bundle(folder, "hub")
    assert bundle.verify() == []
    assert bundle.parts == ["generator"]
    assert bundle.manifest.provenance == {"seed": 0, "rate": 0.001}
    assert bundle.card() == "# tiny\n"
    tensors = bundle.tensors("generator", {"weight": torch.empty(3, 4), "bias": (3,)})
    assert torch.equal(tensors["weight"], torch.arange(12.0).reshape(3, 4))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["hub"]


def test_the_same_arguments_write_the_same_bytes(tmp_path: Path) -> None:
    first, second = tiny_hub(tmp_path / "a"), tiny_hub(tmp_path / "b")
    for item in first.iterdir():
        assert item.read_bytes() == (second / item.name).read_bytes()


def test_half_precision_comes_back_as_float32(tmp_path: Path) -> None:
    values = {"w": torch.tensor([0.5, 2.0]).half(), "n": torch.tensor([3]), "b": torch.ones(2).bfloat16()}
    bundle = open_bundle(tiny_hub(tmp_path / "h", tensors={"generator": values, "empty": {}}))
    assert bundle.parts == ["generator"]
    tensors = bundle.tensors("generator", {"w": ((2,), torch.float32), "n": (1,), "b": torch.empty(2)})
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {
        "w": torch.float32,
        "n": torch.int64,
        "b": torch.float32,
    }


def test_views_of_one_storage_are_written_apart(tmp_path: Path) -> None:
    base = torch.arange(6.0)
    values = {"a": base[:3], "b": base[::2], "c": base.reshape(2, 3).t()}
    tensors = open_bundle(tiny_hub(tmp_path / "h", tensors={"generator": values})).tensors("generator")
    assert all(torch.equal(tensors[name], value) for name, value in values.items())


@pytest.mark.parametrize(
    ("expected", "part"),
    [
        ({"weight": (3, 4)}, "has the unexpected bias"),
        ({"weight": (3, 4), "bias": (3,), "x": (1,)}, "lacks x"),
        ({"weight": (4, 3), "bias": (3,)}, "weight has shape [3, 4], the architecture needs [4, 3]"),
        ({"weight": (3, 4), "bias": ((3,), torch.int64)}, "bias has dtype torch.float32"),
    ],
)
def test_another_architecture(tmp_path: Path, expected: dict[str, Any], part: str) -> None:
    with pytest.raises(BundleError) as caught:
        open_bundle(tiny_hub(tmp_path / "h")).tensors("generator", expected)
    assert part in str(caught.value) and "generator.safetensors" in str(caught.value)


def test_another_kind_or_part(tmp_path: Path) -> None:
    folder = tiny_hub(tmp_path / "h")
    with pytest.raises(BundleError, match="is a hub bundle, a domain is needed"):
        open_bundle(folder, "domain")
    with pytest.raises(BundleError, match=r"holds no encoder.safetensors"):
        open_bundle(folder).tensors("encoder")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_not_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(BundleError, match="w holds NaN or infinity"):
        tiny_hub(tmp_path / "h", tensors={"generator": {"w": torch.tensor([value])}})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "overrides",
    [
        {"name": "../x"},
        {"name": "CON"},
        {"kind": "other"},
        {"extras": {"run.py": b""}},
        {"extras": {"a/b.png": b""}},
        {"extras": {"lib.so": b""}},
        {"tensors": {"../x": {"w": torch.zeros(1)}}},
        {"tensors": {"g": {"a/b": torch.zeros(1)}}},
        {"tensors": {"g": {"a..b": torch.zeros(1)}}},
        {"tensors": {"g": {"": torch.zeros(1)}}},
        {"metrics": {"x": float("nan")}},
        {"hub_fingerprint": "short"},
        {"provenance": {"x": object()}},
        {"tensors": {"g": {"e": torch.zeros(0)}}},
        {"extras": {"GENERATOR.safetensors": b""}},
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, overrides: dict[str, Any]) -> None:
    with pytest.raises(BundleError):
        tiny_hub(tmp_path / "h", **overrides)
    assert not list(tmp_path.iterdir())


def test_overwrite(tmp_path: Path) -> None:
    folder = tiny_hub(tmp_path / "h")
    with pytest.raises(UsageError, match="exists already"):
        tiny_hub(folder)
    tiny_hub(folder, card="# new\n", overwrite=True)
    assert open_bundle(folder).card() == "# new\n"
    assert [item.name for item in tmp_path.iterdir()] == ["h"]


def test_a_death_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    folder = tiny_hub(tmp_path / "h")
    os.rename(folder, tmp_path / ".h.previous")
    assert open_bundle(folder).verify() == []


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((HomeError, BundleError)):
        tiny_hub(tmp_path / "file" / "h")


# -- damage ---------------------------------------------------------------------------------------------


def rehash(folder: Path) -> None:
    """Make the manifest agree with the files: what a malicious or clumsy author does."""
    manifest = load_yaml(folder / MANIFEST)
    manifest["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["files"]
    }
    (folder / MANIFEST).write_text(dump_yaml(manifest))


def use(folder: Path) -> None:
    bundle = open_bundle(folder)
    for part in bundle.parts:
        bundle.tensors(part)
    bundle.card()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_byte_is_found(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "h"
    if not folder.exists():
        tiny_hub(folder)
    name = data.draw(st.sampled_from(["generator.safetensors", "README.md"]))
    original = (folder / name).read_bytes()
    position = data.draw(st.integers(0, len(original) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(original)
    changed[position] ^= 1 << bit
    (folder / name).write_bytes(changed)
    try:
        with pytest.raises(BundleError, match=f"{name}: is damaged or was changed"):
            use(folder)
        assert len(open_bundle(folder).verify()) == 1
    finally:
        (folder / name).write_bytes(original)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes_with_a_matching_hash_load_or_are_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever stands in a file whose hash is right: tensors or BundleError, never another exception."""
    folder = tmp_path / "h"
    if not folder.exists():
        tiny_hub(folder)
    path = folder / "generator.safetensors"
    original = path.read_bytes()
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(changed) - 1))
        changed[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(changed)
    try:
        rehash(folder)
        use(folder)
    except BundleError as error:
        assert "generator.safetensors" in str(error) and "\n" not in str(error)
    finally:
        path.write_bytes(original)
        rehash(folder)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_manifest_opens_or_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "h"
    if not folder.exists():
        tiny_hub(folder)
    path = folder / MANIFEST
    original = path.read_bytes()
    changed = bytearray(original)
    position = data.draw(st.integers(0, len(changed) - 1))
    changed[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(changed)
    try:
        use(folder)
    except BundleError as error:
        assert str(folder) in str(error) and "\n" not in str(error)
    finally:
        path.write_bytes(original)


def header(value: Any, tail: bytes = b"") -> bytes:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text + tail


def entry(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


BAD_FILES: dict[str, bytes] = {
    "empty": b"",
    "seven bytes": b"1234567",
    "zero length": struct.pack("<Q", 0),
    "beyond": struct.pack("<Q", 10**6) + b"{}",
    "101 MB header": struct.pack("<Q", 101_000_000) + b" " * 100,
    "2^63": struct.pack("<Q", 2**63) + b"{}",
    "not utf-8": header(b"\xff\xfe{}"),
    "bom": header(b"\xef\xbb\xbf{}"),
    "brace": header(b"{"),
    "list": header([]),
    "empty header": header({}),
    "only metadata": header({"__metadata__": {"a": "b"}}),
    "metadata number": header({"__metadata__": {"a": 1}, "w": entry()}, b"0000"),
    "truncated": header({"w": entry()}, b"000"),
    "trailing": header({"w": entry()}, b"00000"),
    "overlap": header({"a": entry(), "b": entry(offsets=(2, 6))}, b"000000"),
    "hole": header({"a": entry(), "b": entry(offsets=(6, 10))}, b"0" * 10),
    "negative": header({"a": entry(shape=(-1,))}, b"0000"),
    "huge": header({"a": entry(shape=(2**62, 4))}, b"0000"),
    "zero times huge": header({"a": entry(shape=(0, 2**62), offsets=(0, 0))}),
    "no elements": header({"a": entry(shape=(0,), offsets=(0, 0))}),
    "dtype": header({"a": entry("F128")}, b"0000"),
    "dtype list": header({"a": entry(["F32"])}, b"0000"),  # type: ignore[arg-type]
    "twice": header(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b"0000",
    ),
    "extra field": header({"a": entry(code="x")}, b"0000"),
    "dots": header({"../a": entry()}, b"0000"),
    "slash": header({"a/b": entry()}, b"0000"),
    "nul": header({"a\0": entry()}, b"0000"),
    "empty name": header({"": entry()}, b"0000"),
    "nan": header({"a": entry()}, struct.pack("<f", float("nan"))),
    "inf": header({"a": entry()}, struct.pack("<f", float("inf"))),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}.",
    "zip": b"PK\x03\x04" + b"\0" * 60,
    "html": b"<!DOCTYPE html><html>quota exceeded</html>",
    "git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "deep": header(b"[" * 100_000),
    "bool shape": header({"a": entry(shape=(True,))}, b"0000"),
    "float offsets": header({"a": entry(offsets=(0, 4.0))}, b"0000"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_weight_files(tmp_path: Path, name: str) -> None:
    folder = tiny_hub(tmp_path / "h")
    (folder / "generator.safetensors").write_bytes(BAD_FILES[name])
    with pytest.raises(BundleError, match="is damaged or was changed"):
        use(folder)
    rehash(folder)
    with pytest.raises(BundleError) as caught:
        use(folder)
    assert "generator.safetensors" in str(caught.value) and "\n" not in str(caught.value)


def test_a_valid_file_of_another_bundle(tmp_path: Path) -> None:
    folder, other = (
        tiny_hub(tmp_path / "a"),
        tiny_hub(tmp_path / "b", tensors={"generator": {"w": torch.ones(1)}}),
    )
    (folder / "generator.safetensors").write_bytes((other / "generator.safetensors").read_bytes())
    with pytest.raises(BundleError, match="is damaged or was changed"):
        use(folder)


def _remove_weights(folder: Path) -> None:
    (folder / "generator.safetensors").unlink()


def _folder_instead(folder: Path) -> None:
    _remove_weights(folder)
    (folder / "generator.safetensors").mkdir()


@pytest.mark.parametrize("damage", [_remove_weights, _folder_instead])
def test_missing_files(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tiny_hub(tmp_path / "h")
    damage(folder)
    assert "generator.safetensors: cannot be read" in open_bundle(folder).verify()[0]


def test_added_file(tmp_path: Path) -> None:
    folder = tiny_hub(tmp_path / "h")
    (folder / "extra.py").write_text("import os")
    assert open_bundle(folder).verify() == [f"{folder / 'extra.py'}: is not listed in bundle.yaml: remove it"]


@pytest.mark.parametrize("what", ["absent", "file", "empty"])
def test_no_bundle(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "h"
    if what == "file":
        folder.write_text("")
    elif what == "empty":
        folder.mkdir()
    with pytest.raises(BundleError, match="bundle"):
        open_bundle(folder)


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("format_version", 4, "upgrade Anchor Hub"),
        ("format_version", 0, "format_version"),
        ("kind", "gift", "kind"),
        ("name", "../x", "not usable"),
        ("hub_fingerprint", "xyz", "hub_fingerprint"),
        ("files", {"../a.md": "0" * 64}, "not allowed"),
        ("files", {"a.py": "0" * 64}, "not data"),
        ("files", {"a.md": "0"}, "64 hexadecimal"),
        ("files", {"a.md": "0" * 64, "A.md": "0" * 64}, "twice"),
        ("files", [], "files"),
        ("surprise", 1, "unknown key 'surprise'"),
        ("architecture", 3, "architecture"),
        ("modality", "rgb", "modality"),
        ("files", {f"f{i}.md": "0" * 64 for i in range(300)}, "limit"),
        ("files", {"bundle.yaml": "0" * 64}, "twice"),
    ],
)
def test_manifests(tmp_path: Path, key: str, value: Any, part: str) -> None:
    folder = tiny_hub(tmp_path / "h")
    manifest = {**load_yaml(folder / MANIFEST), key: value}
    (folder / MANIFEST).write_text(dump_yaml(manifest))
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert part in str(caught.value) and str(folder / MANIFEST) in str(caught.value)


def test_a_domain_needs_its_hub(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="names no hub_fingerprint"):
        tiny_domain(tmp_path / "d", hub_fingerprint=None)
    assert open_bundle(tiny_domain(tmp_path / "d")).manifest.hub_fingerprint == FINGERPRINT


# -- fingerprints ---------------------------------------------------------------------------------------


def test_fingerprint() -> None:
    tensors = {"a": torch.arange(4.0), "b": torch.ones(2, 2)}
    known = fingerprint(tensors, {"size": 8, "name": "x"})
    assert known == fingerprint(dict(reversed(tensors.items())), {"name": "x", "size": 8})
    # Stored bundles name these numbers: they may never change.
    assert known == "a6ccf417b68934e76fba2292400764b2a7e9ffe7eeccfd8f09aa7905ad0c546c"
    others = [
        fingerprint({**tensors, "b": torch.ones(4)}, {"size": 8, "name": "x"}),
        fingerprint({**tensors, "b": torch.ones(2, 2).double()}, {"size": 8, "name": "x"}),
        fingerprint({"c": tensors["a"], "b": tensors["b"]}, {"size": 8, "name": "x"}),
        fingerprint(tensors, {"size": 16, "name": "x"}),
    ]
    assert len({known, *others}) == 5


def test_tensorfile_errors_are_anchor_errors() -> None:
    with pytest.raises(AnchorError, match=r"here: is not a usable .safetensors file"):
        tensorfile.read(b"nonsense, more than nine bytes", "here")


def test_write_needs_a_card_and_takes_no_code(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not data"):
        write_bundle(
            tmp_path / "x", kind="hub", name="x", tensors={}, architecture={}, card="", extras={"a.pkl": b""}
        )
