"""StyleGAN2-ADA networks as NVIDIA publishes them: a pickle of whole objects, read as records.

Karras et al., "Training Generative Adversarial Networks with Limited Data" (2020, arXiv:2006.06676). The pickle
is a dict with ``G``, ``D``, ``G_ema``, ``training_set_kwargs`` and ``augment_pipe``; each object holds its class's
source text, which is never looked at, its constructor's arguments and its tensors. State dicts of these
networks (names ``synthesis.b4.const``, ``b4.out.weight`` ...) are read, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anchor_hub.checkpoints.families import ImportedHub
from anchor_hub.checkpoints.filling import filled
from anchor_hub.checkpoints.raw import RawCheckpoint, Record, peeled, state_dict
from anchor_hub.checkpoints.readers import discriminator_of
from anchor_hub.checkpoints.stylegan2_rosinality import check_constant
from anchor_hub.errors import CheckpointError
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from anchor_hub.networks.stylegan2_discriminator import Discriminator, DiscriminatorConfig

NAME = "stylegan2-ada"
LAYOUT = "a .pkl of NVIDIA's with G_ema (and D), or a state dict with synthesis.b4.const"
KIND = "hub"
State = dict[str, Tensor]


def matches(raw: RawCheckpoint) -> bool:
    """Whether it is a pickle with a ``G_ema`` or ``G`` record, or a state dict in these names."""
    return any(_network(raw.content, *keys)[0] is not None for keys in (("G_ema", "G"), ("D",)))


def read(raw: RawCheckpoint, discriminator: RawCheckpoint | None = None) -> ImportedHub:
    """The averaged generator ``G_ema`` (``G`` where there is none) and ``D``.

    :raises CheckpointError: no generator, an architecture other than StyleGAN2-ADA's default one, missing entries.
    """
    record, key = _network(raw.content, "G_ema", "G")
    if record is None:
        raise CheckpointError(
            "it holds a discriminator only; import the file with G_ema, and give this as --discriminator"
        )
    generator, mean_latent = generator_from_ada(record)
    notes = [] if key in ("G_ema", "") else ["The file has no averaged generator G_ema; G was taken."]
    if isinstance(record, Record) and record.source:
        notes.append("The Python source text that the file carries was not run.")
    source = raw if discriminator is None else discriminator
    critic, _ = _network(source.content, "D")
    if critic is None and discriminator is not None:
        raise CheckpointError(f"{discriminator.path}: holds no StyleGAN2-ADA discriminator D")
    kept = discriminator_of(discriminator_from_ada, critic, discriminator, notes)
    names = tuple(str(i) for i in range(generator.config.classes))
    return ImportedHub(NAME, generator, kept, mean_latent, notes, names)


def _network(content: Any, *keys: str) -> tuple[Record | State | None, str]:
    """The first of the networks that exists, and its key ("" for a bare state dict)."""
    sign = "b4.out.weight" if "D" in keys else "synthesis.b4.const"
    for key in (*keys, ""):
        for found in peeled(content, key):
            if isinstance(found, Record) and (key and isinstance(content, dict) and found is content.get(key)):
                return found, key
            state = state_dict(found)
            if state is not None and sign in state:
                return state, key if isinstance(content, dict) and key in content else ""
    return None, ""


def module_state(record: Record) -> State:
    """The state dict of a pickled module: its parameters and buffers, and by dotted names those of its children.

    :raises CheckpointError: not a module.
    """
    state: State = {}
    pending: list[tuple[str, Any]] = [("", record)]
    while pending:
        prefix, module = pending.pop()
        tables = module.state if isinstance(module, Record) else {}
        for table in ("_parameters", "_buffers"):
            if not isinstance(tables.get(table), dict):
                raise CheckpointError(f"its network object {prefix.rstrip('.') or 'itself'} is no torch module")
            for name, value in tables[table].items():
                if isinstance(value, Tensor):
                    state[f"{prefix}{name}"] = value
        children = tables.get("_modules")
        items = list(children.items()) if isinstance(children, dict) else []
        pending.extend((f"{prefix}{name}.", child) for name, child in reversed(items) if child is not None)
    return state


def _arguments(network: Record | State) -> tuple[State, dict[str, Any]]:
    """State dict and constructor arguments, nested tables laid flat; none for a bare state dict."""
    if not isinstance(network, Record):
        return dict(network), {}
    given = network.state.get("_init_kwargs")
    flat: dict[str, Any] = {}
    for name, value in (given if isinstance(given, dict) else {}).items():
        if isinstance(value, dict) and name.endswith("_kwargs"):
            prefix = "mapping." if name == "mapping_kwargs" else ""
            flat.update({f"{prefix}{key}": item for key, item in value.items()})
        else:
            flat[name] = value
    return module_state(network), {**flat, **_built(network)}


def _built(network: Record) -> dict[str, Any]:
    """Arguments as the layers keep them: a file leaves out those that are the defaults of the code that wrote it, and
    code bases differ in defaults. :raises CheckpointError: layers differ from each other."""
    found: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [("", network)]
    while pending:
        name, module = pending.pop()
        if not isinstance(module, Record):
            continue
        for key, value in _kept(name, module).items():
            if isinstance(value, Tensor):
                raise CheckpointError(f"its {key} is a tensor, not a number or a name")
            if found.setdefault(key, value) != value:
                both = f"{str(found[key])[:30]} and {str(value)[:30]}"
                raise CheckpointError(f"its layers differ in {key} ({both}), which is not supported")
        children = module.state.get("_modules")
        if isinstance(children, dict):
            pending.extend((f"{name}.{key}", child) for key, child in children.items())
    return found


def _kept(name: str, layer: Record) -> dict[str, Any]:
    """The arguments that a layer of that dotted name keeps, by the names that constructors have for them."""
    state = layer.state
    if name.endswith(".mbstd"):
        return {"mbstd_group_size": state["group_size"]} if "group_size" in state else {}
    if ".mapping." in name:
        tables = state.get("_parameters")
        weight, gain = (tables.get("weight") if isinstance(tables, dict) else None), state.get("weight_gain")
        if isinstance(gain, float) and isinstance(weight, Tensor) and weight.ndim == 2 and name.endswith(".fc0"):
            return {"mapping.lr_multiplier": round(gain * weight.shape[1] ** 0.5, 9)}
        return {}
    if re.search(r"b\d+\.(conv\d?|torgb|fromrgb|skip)$", name):
        return {key: state[key] for key in ("use_noise", "conv_clamp") if key in state and not name.endswith("skip")}
    return {"architecture": state["architecture"]} if "architecture" in state and re.search(r"b\d+$", name) else {}


def _only(arguments: Mapping[str, Any], **supported: Any) -> None:
    """Refuse constructor arguments that this library does not implement."""
    for name, value in supported.items():
        found = arguments.get(name.replace("__", "."), value)
        if found is not None and (list(found) if isinstance(found, tuple) else found) != value:
            raise CheckpointError(
                f"its {name.replace('__', '.')} is {str(found)[:60]!r}; of StyleGAN2-ADA, only {value!r} is supported"
            )


def _number(arguments: Mapping[str, Any], name: str, default: float | None) -> float | None:
    found = arguments.get(name, default)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise CheckpointError(f"its {name} is {str(found)[:60]!r}, not a number")
    return float(found)


def _mapping(state: State, prefix: str, arguments: Mapping[str, Any]) -> tuple[int, int]:
    """Number of mapping layers and of classes."""
    layers = sum(bool(re.fullmatch(re.escape(prefix) + r"fc\d+\.weight", name)) for name in state)
    embed = state.get(f"{prefix}embed.weight")
    _only(arguments, mapping__activation="lrelu")
    return layers, 0 if embed is None or embed.ndim != 2 else embed.shape[1]


def _code_sizes(state: State, layers: int, classes: int) -> tuple[int, int]:
    """Sizes of z and of w, which users may choose independently (64 and 512, say).

    :raises CheckpointError: no z, or a mapping network that is wider or narrower inside than w.
    """
    latent_dim = state["synthesis.b4.conv1.affine.weight"].shape[1]
    widths = {state[f"mapping.fc{i}.weight"].shape[0] for i in range(layers)}
    if classes:
        if "mapping.embed.bias" not in state:
            raise CheckpointError("its StyleGAN2-ADA generator lacks 'mapping.embed.bias'")
        widths.add(state["mapping.embed.weight"].shape[0])
    if widths - {latent_dim}:
        raise CheckpointError(
            f"its mapping network is {sorted(widths - {latent_dim})} wide inside (layer_features, embed_features) and "
            f"its w has {latent_dim} values; only mapping networks as wide as w are supported"
        )
    z_dim = state["mapping.fc0.weight"].shape[1] - (latent_dim if classes else 0)
    if z_dim < 1:
        raise CheckpointError(f"its z has {z_dim} values: generators that draw nothing at random are not supported")
    return z_dim, latent_dim


def generator_from_ada(network: Record | State) -> tuple[Generator, Tensor | None]:
    """A :class:`Generator` with the weights of a published ``G_ema`` (record or state dict), and ``w_avg`` ``[D]``.

    :raises CheckpointError: entries missing or unknown, shapes or options this library does not implement.
    """
    state, arguments = _arguments(network)
    _only(arguments, architecture="skip", resample_filter=[1, 3, 3, 1], activation="lrelu", use_noise=True)
    check_constant(state.get("synthesis.b4.const"))
    layers, classes = _mapping(state, "mapping.", arguments)
    sizes = sorted(int(m[1]) for name in state if (m := re.fullmatch(r"synthesis\.b(\d+)\.torgb\.bias", name)))
    try:
        z_dim, latent_dim = _code_sizes(state, layers, classes)
        config = StyleGAN2Config(
            size=sizes[-1] if sizes else 0,
            latent_dim=latent_dim,
            z_dim=z_dim,
            mapping_layers=layers,
            channels={size: state[f"synthesis.b{size}.conv1.weight"].shape[0] for size in sizes},
            image_channels=state["synthesis.b4.torgb.bias"].shape[0],
            mapping_lr_multiplier=_number(arguments, "mapping.lr_multiplier", 0.01) or 0.01,
            classes=classes,
            clamp=_number(arguments, "conv_clamp", None),
        )
    except CheckpointError:
        raise
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"its StyleGAN2-ADA generator is incomplete or of another kind: {error}") from error
    mean_latent = state.pop("mapping.w_avg", None)
    ours = {}
    for name, theirs in _generator_names(config).items():
        if theirs not in state:
            raise CheckpointError(f"its StyleGAN2-ADA generator lacks {theirs!r}")
        ours[name] = _our_shape(theirs, state.pop(theirs))
    _check_rest(state, "generator")
    if mean_latent is not None and tuple(mean_latent.shape) != (config.latent_dim,):
        raise CheckpointError(f"its w_avg has shape {list(mean_latent.shape)}, not [{config.latent_dim}]")
    return filled(Generator, config, ours, "StyleGAN2-ADA generator"), mean_latent


def discriminator_from_ada(network: Record | State) -> Discriminator:
    """A :class:`Discriminator` with the weights of a published ``D`` (record or state dict).

    :raises CheckpointError: entries missing or unknown, shapes or options this library does not implement.
    """
    state, arguments = _arguments(network)
    _only(arguments, architecture="resnet", resample_filter=[1, 3, 3, 1], activation="lrelu")
    layers, classes = _mapping(state, "mapping.", arguments)
    sizes = sorted(int(m[1]) for name in state if (m := re.fullmatch(r"b(\d+)\.skip\.weight", name)))
    try:
        channels = {size: state[f"b{size}.conv0.weight"].shape[0] for size in sizes}
        channels[4] = state["b4.fc.bias"].shape[0]
        size = sizes[-1]
        group = _number(arguments, "mbstd_group_size", 4)
        config = DiscriminatorConfig(
            size=size,
            channels=channels,
            image_channels=state[f"b{size}.fromrgb.weight"].shape[1],
            # None stands for the whole batch.
            stddev_group=int(group) if group else 1 << 20,
            stddev_features=state["b4.conv.weight"].shape[1] - channels[4],
            classes=classes,
            mapping_layers=layers if classes else 8,
            clamp=_number(arguments, "conv_clamp", None),
        )
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(f"its StyleGAN2-ADA discriminator is incomplete or of another kind: {error}") from error
    _only(arguments, mapping__lr_multiplier=0.01)
    ours = {}
    for name, theirs in _discriminator_names(config).items():
        if theirs not in state:
            raise CheckpointError(f"its StyleGAN2-ADA discriminator lacks {theirs!r}")
        ours[name] = state.pop(theirs)
    _check_rest(state, "discriminator")
    return filled(Discriminator, config, ours, "StyleGAN2-ADA discriminator")


def _check_rest(state: State, what: str) -> None:
    """Check that the remaining entries are FIR filters, and the ones that this library implements."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps) / 64
    for name, value in state.items():
        if not name.endswith("resample_filter"):
            raise CheckpointError(f"its StyleGAN2-ADA {what} has the unknown entry {ascii(name)[:80]}")
        if tuple(value.shape) != (4, 4) or not torch.allclose(value.float(), kernel, atol=1e-6):
            raise CheckpointError(f"its {ascii(name)[:80]} is not the FIR kernel [1, 3, 3, 1] this library implements")


