"""Translation from Python, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_hub.errors import UsageError
from anchor_hub.translation.anchor import AnchorOptions, AnchorTranslator, translator
from anchor_hub.translation.base import read_options
from anchor_hub.translation.request import Session, TranslationRequest
from anchor_hub.translation.running import Translated, translate_samples

if TYPE_CHECKING:
    from anchor_hub.domains.base import Domain
    from anchor_hub.hubs.base import Hub


def translate(
    inputs: str | Path | Tensor | Sequence[str | Path | Tensor],
    *,
    source: str | Path | Domain,
    target: str | Path | Domain,
    styles: int = 0,
    seed: int | None = None,
    vary: bool = False,
    truncation: float = 1.0,
    style_layers: Sequence[int] | str | None = None,
    style_from: str | Path | Sequence[str | Path] | None = None,
    style_domain: str | Path | None = None,
    invert: int = 0,
    batch: int = 16,
    hub: Hub | None = None,
    device: str | torch.device = "auto",
    backend: str | None = None,
    translator: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Translated]:
    """Translate files, folders, globs or samples and return the results, nothing being written.

    :param inputs: paths, or samples as the source's modality has them (rgb: uint8 ``[3, H, W]``; label maps: ids
        ``[1, H, W]``) at the translator's size.
    :param styles: random styles per input; with a ``seed`` at least one; 0 and no seed: the backend's own look, of
        ``anchor`` the mean latent's.
    :param vary: random styles of its own for every input, instead of the same ones for all.
    :param truncation: of the random styles (1: none).
    :param style_from: reference pictures whose style to take instead of random ones.
    :param style_layers, style_domain, invert: options of the backend ``anchor``: W+ layers that styles replace, the
        domain that encodes reference pictures, steps of optimisation-based refinement.
    :param backend, translator: see :class:`~anchor_hub.translation.request.TranslationRequest`.
    :param options: the backend's options by name.
    :returns: one result per input and style, input by input; ``.image`` is a picture, ``.save(path)`` writes it.
    :raises ImageError: an input cannot be read.
    :raises HubMismatchError: domains of different hubs.
    """
    if style_layers is not None and not isinstance(style_layers, str):
        style_layers = ",".join(map(str, style_layers))
    own = {"style_layers": style_layers, "style_domain": style_domain and str(style_domain), "invert": invert or None}
    given = {**(options or {}), **{name: value for name, value in own.items() if value is not None}}
    references = [style_from] if isinstance(style_from, (str, Path)) else list(style_from or ())
    request = TranslationRequest(
        source=_name(source), target=_name(target), backend=backend,
        translator=None if translator is None else str(translator),
        styles=max(styles, 1) if seed is not None and not references else styles, vary=vary, seed=seed or 0,
        truncation=truncation, references=tuple(map(str, references)), options=given,
    )  # fmt: skip
    if hub is None and all(isinstance(end, str) for end in (source, target)):
        return translate_samples(request.open(device), inputs, batch=batch)
    # Objects and folders are domains, whatever names are registered.
    if backend not in (None, AnchorTranslator.backend) or translator is not None:
        raise UsageError("only the backend 'anchor' translates between domain objects; give names as text")
    return translate_samples(_between(source, target, request, hub, device), inputs, batch=batch)


def _name(end: str | Path | Domain) -> str:
    return str(end) if isinstance(end, (str, Path)) else end.name


def _between(
    source: str | Path | Domain, target: str | Path | Domain, request: TranslationRequest,
    hub: Hub | None, device: str | torch.device,
) -> Session:  # fmt: skip
    request.check()
    options = read_options(AnchorTranslator, AnchorTranslator.backend, request.options)
    assert isinstance(options, AnchorOptions)
    return Session(translator(source, target, hub=hub, device=device, options=options), request)
