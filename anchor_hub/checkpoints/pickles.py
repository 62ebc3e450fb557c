"""A pickle interpreter that builds plain data only: names in a file are looked up in a table, never imported.

Python's own unpickler runs what a file tells it to, and a file can make it change the classes it is allowed to
use. This interpreter imports nothing: each global of a file is an entry of the caller's table (a function of this
library that builds data), or the file is refused and the global named. Every length is checked against the file,
nesting is followed without recursion, and a value that contains itself or unfolds into millions is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from anchor_hub.checkpoints.inert import INERT
from anchor_hub.errors import CheckpointError

#: Published checkpoints need about a hundred thousand.
MAX_OPCODES = 5_000_000
MAX_VALUES = 5_000_000
MAX_DEPTH = 200
#: Longer byte strings stay in the file as a :class:`Blob`.
BLOB_BYTES = 4096
#: Names that are in a checkpoint only to run a program.
_PROGRAMS = {
    "_io", "io", "os", "posix", "nt", "subprocess", "sys", "shutil", "socket", "pty", "runpy", "importlib", "code",
    "codeop", "commands", "webbrowser", "ctypes", "multiprocessing", "pickle", "_pickle", "marshal", "types",
    "functools", "operator", "timeit", "pdb", "bdb", "cProfile", "profile", "pip", "asyncio", "threading",
    "tempfile", "requests", "urllib", "http", "platform", "pydoc", "imp", "site", "inspect", "builtins",
    "__builtin__", "pkgutil", "zipimport", "linecache", "doctest", "trace", "signal", "atexit", "copyreg",
    "_posixsubprocess",
}  # fmt: skip


@dataclass(frozen=True)
class Global:
    """A name in a file. ``build`` turns arguments into data; ``None``: the name alone is the data."""

    name: str
    build: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Blob:
    """A long byte string, left where it lies: bytes ``start`` to ``stop`` of the buffer."""

    start: int
    stop: int


@dataclass
class Record:
    """An object whose class is not loaded: the name of its class and its attributes. It has no behaviour.

    ``source`` is the length of the program text that came with it, which is never read. ``inert``: any of its
    operations only adds to its attributes.
    """

    class_name: str
    state: dict[str, Any] = field(default_factory=dict)
    source: int = 0
    inert: bool = False


Table = Mapping[str, Global]


def refusal(name: str) -> CheckpointError:
    """The error for a global that is not in the table; says what it is."""
    shown, top = ascii(name)[1:-1][:120], name.split(".", 1)[0]
    if top in _PROGRAMS:
        return CheckpointError(
            f"it asks to run {shown} while being loaded: this is a program, not weights. Nothing of it was "
            "run; do not load it with anything else either"
        )
    if name.startswith("dnnlib.tflib."):
        return CheckpointError(
            f"it is a TensorFlow pickle of NVIDIA's ({shown}): convert it to the PyTorch format first "
            "(legacy.py of stylegan2-ada-pytorch does), then import the converted file"
        )
    kinds = (("sparse", "sparse"), ("qtensor", "quantised"), ("QInt", "quantised"), ("QUInt", "quantised"))
    for part, kind in (*kinds, ("Complex", "complex"), ("meta_tensor", "meta (without values)")):
        if part in name and top == "torch":
            return CheckpointError(
                f"it holds {kind} tensors ({shown}), which no supported family has: save dense floating "
                "tensors"
            )
    return CheckpointError(
        f"it holds an object of {shown}, which is code to Python, not weights: nothing of it was run. Save "
        "the state dict (tensors and plain values) where the file is trusted, and import that"
    )


def _damaged(reason: str) -> CheckpointError:
    return CheckpointError(f"it is damaged or no pickle ({reason}): download or copy it again")


class Machine:
    """Runs one pickle stream of ``buffer`` from ``start``; :attr:`position` is where it ended.

    :param table: ``module.name`` -> what it stands for.
    :param persistent: builds what a persistent id (a tuple) stands for.
    :param refused: if given, a global that is not in the table becomes an inert :class:`Record`, its error is added to
        this list, and the rest is read: for looking at files, never for using them.
    """

    def __init__(
        self,
        buffer: memoryview,
        table: Table,
        persistent: Callable[[Any], Any] | None = None,
        start: int = 0,
        refused: list[CheckpointError] | None = None,
    ) -> None:
        self.refused = refused
        self.buffer, self.table, self.persistent, self.position = buffer, table, persistent, start
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        # How many values may be passed to builders: those of the file once, and small ones (memoised names) again.
        self._left = len(buffer) + MAX_VALUES

    def run(self) -> Any:
        """The value of the stream. :raises CheckpointError: damage, or anything that is not plain data."""
        try:
            return self._run()
        except (
            IndexError, struct.error, UnicodeDecodeError, OverflowError, KeyError, TypeError, RecursionError,
        ) as error:  # fmt: skip
            raise _damaged(f"{type(error).__name__} at byte {self.position}") from error
        except ValueError as error:
            if isinstance(error, CheckpointError):
                raise
            raise _damaged(f"{str(error)[:80]} at byte {self.position}") from error

    def _run(self) -> Any:
        table = _OPCODES
        for _ in range(MAX_OPCODES):
            code = self.buffer[self.position]
            self.position += 1
            if code == 0x2E:  # STOP
                return self.stack.pop()
            operation = table.get(code)
            if operation is None:
                raise _damaged(f"no such operation: 0x{code:02x} at byte {self.position - 1}")
            operation(self)
        raise CheckpointError(f"its pickle has more than {MAX_OPCODES:,} operations: it is no checkpoint")

    # -- reading ---------------------------------------------------------------------------------------
    def span(self, count: int) -> tuple[int, int]:
        start, stop = self.position, self.position + count
        if count < 0 or stop > len(self.buffer):
            raise _damaged(f"it ends within a value of {count} bytes: truncated")
        self.position = stop
        return start, stop

    def take(self, count: int) -> bytes:
        start, stop = self.span(count)
        return bytes(self.buffer[start:stop])

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def line(self) -> str:
        start = self.position
        for stop in range(start, min(start + 1000, len(self.buffer))):
            if self.buffer[stop] == 0x0A:
                self.position = stop + 1
                return bytes(self.buffer[start:stop]).decode("utf-8")
        raise _damaged("a line without an end")

    # -- building --------------------------------------------------------------------------------------
    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def find(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise _damaged("a global without a name")
        full = f"{module}.{name}"
        known = self.table.get(full)
        if known is None:
            if full not in INERT:
                if self.refused is None:
                    raise refusal(full)
                self.refused.append(refusal(full))
            known = Global(full, lambda *arguments: Record(full, {"arguments": arguments}, inert=True))
        self.stack.append(known)

    def call(self, callee: Any, arguments: Any) -> None:
        if not isinstance(callee, Global) or callee.build is None or not isinstance(arguments, tuple):
            what = callee.name if isinstance(callee, Global) else type(callee).__name__
            raise CheckpointError(f"it calls {what}, which is data: it is damaged or malicious; nothing was run")
        self._count(*arguments)
        try:
            self.stack.append(callee.build(*arguments))
        except TypeError as error:
            raise _damaged(f"wrong arguments of {callee.name}") from error

    def _count(self, *values: Any) -> None:
        """Refuse a file whose calls copy one long value again and again: few operations would fill the memory."""
        self._left -= sum(len(value) for value in values if isinstance(value, (str, bytes, list, tuple, dict, set)))
        if self._left < 0:
            raise CheckpointError("it builds far more values than it holds: it is no checkpoint")

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Record) and target.inert:
            target = target.state
        if not isinstance(target, dict) or len(pairs) % 2:
            raise _damaged("entries of something that is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[hashable(key)] = value

    def extend(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], Record) and self.stack[-1].inert:
            self.stack[-1].state.setdefault("items", []).extend(items)
            return
        if type(self.stack[-1]) is not list:
            raise _damaged("items of something that is no list")
        self.stack[-1].extend(items)

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Record):
            attributes = state[0] if isinstance(state, tuple) and state else state
            if (target.inert or self.refused is not None) and not isinstance(attributes, dict):
                attributes = {"state": state}
            if not isinstance(attributes, dict):
                raise _damaged(f"a {target.class_name} without attributes")
            self._count(attributes)
            target.state.update(attributes)
        elif hasattr(target, "set_state"):
            target.set_state(state)
        elif not isinstance(target, dict):
            # Attributes of a dict (the _metadata of a state dict) carry no weights and are left out.
            raise CheckpointError(
                f"it gives attributes to a {type(target).__name__}: it is damaged or malicious; nothing was run"
            )


def hashable(key: Any) -> Any:
    """``key``, if it may be a dict's key: a text or a number (tuples of shared tuples hash for ever)."""
    if isinstance(key, bool) or key is None or isinstance(key, (str, float, bytes)):
        return key
    if isinstance(key, int) and abs(key) < 2**61:
        return key
    if isinstance(key, tuple) and all(isinstance(part, (str, int)) for part in key):
        return key
    raise CheckpointError(f"it has a {type(key).__name__} as a dict's key, which no checkpoint has")


