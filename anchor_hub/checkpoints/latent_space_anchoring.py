"""Reading the published checkpoints of latent-space anchoring (and pSp encoders of the same layout).

A file is a ``torch.save`` of a dict: ``translator`` (or ``state_dict``) holds the whole model with the
prefixes ``encoder.``, ``decoder.`` (a StyleGAN2 generator in the rosinality layout), ``regressor.`` and, in
the variants with a fine-tuned generator, ``decoder2.`` (the frozen original); beside it ``latent_avg`` ``[L,
D]`` (``[1, D]`` in W), ``opts`` and, from training, ``imageD`` and ``latentD``. Nothing of the file is executed.

To translate from domain A to B take encoder and mean latent of A's file, regressor and generator of B's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.checkpoints import stylegan2_rosinality as rosinality
from anchor_hub.checkpoints.raw import Record, load_raw
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.psp import BODY_GROUPS, PSPEncoder
from anchor_hub.networks.published_anchor import PUBLISHED_SIZE, PublishedAnchor
from anchor_hub.networks.regressors import PUBLISHED_WIDTHS, Regressor, build_regressor
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

State = dict[str, Tensor]
LAYOUT = "a dict with translator or state_dict, whose entries begin with encoder., regressor. and decoder."


@dataclass
class PublishedParts:
    """One checkpoint, taken apart; state dicts keep the published names and lack the group's prefix.

    ``encoder``, ``regressor``, ``generator`` and ``frozen_generator`` may be empty. ``mean_latent`` is ``[L,
    D]``, or ``[1, D]`` for an encoder into W, or ``None``.
    """

    encoder: State
    regressor: State
    generator: State
    frozen_generator: State
    mean_latent: Tensor | None = None
    options: dict[str, Any] = field(default_factory=dict)
    image_discriminator: State = field(default_factory=dict)
    latent_discriminator: State = field(default_factory=dict)


_GROUPS = {
    "encoder": "encoder",
    "regressor": "regressor",
    "generator": "decoder",
    "frozen_generator": "decoder2",
}


def read_published(path: str | Path) -> PublishedParts:
    """Read a checkpoint file; no code in it runs.

    :raises CheckpointError: missing, damaged, holding something other than tensors and plain values, or not
        of this layout.
    """
    raw = load_raw(path)
    try:
        return split_published(raw.content)
    except CheckpointError as error:
        raise raw.error(str(error)) from error


def is_published(content: Any) -> bool:
    """Whether a loaded checkpoint is a release of latent-space anchoring; never raises."""
    if not isinstance(content, Mapping):
        return False
    model = content.get("translator", content.get("state_dict"))
    return isinstance(model, Mapping) and any(
        str(name).startswith(tuple(f"{theirs}." for theirs in _GROUPS.values())) for name in model
    )


def split_published(content: Any) -> PublishedParts:
    """Take a loaded checkpoint dict apart. :raises CheckpointError: not of this layout."""
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"a {type(content).__name__} where a dict with 'translator' or 'state_dict' was expected"
        )
    model = content.get("translator", content.get("state_dict"))
    if not isinstance(model, Mapping):
        known = ", ".join(ascii(str(key))[1:-1][:60] for key in list(content)[:6])
        raise CheckpointError(f"neither 'translator' nor 'state_dict' in the checkpoint (it has: {known})")
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in model.items()):
        raise CheckpointError("its model has entries that are no tensors")
    groups = {
        ours: {
            name[len(theirs) + 1 :]: value for name, value in model.items() if name.startswith(theirs + ".")
        }
        for ours, theirs in _GROUPS.items()
    }
    if not any(groups.values()):
        raise CheckpointError(
            "no entry starts with encoder., decoder. or regressor.: not a latent-space anchoring model"
        )
    options = content.get("opts")
    options = options.state if isinstance(options, Record) else options
    mean = content.get("latent_avg")
    if mean is not None and not isinstance(mean, Tensor):
        raise CheckpointError(f"its latent_avg is a {type(mean).__name__}, not a tensor")
    return PublishedParts(
        **groups,
        mean_latent=mean,
        options=dict(options) if isinstance(options, Mapping) else {},
        image_discriminator=_entries(content.get("imageD")),
        latent_discriminator=_entries(content.get("latentD")),
    )


def _entries(value: Any) -> State:
    return dict(value) if isinstance(value, Mapping) else {}


# --- encoder -----------------------------------------------------------------------------------------------
_UNIT_PARTS = {
    "res_layer.0": "norm1",
    "res_layer.1": "conv1",
    "res_layer.2": "activation",
    "res_layer.3": "conv2",
    "res_layer.4": "norm2",
    "res_layer.5.fc1": "gate.reduce",
    "res_layer.5.fc2": "gate.expand",
    "shortcut_layer.0": "shortcut.0",
    "shortcut_layer.1": "shortcut.1",
}
_HEAD_PARTS = {
    "latlayer1": "lateral_middle",
    "latlayer2": "lateral_fine",
    "output_layer_2.0": "norm",
    "output_layer_2.3": "dense",
    "linear": "linear",
}


def _unit_places() -> list[str]:
    """Our module path of each of the body's 24 units."""
    return [f"body.groups.{group}.{i}" for group, (units, _) in enumerate(BODY_GROUPS) for i in range(units)]


