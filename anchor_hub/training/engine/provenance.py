"""Where trained weights come from and who may use them: what every bundle records, made here alone."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anchor_hub.errors import ConfigError
from anchor_hub.plugins.names import Registered
from anchor_hub.plugins.registry import registry
from anchor_hub.specs import DatasetSpec
from anchor_hub.system.config import load_yaml

UNKNOWN_LICENSE = "unknown"


def provenance(command: str, **facts: Any) -> dict[str, Any]:
    """The facts of a training and the versions it ran with, plain values for ``bundle.yaml``; ``None`` is left out."""
    import torch

    from anchor_hub import __version__

    known = {key: value for key, value in facts.items() if value is not None}
    return {
        "command": command, **known,
        "anchor_hub": __version__, "torch": torch.__version__, "python": platform.python_version(),
    }  # fmt: skip


def rendered_data_set(data: str | Path) -> dict[str, Any] | None:
    """What ``dataset.yaml`` in a folder of made images, or up to two above it, says about them; ``None`` elsewhere.

    Its ``renderer`` is the package of a registered data set. Other tools' files of that name count as nothing.

    :param data: a folder, or a glob inside of one.
    """
    folder = Path(os.path.abspath(data))
    folder = folder if folder.is_dir() else folder.parent
    for path in (place / "dataset.yaml" for place in (folder, folder.parent, folder.parent.parent)):
        if path.is_file():
            try:
                content = load_yaml(path)
            except ConfigError:
                continue
            if isinstance(content, dict) and _maker(content.get("renderer")) is not None:
                return content
    return None


def _maker(renderer: object) -> DatasetSpec | None:
    """The data set that a package registers under the renderer's name, preferably one that states its licence."""
    known = registry().datasets
    specs = [record.spec for name in known if (record := known.first(name)) is not None]
    made = [spec for spec in specs if spec.target.split(":")[0].split(".")[0] == renderer]
    return next((spec for spec in made if spec.license), made[0] if made else None)


def licenses(
    weights: str | None, data: str | None, data_set: Mapping[str, Any] | None, spec: DatasetSpec | None = None
) -> dict[str, str]:
    """The ``license`` table of a bundle: what the caller says, else what the data set says, else "unknown".

    :param data_set: of :func:`rendered_data_set`. :param spec: the registered data set that the files are of.
    """
    maker = spec or (_maker(data_set["renderer"]) if data_set is not None else None)
    stated = maker.license.get("data") if maker is not None else None
    return {"weights": weights or UNKNOWN_LICENSE, "data": data or stated or UNKNOWN_LICENSE}


def plugins_of(records: Iterable[Registered[Any] | None]) -> dict[str, str] | None:
    """``{distribution: version}`` of the strangers' plugins that brought these; ``None`` where there are none.

    What the project itself brings is of the version that every bundle records.
    """
    versions = {plugin.distribution: plugin.version for plugin in registry().plugins}
    found = {
        record.distribution: versions.get(record.distribution, "unknown")
        for record in records
        if record is not None and record.source == "third-party"
    }
    return dict(sorted(found.items())) or None
