"""What the options of both recipes share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from anchor_hub.errors import UsageError, did_you_mean

Preset = Mapping[str, Any]


def checked_weights(weights: Mapping[str, float], known: Mapping[str, float]) -> dict[str, float]:
    """The weights as they are. :raises UsageError: a term that there is not, or a weight that is no number from 0 on.
    """
    for name, weight in weights.items():
        if name not in known:
            raise UsageError(f"weights: there is no term {name!r}.{did_you_mean(name, known)}")
        if not math.isfinite(weight) or weight < 0:
            raise UsageError(f"weights: that of {name!r} must be a number of at least 0, not {weight}")
    return dict(weights)
