"""Strict YAML, read and written.

YAML is read by version 1.2's core schema, without its surprises: `1e-3` is a number; `no`, `1:30` and `2026-01-01`
are text; `012` is refused (write 12 or "012"); duplicate keys, anchors, aliases, tags, several documents,
files above 1 MB and nesting above 50 are refused, each with file, line and the fix.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import yaml

from anchor_hub.errors import ConfigError, did_you_mean
from anchor_hub.system.guarded import RefusedFile, read_regular

if TYPE_CHECKING:
    import pydantic

    ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)

MAX_BYTES = 1_000_000
MAX_DEPTH = 50

# libyaml's scanner where PyYAML was built with it (30 times faster), the Python one elsewhere: same results.
_BaseLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_FLOAT = re.compile(r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$")
_INT = re.compile(r"[-+]?[0-9]+$")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)$")
_NULL = re.compile(r"(?:~|null|Null|NULL|)$")


class _Loader(_BaseLoader):
    """SafeLoader with its own table of scalars and no tags beyond YAML's seven plain ones."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}
    yaml_constructors: dict[Any, Any] = {}


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what either YAML 1.1 or `_Loader` would read as something else than text."""

    yaml_implicit_resolvers = {
        key: list(value) for key, value in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", _BOOL, "tTfF"),
    ("tag:yaml.org,2002:int", _INT, "-+0123456789"),
    ("tag:yaml.org,2002:float", _FLOAT, "-+.0123456789"),
    ("tag:yaml.org,2002:null", _NULL, ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(_tag, _pattern, list(_first))
    _Dumper.add_implicit_resolver(_tag, _pattern, list(_first))


class _Refused(Exception):
    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.mark = mark


def _scalar(node: Any) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _Refused("expected a plain value here", node.start_mark)
    return node.value


def _construct_int(loader: Any, node: Any) -> int:
    text = _scalar(node)
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0":
        raise _Refused(
            f"{text[:40]} begins with 0: write {digits.lstrip('0') or '0'} for a number or quote it for text",
            node.start_mark,
        )
    if not _INT.match(text) or len(digits) > 18:
        raise _Refused(f"{text[:40]} is not a whole number of at most 18 digits", node.start_mark)
    return int(text)


def _construct_float(loader: Any, node: Any) -> float:
    text = _scalar(node)
    try:
        value = float(text)
    except ValueError as error:
        raise _Refused(f"{text[:40]} is not a number", node.start_mark) from error
    if not math.isfinite(value):
        raise _Refused(f"{text[:40]} is too large for a number", node.start_mark)
    return value


def _construct_map(loader: Any, node: Any) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _Refused("expected keys and values here", node.start_mark)
    result: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (str, int)) or isinstance(key, bool):
            raise _Refused(f"the key {str(key)[:40]!r} must be text or a whole number", key_node.start_mark)
        if key in result:
            raise _Refused(f"the key {key!r} appears twice", key_node.start_mark)
        result[key] = loader.construct_object(value_node, deep=True)
    return result


def _construct_list(loader: Any, node: Any) -> list[Any]:
    if not isinstance(node, yaml.SequenceNode):
        raise _Refused("expected a list here", node.start_mark)
    return [loader.construct_object(item, deep=True) for item in node.value]


def _construct_unknown(loader: Any, node: Any) -> None:
    raise _Refused(f"the tag {str(node.tag)[:60]} is not allowed: write plain values", node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:null", lambda loader, node: None)
_Loader.add_constructor("tag:yaml.org,2002:bool", lambda loader, node: _scalar(node).lower() == "true")
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Loader.add_constructor("tag:yaml.org,2002:str", lambda loader, node: _scalar(node))
_Loader.add_constructor("tag:yaml.org,2002:map", _construct_map)
_Loader.add_constructor("tag:yaml.org,2002:seq", _construct_list)
_Loader.add_constructor(None, _construct_unknown)


def _check_events(text: str) -> None:
    """Refuse depth, aliases and further documents before anything recursive sees the text."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(f"the alias *{event.anchor} is not allowed: write the value out", event.start_mark)
        anchor = getattr(event, "anchor", None)
        if anchor:
            raise _Refused(f"the anchor &{anchor} is not allowed: write the value out", event.start_mark)
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise _Refused(f"values are nested deeper than {MAX_DEPTH}", event.start_mark)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _Refused("there is a second document ('---'): keep one", event.start_mark)


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of a UTF-8 file of at most `limit` bytes; ConfigError naming the file otherwise."""
    try:
        data = read_regular(path, limit)
    except RefusedFile as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}): save it as UTF-8") from error


@overload
def load_yaml(
    source: Path | str, model: None = None, *, where: str | None = None, top: type = dict
) -> Any: ...
@overload
def load_yaml(
    source: Path | str, model: type[ModelT], *, where: str | None = None, top: type = dict
) -> ModelT: ...
def load_yaml(
    source: Path | str, model: type[Any] | None = None, *, where: str | None = None, top: type = dict
) -> Any:
    """Read YAML from a file (`Path`) or a text (`str`); validated as `model` where given.

    top: the type the top level must have (`dict` or `list`). where: how errors name a text (default
    "<text>"). Raises ConfigError with file, line and fix.
    """
    name = where or (str(source) if isinstance(source, Path) else "<text>")
    text = read_text(source) if isinstance(source, Path) else source
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{name}: is larger than {MAX_BYTES:,} characters, the limit for YAML")
    try:
        _check_events(text)
        value = yaml.load(text, Loader=_Loader)  # noqa: S506  (a safe loader, stricter than SafeLoader)
    except _Refused as error:
        raise ConfigError(f"{name}, line {error.mark.line + 1}: {error}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        lines = text.splitlines()
        tab = mark is not None and mark.line < len(lines) and "\t" in lines[mark.line]
        hint = "; indent with spaces, not tabs" if tab else ""
        if "nesting depth" in str(error.problem):  # PyYAML has a limit of its own from 6.0.4 on
            raise ConfigError(f"{name}{line}: values are nested deeper than {MAX_DEPTH}") from error
        raise ConfigError(f"{name}{line}: is not valid YAML: {_one_line(error.problem)}{hint}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: is not valid YAML: {_one_line(error)}") from error
    except (UnicodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{name}: is not readable as YAML: {_one_line(error)}") from error
    if value is None:
        raise ConfigError(f"{name}: is empty")
    if not isinstance(value, top):
        want = "keys and values at the top level" if top is dict else "a list at the top level"
        raise ConfigError(f"{name}: needs {want}, found {type(value).__name__}")
    return value if model is None else validate(value, model, name)


def validate(value: Any, model: type[ModelT], where: str) -> ModelT:
    """`value` as a pydantic `model`; ConfigError naming `where`, the key, and the nearest known key."""
    import pydantic

    try:
        return model.model_validate(value)
    except pydantic.ValidationError as error:
        problems = [_problem(item, model) for item in error.errors()[:5]]
        more = f" (and {error.error_count() - 5} more)" if error.error_count() > 5 else ""
        raise ConfigError(f"{where}: {'; '.join(problems)}{more}") from error
    except RecursionError as error:
        raise ConfigError(f"{where}: is nested too deeply") from error


def _problem(item: Any, model: type[pydantic.BaseModel]) -> str:
    key = ".".join(_one_line(part) for part in item["loc"]) or "the whole"
    if item["type"] == "extra_forbidden":
        known = _fields_at(model, item["loc"][:-1])
        return f"unknown key {key!r}.{did_you_mean(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return f"the key {key!r} is missing"
    given = item.get("input")
    shown = (
        f", got {_one_line(repr(given))}" if isinstance(given, (str, int, float, bool, type(None))) else ""
    )
    return f"{key}: {_one_line(item['msg'])}{shown}"


def _fields_at(model: type[pydantic.BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names a mapping at `location` may hold, as far as the model's own fields tell."""
    current: Any = model
    for part in location:
        field = getattr(current, "model_fields", {}).get(part)
        current = getattr(field, "annotation", None)
    return list(getattr(current, "model_fields", {}))


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 160 else f"{text[:157]}..."


def dump_yaml(value: Any) -> str:
    """YAML text that `load_yaml` reads back as the same value, keys in their order.

    Accepts dicts, lists, tuples, text, finite numbers, booleans and None; ConfigError for anything else.
    """
    return yaml.dump(
        _plain(value, "the top level", 0), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110
    )


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        raise ConfigError(f"{where[:80]}: values are nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, Hashable) or isinstance(key, bool) or not isinstance(key, (str, int)):
                raise ConfigError(f"{where}: the key {key!r} must be text or a whole number")
        return {key: _plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {value} cannot be written to YAML")
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    raise ConfigError(f"{where}: {type(value).__name__} cannot be written to YAML")
