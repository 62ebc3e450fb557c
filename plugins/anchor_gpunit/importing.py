"""Readers of the files that GP-UNIT's authors released, for `anchor translators import` and `anchor priors import`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from anchor_gpunit import released
from anchor_gpunit.networks.autoencoder import AutoEncoder
from anchor_gpunit.networks.configs import ContentConfig
from anchor_gpunit.networks.content import ContentEncoder
from anchor_gpunit.networks.generator import Generator
from anchor_gpunit.networks.sampler import StyleSampler
from anchor_gpunit.prior import ARCHITECTURE, PART, prior_architecture, read_config
from anchor_gpunit.translator import check_sizes, translator_architecture, translator_parts
from anchor_hub.bundles.base import open_bundle, requirement_of
from anchor_hub.checkpoints.base import ImportedParts
from anchor_hub.checkpoints.filling import filled
from anchor_hub.checkpoints.raw import RawCheckpoint, state_dict
from anchor_hub.errors import CheckpointError, UsageError, did_you_mean
from anchor_hub.plugins.finding import bundle_folder

FAMILY = "gp-unit"
OPTIONS = ("source", "target", "prior", "half")
_GENERATOR_KEY, _SAMPLER_KEY = "model.5.rgblayer.weight", "lin_out.weight"
_CONTENT_KEY, _STAGE_ONE = "layer1.0.conv.weight_orig", "ae_ema"
_TASK = re.compile(r"([a-z][a-z0-9]*?)2([a-z][a-z0-9]*)")

_RGB = {"name": "rgb"}


class _Translators:
    NAME = FAMILY
    LAYOUT = "g_ema and sampler of GP-UNIT (<task>.pt; content_encoder.pt with --content)"
    KIND = "translator"

    @staticmethod
    def matches(raw: RawCheckpoint) -> bool:
        return _GENERATOR_KEY in _part(raw, "g_ema") and _SAMPLER_KEY in _part(raw, "sampler")

    @staticmethod
    def read(raw: RawCheckpoint, others: Sequence[RawCheckpoint], options: Mapping[str, Any]) -> ImportedParts:
        for option in options:
            if option not in OPTIONS:
                raise UsageError(f"--set {option}: GP-UNIT's files have no such option.{did_you_mean(option, OPTIONS)}")
        source, target = _ends(raw, options)
        half = options.get("half", False)
        if not isinstance(half, bool):
            raise UsageError(f"--set half: must be true or false, not {half!r}")
        state = _part(raw, "g_ema")
        config = _understood(lambda: released.generator_config(state), "generator")
        weights = _understood(lambda: released.generator(state), "generator")
        generator = filled(Generator, config, weights, "generator")
        sampler = _sampler(_part(raw, "sampler"), config.style_dim)
        content, requires = None, []
        if options.get("prior") is not None:
            if others:
                raise UsageError("--content brings a content encoder, --set prior names an installed one: use one")
            prior = open_bundle(bundle_folder(str(options["prior"]), "prior"), "prior")
            if prior.manifest.architecture.get("name") != ARCHITECTURE:
                raise UsageError(f"--set prior={options['prior']}: is no content encoder of GP-UNIT")
            held = read_config(prior, ContentConfig, prior.manifest.architecture.get("config"))
            check_sizes(config, held, str(raw.path), f"prior {prior.manifest.name}")
            requires = [requirement_of(prior)]
        elif len(others) == 1:
            content = _content_encoder(others[0])
            check_sizes(config, content.config, str(raw.path), others[0].path.name)
        else:
            raise UsageError("GP-UNIT translates by a content encoder: give --content content_encoder.pt")
        notes = ["g_ema is the moving average of the generator, the only one in the file."]
        if content is not None:
            notes.append("The content encoder is part of the bundle, divided by its spectral norms.")
        notes.append("Random styles use the sampler's running statistics; the published code's, those of the batch.")
        return ImportedParts(
            FAMILY,
            translator_architecture(config, None if content is None else content.config),
            translator_parts(generator, sampler, content, half=half),
            source={"name": source, "modality": _RGB},
            targets=[{"name": target, "modality": _RGB}],
            requires=requires,
            notes=notes,
        )


class _Priors:
    NAME = FAMILY
    LAYOUT = "a content encoder of GP-UNIT (content_encoder.pt), or ae_ema of its stage I"
    KIND = "prior"

    @staticmethod
    def matches(raw: RawCheckpoint) -> bool:
        return _CONTENT_KEY in _content_state(raw)

    @staticmethod
    def read(raw: RawCheckpoint, others: Sequence[RawCheckpoint], options: Mapping[str, Any]) -> ImportedParts:
        if others or options:
            raise UsageError("a content encoder of GP-UNIT is one file, and takes no options")
        encoder = _content_encoder(raw)
        notes = ["Weights are divided by their spectral norms."]
        if _part(raw, _STAGE_ONE):
            state = _part(raw, _STAGE_ONE)
            config = _understood(lambda: released.autoencoder_config(state), "auto-encoder")
            weights = _understood(lambda: released.autoencoder(state), "auto-encoder")
            filled(AutoEncoder, config, weights, "auto-encoder")
            notes.append(f"Of stage I's auto-encoder of {config.classes} domains, the content encoder was taken.")
        return ImportedParts(FAMILY, prior_architecture(encoder.config), {PART: encoder.state_dict()}, notes=notes)


def _part(raw: RawCheckpoint, name: str) -> dict[str, Tensor]:
    """A state dict in the file, or nothing."""
    return (state_dict(raw.content.get(name)) if isinstance(raw.content, Mapping) else None) or {}


def _content_state(raw: RawCheckpoint) -> dict[str, Tensor]:
    """The content encoder's entries of ``content_encoder.pt`` or of a file of stage I."""
    whole, prefix = _part(raw, _STAGE_ONE), "contentE."
    if whole:
        return {name.removeprefix(prefix): value for name, value in whole.items() if name.startswith(prefix)}
    return state_dict(raw.content) or {}


def _content_encoder(raw: RawCheckpoint) -> ContentEncoder:
    state = _content_state(raw)
    if _CONTENT_KEY not in state:
        raise raw.error("is no content encoder of GP-UNIT (content_encoder.pt)")
    config = _understood(lambda: released.content_config(state), "content encoder")
    weights = _understood(lambda: released.frozen_content_encoder(state), "content encoder")
    return filled(ContentEncoder, config, weights, "content encoder")


def _sampler(state: dict[str, Tensor], style_dim: int) -> StyleSampler:
    weights = _understood(lambda: released.sampler(state), "style sampler")
    return filled(StyleSampler, style_dim, weights, "style sampler")


def _understood(read: Callable[[], Any], what: str) -> Any:
    """``read()``. :raises CheckpointError: entries that the published network does not have, or lacks."""
    try:
        return read()
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"its {what} is not GP-UNIT's: {reason[:160]}") from None


def _ends(raw: RawCheckpoint, options: Mapping[str, Any]) -> tuple[str, str]:
    """The names of source and target: those of the options, else those in the file's name (``cat2dog.pt``)."""
    found = _TASK.fullmatch(raw.path.stem)
    named = dict(zip(("source", "target"), found.groups(), strict=True)) if found else {}
    ends = [options.get(end, named.get(end)) for end in ("source", "target")]
    if None in ends or ends[0] == ends[1]:
        raise UsageError(f"{raw.path.name} does not say what it translates: give --set source=NAME --set target=NAME")
    return str(ends[0]), str(ends[1])


TRANSLATORS, PRIORS = _Translators(), _Priors()
