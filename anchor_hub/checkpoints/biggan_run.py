"""What the configuration of a BigGAN training says of weights, and the weights themselves do not: the epsilons.

The authors' code writes it into ``state_dict.pth`` beside the weights; a ``config.json`` beside them is read as well.
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

#: The files looked for, the first that there is; ``{}`` is the rest of the weights' name (of G_ema_best0.pth: _best0).
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
        """Whether it may be of the training that networks of this size and these classes are from."""
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
    """The settings of the training that a file of weights is from; the published ones where nothing beside it says any.

    A file of another training, or one that cannot be read, is passed over, and ``notes`` say so.

    :param network: settings to the architecture (``size``, ``classes``) that the weights have with them.
    :param norm_epsilon: where given, the epsilon of the batch norms, whatever the training's configuration says.
    :raises CheckpointError: an impossible ``norm_epsilon``; what ``network`` raises.
    """
    settings, name = _stated(raw, notes)
    config = network(settings)
    if not settings.fits(config.size, config.classes):
        facts = ((settings.size, "px"), (settings.classes, "classes"))
        said = " and ".join(f"{value} {unit}" for value, unit in facts if value is not None)
        notes.append(f"{name} beside it is of a training of {said}: it was passed over.")
        settings, name = RunSettings(), ""
    if norm_epsilon is not None:
        return replace(settings, norm_epsilon=check_epsilon(norm_epsilon, "the epsilon of its batch norms"))
    if settings.norm_epsilon != NORM_EPSILON:
        notes.append(f"The epsilon of its batch norms, {settings.norm_epsilon:g}, is that of {name} beside it.")
    return settings


def _stated(raw: RawCheckpoint, notes: list[str]) -> tuple[RunSettings, str]:
    """The settings beside a file of weights and the name of the file that says them, "" where there is none."""
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
            notes.append(f"Its training's configuration in {name} was passed over: {reason[:100]}.")
    return RunSettings(), ""


def _table(path: Path) -> Mapping[str, Any]:
    """The configuration in a file, empty where there is none; of a training's record the part ``config``."""
    if path.suffix == ".json":
        return read_config(path)
    # Activations are stored as whole objects; they become inert records, which nobody looks at.
    content = load_raw(path, refused=[]).content
    config = content.get("config") if isinstance(content, dict) else None
    return config if isinstance(config, dict) else {}