def check_tree(content: Any) -> None:
    """Refuse content that contains itself, is nested too deeply, or unfolds into more than :data:`MAX_VALUES` values.

    :raises CheckpointError: says which.
    """
    sizes: dict[int, int] = {}
    open_: set[int] = set()
    pending: list[tuple[Any, bool]] = [(content, False)]
    while pending:
        node, done = pending.pop()
        # Known nodes are skipped first, so that a long list with a million references is not copied as often.
        children = None if not done and id(node) in sizes else _children(node)
        if children is None:
            continue
        if done:
            open_.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes.get(id(child), 1) for child in children)
            if sizes[id(node)] > MAX_VALUES:
                raise CheckpointError(f"it unfolds into more than {MAX_VALUES:,} values: it is no checkpoint")
            continue
        if id(node) in open_:
            raise CheckpointError("it holds a container that contains itself: it is no checkpoint")
        if len(open_) >= MAX_DEPTH:
            raise CheckpointError(f"it is nested more than {MAX_DEPTH} deep: it is no checkpoint")
        open_.add(id(node))
        pending.append((node, True))
        pending.extend((child, False) for child in children)


def _children(node: Any) -> list[Any] | None:
    if isinstance(node, Record):
        return list(node.state.values())
    if isinstance(node, dict):
        return list(node.values())
    return list(node) if isinstance(node, (list, tuple)) else None


