"""Distance functions, recorded once and run many times as straight lines of calls.

A distance function is some three hundred small steps. Called with tensors, most of its time goes into what torch does
around each step: numbers become tensors of another type, results are allocated, sizes of parameters are worked out
anew. Here the same function is called once with :class:`Value` objects that write down what is done to them;
:func:`record` leaves out what was done twice, computes what depends on parameters alone once per sample, lets every
step write into memory that is free again, and makes one Python function of it. Each step stays the torch operation
it was, in the same order: results are the same bit for bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .parameters import Parameters

CONSTANT, ROW, FULL = 0, 1, 2  # what a value depends on: nothing, a sample's parameters, the point
COMMUTATIVE = ("add", "mul")
IN_PLACE = ("add", "sub", "mul", "div", "atan2")
COMPARISONS = ("lt", "gt")
OF_ROWS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "lt": operator.lt,
    "gt": operator.gt, "neg": torch.neg, "abs": torch.abs, "sqrt": torch.sqrt, "sin": torch.sin,
    "reciprocal": torch.reciprocal, "clamp": torch.clamp, "where": torch.where, "minimum": torch.minimum,
    "maximum": torch.maximum,
}  # fmt: skip


class Value:
    """Stands for a tensor while a function is recorded; knows the operations that distance functions use."""

    def __init__(self, book: _Book, op: str, args: tuple[Any, ...], level: int) -> None:
        self.book, self.op, self.args, self.level = book, op, args, level

    @classmethod
    def __torch_function__(cls, function: Any, _: Any, args: Any = (), options: Any = None) -> Value:
        book = next(arg.book for arg in args if isinstance(arg, Value))
        made: Value = book.make(function.__name__, *args)
        return made

    def __getitem__(self, component: int) -> Value:
        """A component of a parameter that is a vector."""
        return self.book.make("parameter", self.args[0], component)

    def __add__(self, other: Any) -> Value:
        return self.book.make("add", self, other)

    def __radd__(self, other: Any) -> Value:
        return self.book.make("add", self, other)

    def __sub__(self, other: Any) -> Value:
        return self.book.make("sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return self.book.make("sub", other, self)

    def __mul__(self, other: Any) -> Value:
        return self.book.make("mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return self.book.make("mul", self, other)

    def __truediv__(self, other: Any) -> Value:
        return self.book.make("div", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.book.make("mul", self.book.make("reciprocal", self), other)

    def __pow__(self, exponent: int) -> Value:
        if exponent != 2:
            raise NotImplementedError(f"power {exponent}")
        return self.square()

    def __lt__(self, other: Any) -> Value:
        return self.book.make("lt", self, other)

    def __gt__(self, other: Any) -> Value:
        return self.book.make("gt", self, other)

    def __neg__(self) -> Value:
        return self.book.make("neg", self)

    def square(self) -> Value:
        return self.book.make("mul", self, self)

    def clamp(self, min: float | None = None, max: float | None = None) -> Value:
        return self.book.make("clamp", self, min, max)

    def minimum(self, other: Value) -> Value:
        return self.book.make("minimum", self, other)

    def maximum(self, other: Value) -> Value:
        return self.book.make("maximum", self, other)

    def abs(self) -> Value:
        return self.book.make("abs", self)

    def sqrt(self) -> Value:
        return self.book.make("sqrt", self)

    def sin(self) -> Value:
        return self.book.make("sin", self)

    # Nothing is overwritten while recording: the program decides what may be.
    abs_, sqrt_, sin_, neg_, square_, clamp_ = abs, sqrt, sin, __neg__, square, clamp
    add_, sub_, mul_, div_ = __add__, __sub__, __mul__, __truediv__


class _Book:
    """All values of a recording, each once."""

    def __init__(self) -> None:
        self.values: dict[tuple[Any, ...], Value] = {}

    def make(self, op: str, *args: Any) -> Value:
        """The value of an operation, or an equal one that takes fewer steps."""
        if op == "parameter" or op == "input":
            return self._value(op, args, ROW if op == "parameter" else FULL)
        operands = args
        if op != "clamp":  # whose limits stay numbers
            operands = tuple(arg if isinstance(arg, Value) else self._constant(arg) for arg in args)
        if op in ("add", "sub") and _is(operands[1], 0):
            return operands[0]
        if op == "add" and _is(operands[0], 0):
            return operands[1]
        if op == "mul" and (_is(operands[0], 0) or _is(operands[1], 1)):
            return operands[0]
        if op == "mul" and (_is(operands[1], 0) or _is(operands[0], 1)):
            return operands[1]
        if op == "add" and operands[0].op == "neg":
            op, operands = "sub", (operands[1], operands[0].args[0])
        elif op == "add" and operands[1].op == "neg":
            op, operands = "sub", (operands[0], operands[1].args[0])
        return self._value(op, operands, max(arg.level for arg in operands if isinstance(arg, Value)))

    def _constant(self, number: float) -> Value:
        return self._value("constant", (float(number),), CONSTANT)

    def _value(self, op: str, args: tuple[Any, ...], level: int) -> Value:
        key = (op, *(id(arg) if isinstance(arg, Value) else arg for arg in args))
        if key not in self.values:
            self.values[key] = Value(self, op, args, level)
        return self.values[key]


def _is(value: Value, number: float) -> bool:
    return value.op == "constant" and value.args[0] == number


class _Names:
    """A sample's parameters while recording."""

    def __init__(self, book: _Book, fixed: dict[str, float]) -> None:
        self._book, self._fixed = book, fixed

    def __getattr__(self, name: str) -> Any:
        return self._fixed[name] if name in self._fixed else self._book.make("parameter", name)