def encoder_state(published: Mapping[str, Tensor]) -> State:
    """Published encoder entries (without ``encoder.``) under the names of :class:`PSPEncoder`.

    :raises CheckpointError: an entry is unknown.
    """
    places = _unit_places()
    state: State = {}
    for name, value in published.items():
        stem, _, leaf = name.rpartition(".")
        if match := re.fullmatch(r"input_layer\.(\d)", stem):
            target = f"body.stem.{match[1]}"
        elif (match := re.fullmatch(r"body\.(\d+)\.(.+)", stem)) and int(match[1]) < len(places):
            part = _UNIT_PARTS.get(match[2])
            target = f"{places[int(match[1])]}.{part}" if part else ""
        elif match := re.fullmatch(r"styles\.(\d+)\.convs\.(\d+)", stem):
            # Published heads keep their activations in the same list, so convolutions have even numbers.
            target = f"styles.{match[1]}.convs.{int(match[2]) // 2}"
        elif re.fullmatch(r"styles\.\d+\.linear", stem):
            target = stem
        else:
            target = _HEAD_PARTS.get(stem, "")
        if not target:
            raise CheckpointError(f"encoder entry {name!r} is not one of the published IR-SE-50 encoders'")
        state[f"{target}.{leaf}"] = value
    return state


