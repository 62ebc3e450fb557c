"""Turns the options of `anchor invert` into those of a method, and its result into a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.errors import UsageError
from anchor_hub.system.settings import merged_settings

if TYPE_CHECKING:
    from anchor_hub.inversion.files import InvertedFiles


def method_options(
    settings: Sequence[str], *, output: Path | None, grid: Path | None, **own: Any
) -> dict[str, Any]:
    """The method's options: those with options of their own (``--steps`` ...) and ``--set NAME=VALUE``.

    :raises UsageError: one is given twice, or nothing would be written.
    """
    if output is None and grid is None:
        raise UsageError("nothing to write: give -o LATENTS.safetensors, --grid SHEET.png, or both")
    return merged_settings(own, settings)


def table(result: InvertedFiles) -> tuple[list[str], list[list[str]]]:
    """Header and rows: each picture, and the means of several."""
    values = result.found.values
    known = [name for name in ("ssim", "mse", "errors", "steps") if name in values]
    forms = {"ssim": "{:.3f}", "mse": "{:.5f}", "errors": "{:.4f}", "steps": "{:.0f}"}
    heads = {"errors": "error"}
    rows = [
        [path.name, *(forms[name].format(float(values[name][index])) for name in known)]
        for index, path in enumerate(result.files)
    ]
    if len(rows) > 1:
        rows.append(["mean", *(forms[name].format(float(values[name].float().mean())) for name in known)])
    return ["picture", *(heads.get(name, name) for name in known)], rows
