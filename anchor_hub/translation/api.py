"""Translation from Python, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anchor_hub.translation import request, running
from anchor_hub.translation.anchor import translator
from anchor_hub.translation.styles import default_style_layers

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain
    from anchor_hub.hubs.base import Hub
    from anchor_hub.translation.running import Translated


def translate(
    inputs: str | Path | Tensor | Sequence[str | Path | Tensor],
    *,
    source: str | Path | Domain,
    target: str | Path | Domain,
    styles: int = 0,
    seed: int | None = None,
    vary: bool = False,
    truncation: float = 1.0,
    style_layers: Sequence[int] | None = None,
    style_from: str | Path | Sequence[str | Path] | None = None,
    style_domain: str | Path | None = None,
    invert: int = 0,
    batch: int = 16,
    hub: Hub | None = None,
    device: str | torch.device = "auto",
) -> list[Translated]:
    """Translate files, folders, globs or samples and return the results, nothing being written.

    :param inputs: paths, or samples as the source's modality has them (rgb: uint8 ``[3, H, W]``; label maps: ids
        ``[1, H, W]``) at the hub's size.
    :param styles: random styles per input; with a ``seed`` at least one; 0 and no seed: the mean latent's appearance.
    :param vary: random styles of its own for every input, instead of the same ones for all.
    :param truncation: of the random styles (1: none).
    :param style_layers: W+ layers that styles replace; default: those that the source's encoder leaves alone, and the
        styles' colours in the others.
    :param style_from: exemplar images whose style to take instead of random ones, encoded by ``style_domain``.
    :param invert: steps of optimisation-based refinement (rgb sources).
    :returns: one result per input and style, input by input; ``.image`` is a picture, ``.save(path)`` writes it.
    :raises ImageError: an input cannot be read.
    :raises HubMismatchError: domains of different hubs.
    """

    between = translator(source, target, hub=hub, device=device)
    layers = None if style_layers is None else tuple(style_layers)
    count = max(styles, 1) if seed is not None else styles
    exemplars = None
    if style_from is not None:
        paths = [style_from] if isinstance(style_from, (str, Path)) else list(style_from)
        used = layers or default_style_layers(between.source)
        exemplars, _ = request.exemplar_styles(request.exemplar_domain(between, style_domain), paths, used)
    choice = running.StyleChoice(count, vary, seed or 0, truncation, layers, exemplars)
    return running.translate_samples(between, inputs, choice=choice, batch=batch, invert=invert)
