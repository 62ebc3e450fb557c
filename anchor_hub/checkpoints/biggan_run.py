"""Settings of a BigGAN training that its weights do not show, such as epsilons, from the training's configuration.

The authors' code writes the configuration into ``state_dict.pth`` beside the weights; a ``config.json`` there is read,
too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anchor_hub.checkpoints.raw import RawCheckpoint, load_raw, read_config
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.biggan_layers import NORM_EPSILON, SPECTRAL_EPSILON

#: The files to look for; the first that exists is read. ``{}``: the rest of the weights' name (_best0 of G_ema_best0).
FILES = ("state_dict{}.pth", "state_dict.pth", "config.json")


@dataclass(frozen=True)
class RunSettings:
    """Settings of a training.

    Attributes:
        norm_epsilon: of the conditional batch norms.
        spectral_epsilon: of the power iterations.
        depth: blocks per resolution of a BigGAN-deep generator; None where the configuration does not say.
        size, classes: side of the images in pixels and number of classes; None where it does not say.
    """

    norm_epsilon: float = NORM_EPSILON
    spectral_epsilon: float = SPECTRAL_EPSILON
    depth: int | None = None
    size: int | None = None
    classes: int | None = None

    def fits(self, size: int, classes: int) -> bool:
        """Whether networks of this size and number of classes may come from this training."""
        return self.size in (None, size) and self.classes in (None, classes)


def settings_of(table: Mapping[str, Any]) -> RunSettings:
    """The settings in a configuration under the authors' names (BN_eps, SN_eps, G_depth, resolution, n_classes).

    :raises CheckpointError: an epsilon that is no small positive number, or another setting that is no whole number.
    """
    return RunSettings(
        check_epsilon(table.get("BN_eps", NORM_EPSILON), "BN_eps"),
        check_epsilon(table.get("SN_eps", SPECTRAL_EPSILON), "SN_eps"),
        *(_whole(table, key) for key in ("G_depth", "resolution", "n_classes")),
    )


def check_epsilon(value: Any, name: str) -> float:
    """``value`` as a float. :raises CheckpointError: not a number above 0 and below 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise CheckpointError(f"{name} must be a small positive number, not {value!r:.40}")
    return float(value)


def _whole(table: Mapping[str, Any], key: str) -> int | None:
    value = table.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise CheckpointError(f"{key} must be a whole number above 0, not {value!r:.40}")
    return value


def settings_for(
    raw: RawCheckpoint, network: Callable[[RunSettings], Any], norm_epsilon: float | None, notes: list[str]
) -> RunSettings:
    """The settings of the training that made a file of weights; the published ones if no file beside it has them.

    A file of another training, or one that cannot be read, is not used; ``notes`` then say so.

    :param network: gives the architecture (``size``, ``classes``) that the weights have with some settings.
    :param norm_epsilon: if given, the epsilon of the batch norms, in place of that of the configuration.
    :raises CheckpointError: an impossible ``norm_epsilon``; what ``network`` raises.
    """
    settings, name = _stated(raw, notes)
    config = network(settings)
    if not settings.fits(config.size, config.classes):
        facts = ((settings.size, "px"), (settings.classes, "classes"))
        said = " and ".join(f"{value} {unit}" for value, unit in facts if value is not None)
        notes.append(f"{name} beside it belongs to a training of {said} and was not used.")
        settings, name = RunSettings(), ""
    if norm_epsilon is not None:
        return replace(settings, norm_epsilon=check_epsilon(norm_epsilon, "the epsilon of its batch norms"))
    if settings.norm_epsilon != NORM_EPSILON:
        notes.append(f"The epsilon of its batch norms, {settings.norm_epsilon:g}, comes from {name} beside it.")
    return settings


def _stated(raw: RawCheckpoint, notes: list[str]) -> tuple[RunSettings, str]:
    """The settings in a file beside the weights, and the name of that file, "" if there is none."""
    suffix = re.sub(r"^(G_ema|G|D)(?=_|$)", "", raw.path.stem)
    for name in dict.fromkeys(pattern.format(suffix) for pattern in FILES):
        path = raw.path.parent / name
        if path == raw.path or not path.is_file():
            continue
        try:
            table = _table(path)
            if {"BN_eps", "SN_eps", "G_depth"} & set(table):
                return settings_of(table), name
        except CheckpointError as error:
            reason = str(error).removeprefix(f"{path}: ")
            notes.append(f"The training's configuration in {name} was not used: {reason[:100]}.")
    return RunSettings(), ""


def _table(path: Path) -> Mapping[str, Any]:
    """The configuration in a file, empty if there is none; from a training's record, its part ``config``."""
    if path.suffix == ".json":
        return read_config(path)
    # Activations are stored as whole objects, which become inert records and are not used.
    content = load_raw(path, refused=[]).content
    config = content.get("config") if isinstance(content, dict) else None
    return config if isinstance(config, dict) else {}
