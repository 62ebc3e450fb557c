"""Training: one function for every recipe. The names below are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anchor_hub._lazy import lazy_names

_EXPORTS = {
    "Batch": "anchor_hub.training.base",
    "Contents": "anchor_hub.training.contents",
    "Recipe": "anchor_hub.training.base",
    "RecipeOptions": "anchor_hub.training.base",
    "RunSettings": "anchor_hub.training.base",
    "Samples": "anchor_hub.training.base",
    "train": "anchor_hub.training.engine.orchestration",
    "TrainingContext": "anchor_hub.training.base",
    "TrainingPlan": "anchor_hub.training.base",
    "TrainingResult": "anchor_hub.training.engine.orchestration",
}

__all__ = list(_EXPORTS)

__getattr__ = lazy_names(__name__, _EXPORTS)

if TYPE_CHECKING:
    from anchor_hub.training.base import Batch as Batch
    from anchor_hub.training.base import Recipe as Recipe
    from anchor_hub.training.base import RecipeOptions as RecipeOptions
    from anchor_hub.training.base import RunSettings as RunSettings
    from anchor_hub.training.base import Samples as Samples
    from anchor_hub.training.base import TrainingContext as TrainingContext
    from anchor_hub.training.base import TrainingPlan as TrainingPlan
    from anchor_hub.training.contents import Contents as Contents
    from anchor_hub.training.engine.orchestration import TrainingResult as TrainingResult
    from anchor_hub.training.engine.orchestration import train as train
