from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchor_hub.data.layouts.where import parse_where
from anchor_hub.errors import UsageError

COLUMNS = ["name", "smile", "glasses", "hair", "empty", "is_hat"]
ROW = {"name": "7", "smile": "0.7", "glasses": "1", "hair": "long", "empty": "", "is_hat": "True"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("smile > 0.5", True),
        ("smile>0.5 and glasses==1", True),
        ("smile>0.5 and glasses!=1", False),
        ("smile<=0.7 and smile>=7e-1", True),
        ("smile < 0.7", False),
        ("0.5 < smile", True),
        ("smile < 0.5 or glasses == 1", True),
        ("smile < 0.5 or glasses == 1 and hair == 'short'", False),
        ("(smile < 0.5 or glasses == 1) and hair == 'long'", True),
        ("not smile < 0.5", True),
        ("not (smile > 0.5 and glasses == 1)", False),
        ('NOT glasses == 0 AND hair == "long"', True),
        ("not not glasses == 1", True),
        ("hair == long", True),
        ("hair != 'long'", False),
        ("glasses", True),
        ("not glasses", False),
        ("empty", False),
        ("empty > 0", False),
        ("empty == ''", True),
        ("is_hat == true", True),
        ("smile > -1", True),
        ("smile > .5", True),
    ],
)
def test_meaning(expression: str, expected: bool) -> None:
    assert parse_where(expression, COLUMNS)(ROW) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "", "   ", "smile >", "> 0.5", "smile > 0.5 and", "and smile", "(smile > 0.5", "smile > 0.5)", "smile 0.5",
        "smile > 0.5 glasses", "smile + 1 > 2", "smile > 0.5; import os", "__import__('os').system('true')",
        "smile.__class__", "lambda: 0", "smile > 'unclosed", "not", "smile > > 1", "smile && glasses", "(" * 200,
        "not " * 200 + "smile", "smile > 1 and " * 500 + "smile > 1", "smile[0]", "f(smile)", "smile=>1",
    ],
)  # fmt: skip
def test_wrong_expressions_are_one_line(expression: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_where(expression, COLUMNS)
    assert str(caught.value).startswith("--where") and "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_unknown_columns_suggest_the_nearest() -> None:
    with pytest.raises(UsageError, match="'smil'.*Did you mean 'smile'"):
        parse_where("smil > 0.5", COLUMNS)


@given(st.text(max_size=40))
def test_any_text_is_a_test_or_a_usage_error(expression: str) -> None:
    try:
        assert parse_where(expression, COLUMNS)(ROW) in (True, False)
    except UsageError:
        pass


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_numbers_compare_as_numbers(cell: float, limit: float) -> None:
    row = {**ROW, "smile": repr(cell)}
    assert parse_where(f"smile < {limit!r}", COLUMNS)(row) is (cell < limit)
    assert parse_where(f"not smile >= {limit!r}", COLUMNS)(row) is (cell < limit)
