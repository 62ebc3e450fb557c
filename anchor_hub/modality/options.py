"""Adds the options that a call gives to those that a modality has already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anchor_hub.errors import UsageError, did_you_mean
from anchor_hub.modality.base import known_options
from anchor_hub.modality.merging import load_merge_table
from anchor_hub.system.settings import parse_settings


def modality_table(
    base: Mapping[str, Any],
    *,
    classes: int | None = None,
    palette: str | None = None,
    merge_classes: Path | None = None,
    ignore_id: int | None = None,
    span: str | None = None,
    settings: Sequence[str] = (),
) -> dict[str, Any]:
    """The table ``base`` (``{"name": ..., option: value}``) plus the options that a call gives; those of the call win.

    :param classes: the option ``classes``; ``palette``: likewise; ``merge_classes``: YAML file of the option ``merge``;
        ``ignore_id``: the option ``ignore``; ``span``: the option ``range``, as LOW:HIGH.
    :param settings: any of the modality's options as ``option=value``, values as in YAML (``points=5``).
    :raises UsageError: the modality has no such option, or the call gives one twice.
    :raises ModalityNotFoundError: nobody registered its name. :raises ConfigError: a damaged file or value.
    """
    given: dict[str, Any] = {"classes": classes, "palette": palette, "ignore": ignore_id}
    if merge_classes is not None:
        given["merge"] = load_merge_table(merge_classes)
    if span is not None:
        given["range"] = _span(span)
    given = {key: value for key, value in given.items() if value is not None}
    name = str(base.get("name"))
    known = known_options(name) if given or settings else {}
    if "range" in given and "range" not in known:
        raise UsageError(f"--range is for pictures of more than 8 bits, not for modality {name!r}")
    if not set(given) <= set(known):
        raise UsageError(f"--classes, --palette, --ignore-id ... are for label maps, not for modality {name!r}")
    for key, value in parse_settings(settings, "--modality-set").items():
        if key not in known:
            raise UsageError(f"--modality-set: modality {name!r} has no option {key!r}.{did_you_mean(key, known)}")
        if key in given:
            raise UsageError(f"--modality-set {key}: {key!r} is given twice; give it once")
        given[key] = value
    return {**base, **given}


def _span(text: str) -> list[float]:
    try:
        low, high = (float(part) for part in text.split(":"))
        if low < high:
            return [int(value) if value.is_integer() else value for value in (low, high)]
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"--range {text}: must be LOW:HIGH, the values that become black and white, e.g. 0:4095")
