"""Edits files: encodes or inverts each, moves its latents along a direction, decodes one output for each strength."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.editing.directions import Directions
from anchor_hub.system.precision import autocast
from anchor_hub.translation.anchor import AnchorTranslator
from anchor_hub.translation.request import Session
from anchor_hub.translation.running import FileResult, translate_files


class EditSession(Session):
    """A session whose outputs are one input's translation, its latents moved to each of several strengths.

    :param session: of the backend ``anchor``, as ``open_editor`` and ``open_latents`` open it.
    :param strengths: in standard deviations of the hub's latents along the direction; 0 is the translation itself.
    :param layers: W+ layers that move; default: all.
    :raises UsageError: no such direction.
    """

    unit = "strength"

    def __init__(
        self,
        session: Session,
        directions: Directions,
        direction: int,
        strengths: Sequence[float],
        layers: Sequence[int] | None = None,
    ) -> None:
        super().__init__(session.translator, session.request, session.inputs)
        assert isinstance(self.translator, AnchorTranslator)
        self.anchor: AnchorTranslator = self.translator
        self.directions, self.direction = directions, directions.check(direction)
        self.strengths, self.layers = tuple(strengths), layers

    @property
    def outputs(self) -> int:
        return len(self.strengths)

    @property
    def labels(self) -> list[str]:
        return [strength_text(strength) for strength in self.strengths]

    def __call__(self, samples: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """A batch of target samples (on the CPU) for each strength; see :meth:`Session.__call__`."""
        with torch.inference_mode(self.anchor.inference), autocast(self.precision, self.anchor.device):
            structure = self.inputs.content(samples)
            styled = self.anchor.with_style(structure, self.styles(indices)[0])
            batches = [self._picture(structure, styled, strength) for strength in self.strengths]
        return [batch.clone() if batch.is_inference() else batch for batch in batches]

    def _picture(self, structure: Tensor, styled: Tensor, strength: float) -> Tensor:
        # A target that looks at the structure beside the styled latents sees both moved.
        move = (self.direction, strength, self.layers)
        moved = [self.directions.moved(latents, *move) for latents in (structure, styled)]
        return self.target_modality.from_network(self.anchor.picture(*moved).float()).cpu()


def strength_text(strength: float) -> str:
    """A strength for headings: ``-3``, ``0``, ``+1.5``."""
    return f"{strength:+.3g}" if strength else "0"


def edit_files(
    session: Session,
    inputs: Sequence[str | Path],
    directions: Directions,
    direction: int,
    strengths: Sequence[float],
    *,
    layers: Sequence[int] | None = None,
    output: str | Path | None = None,
    grid: str | Path | None = None,
    batch: int = 16,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **more: Any,
) -> list[FileResult]:
    """Move the latents of files along a direction and write an output for each strength, all at the end or none.

    :param session, directions, direction, strengths, layers: see :class:`EditSession`.
    :param output, grid, batch, skip_bad, progress: as ``translate_files`` takes them; the sheet has a column for each
        strength.
    :raises UsageError, DataError, ImageError: as ``translate_files`` raises them.
    """
    editing = EditSession(session, directions, direction, strengths, layers)
    return translate_files(
        editing, inputs, output=output, grid=grid, batch=batch, skip_bad=skip_bad, progress=progress, **more
    )