def encoder_from_published(published: Mapping[str, Tensor], *, num_latents: int | None = None) -> PSPEncoder:
    """A :class:`PSPEncoder` with the published weights, in eval mode; its shape is read off the entries.

    :param num_latents: L, needed for encoders into W only (their one code is repeated L times).
    :raises CheckpointError: unknown or missing entries, wrong shapes.
    """
    state = encoder_state(published)
    try:
        in_channels = state["body.stem.0.weight"].shape[1]
        options: dict[str, Any]
        if "lateral_fine.weight" in state:
            heads = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("styles."))
            convs = sum(bool(re.fullmatch(r"styles\.0\.convs\.\d+\.weight", name)) for name in state)
            size = state["styles.0.linear.weight"].shape[0]
            options = {"num_latents": heads, "latent_dim": size, "input_size": 16 * 2**convs}
        elif "dense.weight" in state:
            hidden, total = state["dense.weight"].shape[0], state["linear.weight"].shape[0]
            options = {"num_latents": total // hidden, "latent_dim": hidden, "head": "dense"}
        else:
            size, width = state["linear.weight"].shape
            options = {"num_latents": num_latents or 1, "latent_dim": size, "space": "w"}
            options["label_dim"] = width - BODY_GROUPS[-1][1]
    except KeyError as error:
        raise CheckpointError(f"published encoder lacks {error.args[0]!r} (our name)") from error
    # On the meta device nothing is initialised: up to 270 million random numbers would only be replaced.
    with torch.device("meta"):
        encoder = PSPEncoder(in_channels, **options)
    return _load(encoder, state, "encoder", assign=True).eval()


# --- regressor ---------------------------------------------------------------------------------------------
def regressor_state(published: Mapping[str, Tensor]) -> State:
    """Published regressor entries (without ``regressor.``) under our names, for any variant.

    :raises CheckpointError: an entry is unknown.
    """
    residual = any(".conv1." in name for name in published)
    numbers = [int(match[1]) for name in published if (match := re.match(r"layers\.(\d+)\.", name))]
    if not numbers:
        raise CheckpointError("a published regressor without an entry that starts with 'layers.'")
    last = max(numbers)
    residual_parts = {
        "conv1.0.weight": "conv1.weight",
        "conv1.1.bias": "conv1.bias",
        "conv2.0.weight": "conv2.weight",
        "conv2.1.bias": "conv2.bias",
        "skip.0.weight": "skip.weight",
    }
    gates = {"CA.conv_du.1": "reduce", "CA.conv_du.3": "expand"}
    state: State = {}
    for name, value in published.items():
        stem, _, leaf = name.rpartition(".")
        match = re.fullmatch(r"layers\.(\d+)\.(.+)", name)
        if stem in gates:
            target = f"{gates[stem]}.{leaf}"
        elif match is None:
            raise CheckpointError(f"regressor entry {name!r} is not one of the published variants'")
        elif int(match[1]) == last:
            target = f"head.{match[2]}"
        elif residual:
            if match[2] not in residual_parts:
                raise CheckpointError(f"regressor entry {name!r} is not one of the published variants'")
            target = f"blocks.{match[1]}.{residual_parts[match[2]]}"
        else:
            block, part = divmod(int(match[1]), 3)
            target = f"blocks.{block}.{'norm' if part == 2 else 'conv'}.{match[2]}"
        state[target] = value
    return state


def regressor_from_published(
    published: Mapping[str, Tensor], *, resolution: int = PUBLISHED_SIZE, output_size: int | None = None
) -> Regressor:
    """A regressor with the published weights, in eval mode; its variant is read off the entries.

    It reads one map, ``features[resolution]``: the concatenation of both 256 px maps that
    :func:`anchor_hub.networks.published_anchor.aggregate` makes.

    :raises CheckpointError: unknown or missing entries, wrong shapes, or widths of no published variant.
    """
    state = regressor_state(published)
    name = _variant(state)
    in_channels = state[_first(state)].shape[1]
    out_channels = state["head.weight"].shape[0]
    regressor = build_regressor(name, {resolution: in_channels}, (resolution,), out_channels, output_size)
    return _load(regressor, state, "regressor").eval()


def regressor_variant(published: Mapping[str, Tensor]) -> str:
    """Which of the published regressors the entries are, e.g. ``deeper``. :raises CheckpointError: none."""
    return _variant(regressor_state(published))


def _first(state: Mapping[str, Tensor]) -> str:
    return "blocks.0.conv1.weight" if "blocks.0.skip.weight" in state else "blocks.0.conv.weight"


def _variant(state: Mapping[str, Tensor]) -> str:
    count = 1 + max((int(name.split(".")[1]) for name in state if name.startswith("blocks.")), default=-1)
    residual = "blocks.0.skip.weight" in state
    part = "conv2" if residual else "conv"
    try:
        widths = tuple(state[f"blocks.{index}.{part}.weight"].shape[0] for index in range(count))
        _ = state[_first(state)], state["head.weight"]
    except KeyError as error:
        raise CheckpointError(f"published regressor lacks {error.args[0]!r} (our name)") from error
    names = [name for name, known in PUBLISHED_WIDTHS.items() if known == widths]
    names = [
        n for n in names if (n == "residual") == residual and (n == "attention") == ("reduce.weight" in state)
    ]
    if not names:
        raise CheckpointError(f"regressor widths {widths} are none of the published variants'")
    return names[0]


# --- generator and the whole model ---------------------------------------------------------------------
def generator_from_published(published: Mapping[str, Tensor]) -> Generator:
    """A frozen StyleGAN2 generator from entries in the rosinality layout (without ``decoder.``).

    :raises CheckpointError: unknown or missing entries, wrong shapes.
    """
    config = rosinality.config_from(published)
    if not isinstance(config, StyleGAN2Config):
        raise CheckpointError("the decoder entries are a StyleGAN2 discriminator's, not a generator's")
    generator: Generator = _load(Generator(config), rosinality.to_ours(published), "generator")
    return generator.eval().requires_grad_(False)


def anchor_from_published(parts: PublishedParts) -> PublishedAnchor:
    """The whole published model, in eval mode, from whatever parts the checkpoint has.

    Where ``decoder2`` exists it is the frozen hub, and ``decoder`` makes the domain's pictures.

    :raises CheckpointError: no generator in the file, or a part that does not fit.
    """
    if not parts.generator:
        raise CheckpointError("no decoder. entries: a published domain needs its generator")
    generator = generator_from_published(parts.generator)
    tuned = None
    if parts.frozen_generator:
        tuned, generator = generator, generator_from_published(parts.frozen_generator)
    encoder = None
    if parts.encoder:
        encoder = encoder_from_published(parts.encoder, num_latents=generator.config.num_latents)
    regressor = regressor_from_published(parts.regressor) if parts.regressor and tuned is None else None
    return PublishedAnchor(
        generator,
        encoder=encoder,
        regressor=regressor,
        mean_latent=parts.mean_latent,
        domain_generator=tuned,
    ).eval()


def _load(module: Any, state: Mapping[str, Tensor], what: str, *, assign: bool = False) -> Any:
    try:
        module.load_state_dict(state, assign=assign)
    except RuntimeError as error:
        raise CheckpointError(
            f"published {what} does not fit: {str(error).splitlines()[-1].strip()}"
        ) from error
    floating = next(value for value in state.values() if value.is_floating_point())
    return module.to(floating.dtype)
