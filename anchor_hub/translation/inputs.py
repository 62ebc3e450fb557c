"""What a session's inputs are: here files of the source's modality, which the translator encodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from anchor_hub.system.inputs import InputFile, list_inputs
from anchor_hub.translation.base import Translator


class Inputs:
    """From what a user names to samples, from samples to content. A subclass reads what is content already.

    :param translator: whose source the inputs are.
    """

    def __init__(self, translator: Translator[Any]) -> None:
        self.translator = translator

    def files(self, given: Sequence[str | Path]) -> list[InputFile]:
        """The inputs that paths, folders and globs mean, in their order; see ``list_inputs`` for the errors."""
        return list_inputs(given, self.translator.source_modality.extensions)

    def read(self, item: InputFile) -> Tensor:
        """The sample of an input. :raises ImageError: it cannot be read."""
        return self.translator.source_modality.read(item.path, self.translator.size)

    def collate(self, samples: Sequence[Tensor]) -> Tensor:
        """A batch of samples ``[B, ...]``."""
        return self.translator.source_modality.collate(list(samples))

    def content(self, samples: Tensor) -> Any:
        """The translator's content of a batch of samples."""
        return self.translator.encode(self.translator.source_modality.to_network(samples))

    def preview(self, sample: Tensor, size: int) -> Tensor:
        """A picture of a sample for sheets, uint8 ``[3, size, size]``."""
        return self.translator.source_modality.preview(sample, size)