class Program:
    """A recorded function; see :func:`record`."""

    def __init__(self, inputs: Sequence[str], results: Sequence[Value]) -> None:
        self.rows: dict[Value, int] = {}  # values that depend on parameters alone, and their place
        self.constants: dict[float, str] = {}
        self.registers = 0
        self.run: Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], None]
        source = "\n    ".join(self._lines(inputs, results))
        names: dict[str, Any] = {"torch": torch} | {
            name: torch.tensor(number, dtype=torch.float32) for number, name in self.constants.items()
        }
        exec(compile(source, "<recorded distance function>", "exec"), names)
        self.run = names["run"]

    def prepare(self, samples: Sequence[Parameters]) -> Tensor:
        """What depends on parameters alone, ``[values, samples]``."""
        known: dict[Value, Any] = {}

        def value(of: Any) -> Any:
            if not isinstance(of, Value):
                return of
            if of.op == "constant":
                return of.args[0]
            if of not in known:
                if of.op == "parameter":
                    known[of] = _stack(samples, *of.args)
                else:
                    known[of] = OF_ROWS[of.op](*map(value, of.args))
            return known[of]

        if not self.rows:
            return torch.zeros(0, len(samples))
        return torch.stack([value(row).float() for row in self.rows])

    def _lines(self, inputs: Sequence[str], results: Sequence[Value]) -> list[str]:
        order = _in_order(results)
        last = {arg: step for step, value in enumerate(order) for arg in value.args if isinstance(arg, Value)}
        place: dict[Value, str] = {}
        for number, result in enumerate(results):
            if result.op != "input":
                place[result] = f"o{number}"
        pinned = set(place)
        free: list[str] = []
        lines: list[str] = []
        for step, value in enumerate(order):
            names = [self._name(arg, place) for arg in value.args]
            if value.op == "where" and value.args[0].level == ROW:
                names[0] += ".bool()"
            dying = [
                place[arg]
                for arg in dict.fromkeys(value.args)
                if isinstance(arg, Value) and arg in place and arg not in pinned and last[arg] == step
            ]
            if value.op in COMPARISONS:
                place[value] = f"b{step}"
            elif value not in place:
                reusable = [name for name in dying if name[0] == "w"]
                if reusable:
                    place[value] = reusable[0]
                elif free:
                    place[value] = free.pop()
                else:
                    place[value] = f"w{self.registers}"
                    self.registers += 1
            lines.append(_line(value.op, names, place[value]))
            free += [name for name in dying if name[0] == "w" and name != place[value]]
        given = [f"w{i}" for i in range(self.registers)], [f"d{i}" for i in range(len(self.rows))]
        head = ["def run(inputs, rows, outputs, work):", f"{', '.join(inputs)}, = inputs"]
        head.append(f"{''.join(f'o{i}, ' for i in range(len(results)))}= outputs")
        head += [f"{', '.join(names)}, = {of}" for names, of in zip(given, ("work", "rows"), strict=True) if names]
        head += [f"o{i}.copy_({r.args[0]})" for i, r in enumerate(results) if r.op == "input"]
        return head + lines

    def _name(self, value: Any, place: dict[Value, str]) -> str:
        """How the program calls an operand."""
        if not isinstance(value, Value):
            return repr(value)
        if value.op == "input":
            return str(value.args[0])
        if value.op == "constant":
            return self.constants.setdefault(value.args[0], f"c{len(self.constants)}")
        if value.level == ROW:
            return f"d{self.rows.setdefault(value, len(self.rows))}"
        return place[value]


def _stack(samples: Sequence[Parameters], name: str, component: int | None = None) -> Tensor:
    values = (getattr(sample, name) for sample in samples)
    return torch.tensor([v if component is None else v[component] for v in values], dtype=torch.float32)


def _in_order(results: Sequence[Value]) -> list[Value]:
    """The steps that the results need, every one after those it needs itself."""
    order: dict[Value, None] = {}

    def visit(value: Any) -> None:
        if isinstance(value, Value) and value.level == FULL and value.op != "input" and value not in order:
            for arg in value.args:
                visit(arg)
            order[value] = None

    for result in results:
        visit(result)
    return list(order)


def _line(op: str, names: list[str], target: str) -> str:
    if op in COMPARISONS:
        return f"{target} = torch.{op}({', '.join(names)})"
    others = names[1:]
    if op in COMMUTATIVE and target == names[1] != names[0]:
        names, others = [names[1], names[0]], [names[0]]
    if target == names[0] and (op in IN_PLACE or op == "clamp" or len(names) == 1):
        return f"{target}.{op}_({', '.join(others)})"
    return f"torch.{op}({', '.join(names)}, out={target})"


def record(function: Callable[..., Sequence[Any]], inputs: Sequence[str], fixed: dict[str, float]) -> Program:
    """The program of ``function(p, *inputs)``, which returns the results.

    ``p`` has the parameters as attributes: those in ``fixed`` are the same in all samples. ``Program.run`` takes the
    inputs ``[blocks, n]``, the rows of :meth:`Program.prepare` as ``[blocks, 1]`` each, tensors ``[blocks, n]`` for the
    results, and ``registers`` more of these to work in.
    """
    book = _Book()
    results = function(_Names(book, fixed), *(book.make("input", name) for name in inputs))
    return Program(inputs, results)
