"""Options that are tables of numbers by side."""

from __future__ import annotations

from anchor_hub.errors import UsageError


def parse_sides(text: str, option: str) -> dict[int, float]:
    """``"4:0.1,8:0.1"`` to ``{4: 0.1, 8: 0.1}``.

    :raises UsageError: anything else, numbers outside 0 to 100, or zeros alone.
    """
    try:
        table = {int(side): float(weight) for side, weight in (pair.split(":") for pair in str(text).split(","))}
    except ValueError:
        raise UsageError(f"{option}={text}: write side:weight pairs, e.g. {option}=4:0.1,8:0.1,16:0.1") from None
    if not any(table.values()) or not all(0 <= weight <= 100 for weight in table.values()):
        raise UsageError(f"{option}={text}: weights lie between 0 and 100, and one at least is above 0")
    return table
