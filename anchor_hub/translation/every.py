"""Sessions that translate every input to all targets of one translator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from anchor_hub.system.precision import autocast
from anchor_hub.translation.base import Translator
from anchor_hub.translation.request import Session, TranslationRequest


class EverySession(Session):
    """A session whose outputs are one input's translations to all targets, with the same styles for each.

    An input is encoded once for all of them.
    """

    def __init__(self, translator: Translator[Any], request: TranslationRequest) -> None:
        super().__init__(translator, request)
        self.aimed = [translator.towards(target) for target in translator.targets]

    @property
    def outputs(self) -> int:
        return len(self.aimed) * len(self._shared)

    @property
    def labels(self) -> list[str]:
        several = len(self._shared) > 1
        return [
            f"{aimed.target} {number}" if several else aimed.target
            for aimed in self.aimed
            for number in range(1, len(self._shared) + 1)
        ]

    @property
    def endings(self) -> list[str]:
        names = [re.sub(r"[^\w.-]+", "-", label).strip("-.") for label in self.labels]
        distinct = len({name.casefold() for name in names}) == len(names) and all(names)
        return names if distinct else [f"target{number}" for number in range(1, len(names) + 1)]

    def __call__(self, samples: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """A batch of target samples (on the CPU) for each target and style; see :meth:`Session.__call__`."""
        images = self.source_modality.to_network(samples)
        with torch.inference_mode(self.translator.inference), autocast(self.precision, self.translator.device):
            content, styles = self.translator.encode(images), self._styles(indices)
            batches = [self._decoded(content, style, len(samples), aimed) for aimed in self.aimed for style in styles]
        return [batch.clone() if batch.is_inference() else batch for batch in batches]