def _linear(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in ("weight", "bias")}


def _generator_names(config: StyleGAN2Config) -> dict[str, str]:
    """Our name to NVIDIA's for every entry."""
    names = {"synthesis.constant": "synthesis.b4.const"}
    if config.classes:
        names |= _linear("mapping.embed", "mapping.embed")
    for i in range(config.mapping_layers):
        names |= _linear(f"mapping.layers.{i}", f"mapping.fc{i}")
    for size in config.resolutions:
        theirs, ours = f"synthesis.b{size}", f"synthesis.blocks.{size}"
        pairs = [("conv", "conv1")] if size == 4 else [("up", "conv0"), ("conv", "conv1")]
        for our_conv, their_conv in pairs:
            names |= _linear(f"{ours}.{our_conv}", f"{theirs}.{their_conv}")
            names |= _linear(f"{ours}.{our_conv}.affine", f"{theirs}.{their_conv}.affine")
            names[f"{ours}.{our_conv}.noise_strength"] = f"{theirs}.{their_conv}.noise_strength"
            names[f"{ours}.{our_conv}.noise"] = f"{theirs}.{their_conv}.noise_const"
        names |= _linear(f"{ours}.to_rgb", f"{theirs}.torgb")
        names |= _linear(f"{ours}.to_rgb.affine", f"{theirs}.torgb.affine")
    return names


def _discriminator_names(config: DiscriminatorConfig) -> dict[str, str]:
    """Our name to NVIDIA's for every entry."""
    names = _linear("from_rgb", f"b{config.size}.fromrgb")
    for size in config.resolutions[1:]:
        names |= _linear(f"blocks.{size}.conv1", f"b{size}.conv0")
        names |= _linear(f"blocks.{size}.conv2", f"b{size}.conv1")
        names[f"blocks.{size}.skip.weight"] = f"b{size}.skip.weight"
    for ours, theirs in (("final_conv", "conv"), ("final_dense", "fc"), ("final_logit", "out")):
        names |= _linear(ours, f"b4.{theirs}")
    if config.classes:
        names |= _linear("label_mapping.embed", "mapping.embed")
        for i in range(config.mapping_layers):
            names |= _linear(f"label_mapping.layers.{i}", f"mapping.fc{i}")
    return names


def _our_shape(name: str, value: Tensor) -> Tensor:
    if name.endswith("b4.const"):
        return value[None]
    if name.endswith("noise_const"):
        return value[None, None]
    if name.endswith("noise_strength"):
        return value.reshape(1)
    return value.flatten(1) if name.endswith("torgb.weight") else value
