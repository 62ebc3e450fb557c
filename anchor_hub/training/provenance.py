"""Where trained weights come from: what every bundle records."""

from __future__ import annotations

import platform
from typing import Any


def provenance(command: str, **facts: Any) -> dict[str, Any]:
    """The facts of a training and the versions it ran with, plain values for ``bundle.yaml``; ``None`` is left out."""
    import torch

    from anchor_hub import __version__

    known = {key: value for key, value in facts.items() if value is not None}
    return {
        "command": command, **known,
        "anchor_hub": __version__, "torch": torch.__version__, "python": platform.python_version(),
    }  # fmt: skip
