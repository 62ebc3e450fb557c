r"""Filter expressions over a table's columns: ``smile > 0.5 and (glasses == 1 or hair == "long")``.

::

    or      := and ("or" and)*
    and     := not ("and" not)*
    not     := "not" not | compare | "(" or ")"
    compare := value (("==" | "=" | "!=" | "<" | "<=" | ">" | ">=") value)?
    value   := number | "text" | column | true | false

A word that names a column is that column; its cells are numbers where they look like numbers. ``==`` with a
word that is no column takes it as text (``hair == long``). Nothing is ever executed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping

from anchor_hub.errors import UsageError, did_you_mean

Row = Mapping[str, str]
Value = float | str
Test = Callable[[Row], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<text>"[^"]*"|'[^']*')"""
    r"""|(?P<operator>==|!=|<=|>=|<|>|=|\(|\))|(?P<word>[^\W\d][\w.-]*))"""
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
MAX_LENGTH, MAX_DEPTH = 2000, 50


def cell(text: str) -> Value:
    """A cell's value: a number where it reads as one (true is 1, false is 0), else its text."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def parse_where(expression: str, columns: Collection[str]) -> Test:
    """The test that an expression describes, for rows with these columns.

    :raises UsageError: it cannot be parsed, or names a column that is not there.
    """
    return _Parser(expression, columns).parse()


def mentions(expression: str, word: str) -> bool:
    """Whether an expression names a column. :raises UsageError: it cannot be read."""
    return ("word", word) in _Parser(expression, (word,)).tokens


class _Parser:
    def __init__(self, expression: str, columns: Collection[str]) -> None:
        self.expression, self.columns = expression, set(columns)
        if len(expression) > MAX_LENGTH:
            raise UsageError(f"--where is longer than {MAX_LENGTH} characters; shorten it")
        self.tokens = self._split()
        self.place = self.depth = 0

    def _wrong(self, reason: str) -> UsageError:
        return UsageError(f"--where {self.expression!r}: {reason}, e.g. --where 'smile>0.5 and glasses==1'")

    def _split(self) -> list[tuple[str, str]]:
        tokens, place = [], 0
        text = self.expression.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                raise self._wrong(f"{text[place:].strip()[:20]!r} is not understood; write comparisons")
            tokens.append((match.lastgroup, match.group(match.lastgroup)))
            place = match.end()
        return tokens

    def _next(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def _take(self, *words: str) -> str | None:
        kind, text = self._next()
        if kind in ("word", "operator") and text.lower() in words:
            self.place += 1
            return text.lower()
        return None

    def parse(self) -> Test:
        if not self.tokens:
            raise self._wrong("is empty; write a comparison")
        test = self._or()
        if self._next()[0] != "end":
            raise self._wrong(f"{self._next()[1]!r} was not expected; join comparisons with 'and' or 'or'")
        return test

    def _or(self) -> Test:
        tests = [self._and()]
        while self._take("or"):
            tests.append(self._and())
        return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)

    def _and(self) -> Test:
        tests = [self._not()]
        while self._take("and"):
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _not(self) -> Test:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._wrong(f"is nested deeper than {MAX_DEPTH}; simplify it")
        try:
            if self._take("not"):
                inner = self._not()
                return lambda row: not inner(row)
            if self._take("("):
                inner = self._or()
                if not self._take(")"):
                    raise self._wrong("a ')' is missing; close every bracket")
                return inner
            return self._compare()
        finally:
            self.depth -= 1

    def _compare(self) -> Test:
        left = self._value(None)
        sign = self._take(*_COMPARE)
        if sign is None:
            return lambda row: bool(left(row))
        right = self._value(sign)
        compare, ordered = _COMPARE[sign], sign not in ("==", "=", "!=")

        def test(row: Row) -> bool:
            first, second = left(row), right(row)
            if isinstance(first, float) and isinstance(second, float):
                return compare(first, second)
            # An empty cell, or text beside a number, has no order.
            return False if ordered else compare(str(first), str(second))  # type: ignore[arg-type]

        return test

    def _value(self, sign: str | None) -> Callable[[Row], Value]:
        kind, text = self._next()
        self.place += 1
        if kind == "number":
            number = float(text)
            return lambda row: number
        if kind == "text":
            inside = cell(text[1:-1])
            return lambda row: inside
        if kind == "word" and text in self.columns:
            return lambda row: cell(row.get(text) or "")
        if kind == "word" and text.lower() in ("true", "false"):
            truth = float(text.lower() == "true")
            return lambda row: truth
        if kind == "word" and sign in ("==", "=", "!="):
            return lambda row: text
        if kind == "word":
            raise UsageError(f"--where: there is no column {text!r}.{did_you_mean(text, self.columns)}")
        raise self._wrong("a value is missing; write COLUMN OPERATOR VALUE")
