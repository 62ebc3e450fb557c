"""What the contract suite finds wrong with a translator (`anchor_hub.testing.check_translator`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import AnchorError
from anchor_hub.translation.base import OWN, RANDOM, REFERENCE, Translator, TranslatorOptions
from anchor_hub.translation.request import Session, TranslationRequest

#: How far two computations of one output may lie apart, in the units of raw output: batches round differently.
TOLERANCE = 1e-3


def translator_faults(translator: Translator[Any], samples: Tensor) -> Iterator[str]:
    """Sentences about what breaks the contract; none where all is well.

    :param samples: a batch of at least two source samples ``[B, ...]``, as its modality reads them at its size.
    """
    kind = type(translator)
    yield from _words(kind, translator)
    state = torch.get_rng_state()
    images = translator.source_modality.to_network(samples)
    own = OWN in kind.styles
    if own:
        with torch.no_grad():
            whole = translator.checked(translator.decode(translator.encode(images)), len(samples))
            single = translator.checked(translator.decode(translator.encode(images[:1])), 1)
            again = translator.decode(translator.encode(images))
        if tuple(whole.shape[2:]) != (translator.size, translator.size):
            yield f"it gives {list(whole.shape[2:])} pixels, its size is {translator.size}"
        if not torch.equal(whole, again):
            yield "the same images give other outputs the second time: encode and decode must be deterministic"
        if _differ(whole[:1], single):
            yield "an image's output depends on the batch that it is in"
    if RANDOM in kind.styles:
        yield from _random_styles(translator, images)
    if REFERENCE in kind.styles:
        yield from _reference_styles(translator)
    yield from _sessions(translator, samples, own)
    if not torch.equal(state, torch.get_rng_state()):
        yield "it changes torch's global random state: draw from generators of your own (style_generator)"


def _words(kind: type[Translator[Any]], translator: Translator[Any]) -> Iterator[str]:
    if not kind.backend:
        yield "it states no backend: set the class attribute to the name under which the backend is registered"
    unknown = sorted(set(kind.styles) - {OWN, RANDOM, REFERENCE})
    if unknown or not kind.styles:
        yield f"its styles are {sorted(kind.styles)}: use 'own', 'random' and 'reference'"
    if not issubclass(kind.Options, TranslatorOptions):
        yield "its Options do not derive from TranslatorOptions"
        return
    try:
        kind.Options()
    except ValueError as error:
        yield f"its Options cannot be left out: give every option a default ({str(error)[:100]})"
    if translator.identity.backend != kind.backend:
        yield f"its identity names the backend {translator.identity.backend!r}, its class {kind.backend!r}"


def _random_styles(translator: Translator[Any], images: Tensor) -> Iterator[str]:
    styles = translator.random_styles(4, seed=7)
    if not isinstance(styles, Tensor) or len(styles) != 4:
        yield "random_styles(4) does not give a tensor of 4 styles"
        return
    if _differ(styles[2:], translator.random_styles(2, seed=7, start=2)):
        yield "random style 2 of a seed depends on how many are drawn: style i must depend on seed and i alone"
    if not _differ(styles, translator.random_styles(4, seed=8)):
        yield "two seeds give the same random styles"
    if _differ(*translator.random_styles(2, seed=7, truncation=0.0).split(1)):
        yield "random_styles(truncation=0) gives styles that differ: 0 makes each of them the mean"
    with torch.no_grad():
        content = translator.encode(images)
        for style in (styles[:1], styles[: len(images)] if len(images) <= 4 else None):
            if style is not None:
                translator.checked(translator.decode(content, style), len(images))
        first = translator.decode(translator.encode(images[:1]), styles[:1])
    if len(images) <= 4 and _differ(translator.decode(content, styles[: len(images)])[:1], first):
        yield "decode with one style for each image differs from decode of that image with its style"


def _reference_styles(translator: Translator[Any]) -> Iterator[str]:
    modality, side = translator.reference_modality, translator.size
    if not modality.traits.picture:
        yield f"its reference_modality is {modality.name}, which has no colour pictures"
        return
    pictures = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    styles = translator.reference_styles(modality.to_network(pictures))
    if not isinstance(styles, Tensor) or len(styles) != 2:
        yield "reference_styles of 2 pictures does not give a tensor of 2 styles"


def _sessions(translator: Translator[Any], samples: Tensor, own: bool) -> Iterator[str]:
    names: dict[str, Any] = {"source": translator.source, "target": translator.target}
    for option, wanted in (("styles", RANDOM), ("references", REFERENCE)):
        if wanted in type(translator).styles:
            continue
        try:
            method = translator.random_styles if wanted == RANDOM else None
            method(1, seed=0) if method is not None else translator.reference_modality
            yield f"{option}: its styles leave {wanted!r} out, but it gives them"
        except AnchorError:
            pass
    ask = TranslationRequest(**names) if own else TranslationRequest(**names, styles=1)
    session = Session(translator, ask)
    (batch,) = session(samples, range(len(samples)))
    if len(batch) != len(samples):
        yield f"a session of {len(samples)} samples gives {len(batch)}"
    session.target_modality.preview(batch[0])


def _differ(first: Tensor, second: Tensor) -> bool:
    return first.shape != second.shape or float((first - second).abs().max()) > TOLERANCE
