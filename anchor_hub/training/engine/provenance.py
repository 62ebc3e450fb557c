"""Where trained weights come from and who may use them: what every bundle records."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from anchor_hub.errors import ConfigError
from anchor_hub.system.config import load_yaml

UNKNOWN_LICENSE = "unknown"
# Renderers whose pictures are free of photographs, and the licence these pictures come under.
RENDERED = {"anchor_faces": "Apache-2.0 (rendered, no photographs)"}


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
    """What ``dataset.yaml`` in a folder of rendered images, or up to two above it, says about them; ``None`` elsewhere.

    :param data: a folder, or a glob inside of one. Other tools' files of that name count as nothing.
    """
    folder = Path(os.path.abspath(data))
    folder = folder if folder.is_dir() else folder.parent
    for path in (place / "dataset.yaml" for place in (folder, folder.parent, folder.parent.parent)):
        if path.is_file():
            try:
                content = load_yaml(path)
            except ConfigError:
                continue
            if isinstance(content, dict) and content.get("renderer") in RENDERED:
                return content
    return None


def licenses(weights: str | None, data: str | None, data_set: dict[str, Any] | None) -> dict[str, str]:
    """The ``license`` table of a bundle: what the caller says, else what the data set says, else "unknown"."""
    rendered = RENDERED[data_set["renderer"]] if data_set is not None else None
    return {"weights": weights or UNKNOWN_LICENSE, "data": data or rendered or UNKNOWN_LICENSE}
