"""Turns the options of the command line into a translation request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchor_hub.errors import UsageError
from anchor_hub.system.settings import merged_settings
from anchor_hub.translation.request import TranslationRequest


def request_of(
    source: str | Path | None,
    target: str | Path | None,
    *,
    every: bool = False,
    backend: str | None = None,
    translator: str | Path | None = None,
    styles: int = 0,
    vary: bool = False,
    style_from: Sequence[str | Path] = (),
    truncation: float = 1.0,
    seed: int | None = None,
    style_layers: str | None = None,
    style_domain: str | Path | None = None,
    invert: int = 0,
    merge_classes: Path | None = None,
    settings: Sequence[str] = (),
    precision: str = "fp32",
) -> TranslationRequest:
    """The request that ``anchor translate`` and ``anchor evaluate`` make of their options.

    :param source, target: may be left out where a trained translator takes any of its names, or ``every`` asks for all
        of its targets.
    :param seed: of the random styles; given alone, it asks for one style.
    :param style_layers, style_domain, invert, merge_classes: options of the backend ``anchor``.
    :param settings: further options of the backend, ``name=value``.
    :raises UsageError: options that contradict each other.
    """
    count = max(styles, 1) if seed is not None and not style_from else styles
    own: dict[str, Any] = {
        "style_layers": style_layers,
        "style_domain": None if style_domain is None else str(style_domain),
        "invert": invert or None,
        "merge_classes": None if merge_classes is None else str(merge_classes),
    }
    options = merged_settings(own, settings)
    request = TranslationRequest(
        source=str(source or ""), target=str(target or ""), every=every, backend=backend,
        translator=None if translator is None else str(translator),
        styles=count, vary=vary, seed=seed or 0, truncation=truncation,
        references=tuple(map(str, style_from)), precision=precision, options=options,
    )  # fmt: skip
    request.check()
    if style_layers is not None and not (count or style_from):
        raise UsageError("--style-layers says where a style goes: give --styles N or --style-from IMAGE, too")
    if style_domain is not None and not style_from:
        raise UsageError("--style-domain encodes an exemplar: give --style-from IMAGE, too")
    return request