# --- the operations, by their codes ------------------------------------------------------------------------
def _push(value: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    def operation(machine: Machine) -> None:
        # The value comes first: taking items up to a mark changes which stack is the current one.
        result = value(machine)
        machine.stack.append(result)

    return operation


def _text(form: str) -> Callable[[Machine], None]:
    return _push(lambda m: m.take(m.number(form)).decode("utf-8", "surrogatepass"))


def _old_text(form: str) -> Callable[[Machine], None]:
    """Strings of Python 2: text where they are UTF-8, else bytes."""

    def read(machine: Machine) -> str | bytes:
        data = machine.take(machine.number(form))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data

    return _push(read)


def _data(form: str) -> Callable[[Machine], None]:
    def read(machine: Machine) -> bytes | Blob:
        count = machine.number(form)
        return machine.take(count) if count <= BLOB_BYTES else Blob(*machine.span(count))

    return _push(read)


def _long(form: str) -> Callable[[Machine], None]:
    def read(machine: Machine) -> int:
        count = machine.number(form)
        if not 0 <= count <= 64:
            raise _damaged(f"a number of {count} bytes")
        return int.from_bytes(machine.take(count), "little", signed=True)

    return _push(read)


def _int_line(machine: Machine) -> None:
    text = machine.line().removesuffix("L")
    if len(text) > 160:
        raise _damaged("a number of that many digits")
    machine.stack.append(text == "01" if text in ("00", "01") else int(text))


def _put(form: str) -> Callable[[Machine], None]:
    def operation(machine: Machine) -> None:
        machine.memo[machine.number(form)] = machine.stack[-1]

    return operation


def _get(form: str) -> Callable[[Machine], None]:
    return _push(lambda m: m.memo[m.number(form)])


def _tuple(count: int) -> Callable[[Machine], None]:
    def operation(machine: Machine) -> None:
        if len(machine.stack) < count:
            raise _damaged("a tuple of nothing")
        items = tuple(machine.stack[len(machine.stack) - count :])
        del machine.stack[len(machine.stack) - count :]
        machine.stack.append(items)

    return operation


def _mark(machine: Machine) -> None:
    if len(machine.marks) > 10_000:
        raise CheckpointError("its pickle is nested too deeply: it is no checkpoint")
    machine.marks.append(machine.stack)
    machine.stack = []


def _memoise(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _reduce(machine: Machine) -> None:
    arguments = machine.stack.pop()
    machine.call(machine.stack.pop(), arguments)


def _new_with_keywords(machine: Machine) -> None:
    if machine.stack.pop():
        raise _damaged("keyword arguments")
    _reduce(machine)


def _set_item(machine: Machine) -> None:
    value = machine.stack.pop()
    key = machine.stack.pop()
    machine.set_items([key, value])


def _append(machine: Machine) -> None:
    value = machine.stack.pop()
    machine.extend([value])


def _add_items(machine: Machine) -> None:
    items = machine.pop_mark()
    if not isinstance(machine.stack[-1], set):
        raise _damaged("members of something that is no set")
    machine.stack[-1].update(hashable(item) for item in items)


def _dict(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append({})
    machine.set_items(items)


def _persistent(machine: Machine, identity: Any) -> None:
    if machine.persistent is None:
        raise CheckpointError("it refers to data outside of its pickle, where none may be: it is damaged or malicious")
    machine.stack.append(machine.persistent(identity))


def _stack_global(machine: Machine) -> None:
    name = machine.stack.pop()
    machine.find(machine.stack.pop(), name)


def _instance(machine: Machine) -> None:
    module, name = machine.line(), machine.line()
    arguments = tuple(machine.pop_mark())
    machine.find(module, name)
    machine.call(machine.stack.pop(), arguments)


def _object(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.call(items[0], tuple(items[1:]))


def _global(machine: Machine) -> None:
    module = machine.line()
    machine.find(module, machine.line())


def _extension(machine: Machine) -> None:
    raise CheckpointError("it uses registered extensions of pickle, which no checkpoint has")


def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.stack = machine.marks.pop()


def _frozen_set(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append({hashable(item) for item in items})


_OPCODES: dict[int, Callable[[Machine], None]] = {
    ord("("): _mark,
    ord("0"): _pop,
    ord("1"): lambda m: (m.pop_mark(), None)[1],
    ord("2"): _push(lambda m: m.stack[-1]),
    ord("F"): _push(lambda m: float(m.line())),
    ord("G"): _push(lambda m: struct.unpack(">d", m.take(8))[0]),
    ord("I"): _int_line,
    ord("L"): _int_line,
    ord("J"): _push(lambda m: m.number("<i")),
    ord("K"): _push(lambda m: m.number("<B")),
    ord("M"): _push(lambda m: m.number("<H")),
    0x8A: _long("<B"),
    0x8B: _long("<i"),
    ord("N"): _push(lambda m: None),
    0x88: _push(lambda m: True),
    0x89: _push(lambda m: False),
    ord("T"): _old_text("<i"),
    ord("U"): _old_text("<B"),
    ord("V"): _push(lambda m: m.line()),
    ord("S"): _push(lambda m: m.line().strip("'\"")),
    ord("X"): _text("<I"),
    0x8C: _text("<B"),
    0x8D: _text("<Q"),
    ord("B"): _data("<I"),
    ord("C"): _data("<B"),
    0x8E: _data("<Q"),
    0x96: _data("<Q"),
    ord("P"): lambda m: _persistent(m, m.line()),
    ord("Q"): lambda m: _persistent(m, m.stack.pop()),
    ord("R"): _reduce,
    0x81: _reduce,
    0x92: _new_with_keywords,
    ord("b"): Machine.build,
    ord("c"): _global,
    0x93: _stack_global,
    ord("i"): _instance,
    ord("o"): _object,
    0x82: _extension,
    0x83: _extension,
    0x84: _extension,
    ord("}"): _push(lambda m: {}),
    ord("]"): _push(lambda m: []),
    ord(")"): _push(lambda m: ()),
    0x8F: _push(lambda m: set()),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("d"): _dict,
    ord("l"): _push(Machine.pop_mark),
    ord("t"): _push(lambda m: tuple(m.pop_mark())),
    ord("s"): _set_item,
    ord("u"): lambda m: m.set_items(m.pop_mark()),
    ord("a"): _append,
    ord("e"): lambda m: m.extend(m.pop_mark()),
    0x90: _add_items,
    0x91: _frozen_set,
    ord("q"): _put("<B"),
    ord("r"): _put("<I"),
    ord("p"): lambda m: m.memo.__setitem__(int(m.line()), m.stack[-1]),
    ord("h"): _get("<B"),
    ord("j"): _get("<I"),
    ord("g"): _push(lambda m: m.memo[int(m.line())]),
    0x94: _memoise,
    0x80: lambda m: (m.number("<B"), None)[1],
    0x95: lambda m: (m.number("<Q"), None)[1],
}
