from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import pydantic
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from anchor_hub.errors import ConfigError
from anchor_hub.system.config import MAX_BYTES, dump_yaml, load_yaml, validate


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-2.5", -2.5),
        (".5", 0.5),
        ("7", 7),
        ("-7", -7),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("0x10", "0x10"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("~", None),
        ("null", None),
        ('"012"', "012"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("<<", "<<"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = load_yaml(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("- 1\n", "keys and values"),
        ("just text", "keys and values"),
        ("a: 1\na: 2\n", "line 2: the key 'a' appears twice"),
        ("a: 012\n", "write 12"),
        ("a:\n\t- 1\n", "spaces, not tabs"),
        ("a: &x 1\nb: *x\n", "the anchor &x"),
        ("b: *x\n", "the alias *x"),
        ("a: &a [*a]\n", "the anchor &a"),
        ("a: !!python/object/apply:os.system [id]\n", "tag"),
        ("a: !mine 1\n", "tag"),
        ("--- \na: 1\n---\nb: 2\n", "second document"),
        ("[" * 3000, "nested deeper"),
        ("{a: " * 3000, "nested deeper"),
        ("a: 1e999\n", "too large"),
        ("a: " + "9" * 5000, "18 digits"),
        ("? [1, 2]\n: 3\n", "must be text"),
        ("a: 'unfinished\n", "not valid YAML"),
        ("a: \0", "not valid YAML"),
        ("a: \ud800", "not readable"),
        ("x" * 1_000_001, "larger than"),
        ("a: !!int [1]\n", "plain value"),
    ],
)
def test_refused_by_name_and_fix(text: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, where="options.yaml")
    assert str(caught.value).startswith("options.yaml")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ten_megabytes_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: 1\n" * 2_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match="big.yaml: is larger"):
            load_yaml(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Neither the rest of the file nor anything parsed of its beginning was ever held.
    assert peak < 3 * MAX_BYTES


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a: \xe9\n"])
def test_not_utf8(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="latin.yaml: is not UTF-8"):
        load_yaml(path)


def test_bom_and_crlf_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: no\r\n")
    assert load_yaml(path) == {"a": 1, "b": "no"}


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            load_yaml(path)


class Inner(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    rate: float = pydantic.Field(gt=0, lt=10)


class Outer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)
    name: str
    inner: Inner


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name: x\ninner: {rat: 1}\n", "unknown key 'inner.rat'. Did you mean 'rate'?"),
        ("nmae: x\ninner: {rate: 1}\n", "unknown key 'nmae'. Did you mean 'name'?"),
        ("inner: {rate: 1}\n", "the key 'name' is missing"),
        ("name: 3\ninner: {rate: 1}\n", "name:"),
        ("name: x\ninner: {rate: -1}\n", "inner.rate:"),
        ("name: x\ninner: {rate: 0}\n", "greater than 0"),
        ("name: x\ninner: {rate: fast}\n", "got 'fast'"),
        ("name: x\ninner: 3\n", "inner:"),
    ],
)
def test_models_name_the_key(text: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(text, Outer, where="o.yaml")
    assert part in str(caught.value) and str(caught.value).startswith("o.yaml")


def test_models_load() -> None:
    assert load_yaml("name: x\ninner: {rate: 1e-2}\n", Outer).inner.rate == 0.01
    assert validate({"name": "x", "inner": {"rate": 2}}, Outer, "here").inner.rate == 2


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
    | st.sampled_from(
        ["1e-3", "no", "012", "~", "null", "true", "2026-01-01", "1:30", "*a", "&a", "!x", "- a", ""]
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdefgh01", max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abcdefgh01_", min_size=1, max_size=6), plain, min_size=1, max_size=4))
def test_what_is_written_is_read_back(value: dict[str, object]) -> None:
    assert load_yaml(dump_yaml(value)) == value


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.text("{}[]:,-&*!|>'\"%@`#?~ \n\tab01e.", max_size=40))
def test_any_text_loads_or_is_a_config_error(text: str) -> None:
    try:
        assert isinstance(load_yaml(text), dict)
    except ConfigError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "value", [{"a": math.nan}, {"a": math.inf}, {"a": object()}, {("t",): 1}, {"a": {1.5: 2}}]
)
def test_what_cannot_be_read_back_is_not_written(value: dict[object, object]) -> None:
    with pytest.raises(ConfigError):
        dump_yaml(value)


def test_written_text_is_plain_for_other_readers() -> None:
    value = {"rate": "1e-3", "answer": "no", "when": "2026-01-01"}
    assert yaml.safe_load(dump_yaml(value)) == value
