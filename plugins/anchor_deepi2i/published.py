"""What the readers of both published layouts share: their options, and the bundle that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field
from torch import Tensor

from anchor_deepi2i.losses import FUSION
from anchor_deepi2i.networks import Networks
from anchor_deepi2i.values import parse_sides
from anchor_hub.bundles.tensorfile import halved
from anchor_hub.checkpoints.filling import fill
from anchor_hub.errors import CheckpointError, UsageError
from anchor_hub.networks.blank import blank
from anchor_hub.training.base import RecipeOptions

BACKEND = "deepi2i"
RGB = {"name": "rgb"}


class ImportOptions(RecipeOptions):
    """What ``--set`` may say to both. ``fusion``: weights w, ``4:0.1,8:0.1``; ``half``: store half precision."""

    fusion: str | None = Field(default=None)
    half: bool = False

    def weights(self) -> dict[int, float]:
        """The weights of the fusion, by side: the published ones of a pretrained start unless given."""
        return dict(FUSION) if self.fusion is None else parse_sides(self.fusion, "fusion")


def converted(state: Mapping[str, Tensor], names: Mapping[str, str], what: str) -> dict[str, Tensor]:
    """Entries under our names. :raises CheckpointError: one is missing."""
    found = {}
    for ours, theirs in names.items():
        if theirs not in state:
            raise CheckpointError(f"lacks the entry {theirs!r} of a DeepI2I {what}")
        value = state[theirs].detach().float()
        found[ours] = value.reshape(-1) if ours.endswith(".u") else value
    return found


def assembled(
    kind: type[Networks], encoder: Any, generator: Any, fusion: Mapping[int, float],
    adaptors: Mapping[str, Tensor], names: Callable[[Networks], Mapping[str, str]],
) -> Networks:  # fmt: skip
    """The networks around an encoder and a generator, with the published ``adaptors``.

    :param names: gives our name -> the published one for the adaptors' entries.
    :raises CheckpointError: networks that do not fit each other, or entries that are missing or damaged.
    """
    try:
        networks = blank(lambda: kind(encoder.without_head(), generator, fusion))
    except ValueError as error:
        raise CheckpointError(f"its networks do not fit each other: {error}") from None
    fill(networks.adaptors, converted(adaptors, names(networks), "adaptor"), "adaptor", "the other networks")
    return networks


def bundle_parts(networks: Networks, options: ImportOptions) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Architecture and parts of a bundle of these networks."""
    parts = networks.freeze().parts()
    return {"name": BACKEND, **networks.describe()}, {
        name: halved(values) if options.half else dict(values) for name, values in parts.items()
    }


def class_names(given: str | int | None, rows: int) -> tuple[str, ...]:
    """Names of the first so many classes of an embedding of ``rows`` rows.

    :param given: how many there are, or a text file with a name in each line; default: all, called by their numbers.
    :raises UsageError: no such file, or more names than rows, or the same name twice.
    """
    if given is None:
        return tuple(map(str, range(rows)))
    if str(given).isdigit():
        names: Sequence[str] = [str(number) for number in range(int(given))]
    else:
        try:
            text = Path(str(given)).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--set classes={given}: cannot be read ({error}); give a number, or a text file"
            ) from None
        names = [line.strip() for line in text.splitlines() if line.strip()]
    if not 1 <= len(names) <= rows:
        raise UsageError(f"--set classes={given}: names {len(names)} classes, the file has rows for 1 to {rows}")
    if len(set(names)) != len(names):
        raise UsageError(f"--set classes={given}: names a class twice; every line needs a name of its own")
    return tuple(names)
