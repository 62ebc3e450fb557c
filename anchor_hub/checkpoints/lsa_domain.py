"""The encoder, regressor and fine-tuned generator of a latent-space anchoring release, as a domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anchor_hub.checkpoints import latent_space_anchoring as published
from anchor_hub.checkpoints.base import ImportedDomain
from anchor_hub.checkpoints.raw import RawCheckpoint
from anchor_hub.checkpoints.stylegan2_pt import generator_from
from anchor_hub.domains.published import PublishedDomain
from anchor_hub.errors import AnchorError, CheckpointError, HubMismatchError, UsageError
from anchor_hub.modality import build_modality, known_options
from anchor_hub.networks.published_anchor import PUBLISHED_SIZE
from anchor_hub.networks.stylegan2 import Generator

if TYPE_CHECKING:
    from anchor_hub.hubs.base import Hub
    from anchor_hub.networks.psp import PSPEncoder
    from anchor_hub.networks.regressors import Regressor

NAME = "latent-space-anchoring-domain"
LAYOUT = f"a release of latent-space anchoring, {published.LAYOUT}"
KIND = "domain"
#: `opts.encoder_type` of encoders whose every code is an offset from the mean latent.
ENCODER_TYPES = (
    "GradualStyleEncoder", "BackboneEncoderUsingLastLayerIntoW", "BackboneEncoderUsingLastLayerIntoWPlus"
)
#: Channels of a released domain to its modality, where the user does not say.
MODALITIES: dict[int, dict[str, Any]] = {
    1: {"name": "gray"},
    3: {"name": "rgb"},
    19: {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"},
}


def matches(raw: RawCheckpoint) -> bool:
    """Whether it is a release of latent-space anchoring."""
    return published.is_published(raw.content)


def read(raw: RawCheckpoint, name: str, hub: Hub, modality: Mapping[str, Any] | None) -> ImportedDomain:
    """The domain. If the file has its frozen generator, the generator is compared with the hub weight by weight.

    :param modality: default: by channels (1 gray, 3 rgb, else segmentation).
    :raises CheckpointError: its parts do not fit each other. :raises HubMismatchError: it is of another hub.
    :raises UsageError: a modality of other channels.
    """
    parts = published.split_published(raw.content)
    _check_family(parts, modality)
    notes = _check_hub(parts, hub)
    encoder, regressor, tuned = _networks(parts, hub)
    table = _modality(encoder, regressor, tuned, modality)
    kind = build_modality(table)
    for network, channels, what in (
        (encoder, getattr(encoder, "in_channels", 0), kind.input_channels),
        (regressor, getattr(regressor, "out_channels", 0), kind.output_channels),
    ):
        if network is not None and channels != what:
            raise UsageError(f"{raw.path}: has {channels} channels, modality {kind.name} has {what}; see --modality")
    variant = published.regressor_variant(parts.regressor) if regressor is not None else "deeper"
    how = _aggregation(regressor, hub, raw.path) if regressor is not None else "single"
    domain = PublishedDomain(
        name,
        kind,
        hub,
        encoder=encoder,
        mean_latent=None if encoder is None else _mean(parts.mean_latent, hub, raw.path),
        regressor=regressor,
        domain_generator=tuned,
        aggregation=how,
        regressor_name=variant,
    )
    return ImportedDomain("latent-space-anchoring", domain, _summary(domain), notes)


def _check_family(parts: published.PublishedParts, modality: Mapping[str, Any] | None) -> None:
    """Refuse descendants of pSp, whose encoders have its entries and mean something else by them."""
    options = parts.options
    kind = options.get("encoder_type")
    if kind is not None and kind not in ENCODER_TYPES:
        raise CheckpointError(
            f"its encoder is of the type {ascii(kind)[:40]} (opts.encoder_type), whose codes mean something else; "
            f"supported: {', '.join(ENCODER_TYPES)}"
        )
    stem = parts.encoder.get("input_layer.0.weight")
    inputs = stem.shape[1] if isinstance(stem, Tensor) and stem.ndim == 4 else 0
    iterative = "n_iters_per_batch" in options or options.get("input_nc") == 6
    if iterative or (inputs == 6 and modality is None):
        raise CheckpointError(
            "its encoder takes 6 channels, a picture and the last guess: iterative encoders (ReStyle) are not "
            "supported. For label maps of 6 classes, pass --modality segmentation"
        )


def _check_hub(parts: published.PublishedParts, hub: Hub) -> list[str]:
    """Compare the file's frozen generator with the hub's, weight by weight; notes about what cannot be compared."""
    state = parts.frozen_generator or parts.generator
    if not isinstance(hub.generator, Generator):
        raise HubMismatchError(f"hub {hub.name!r} is no StyleGAN2 hub; released domains are of StyleGAN2 hubs")
    if not state:
        return ["The file lacks its generator, so it was not checked that it belongs to this hub."]
    theirs, ours = generator_from(state), hub.generator
    other = None
    if theirs.config.channels_of != ours.config.channels_of or theirs.config.latent_dim != ours.config.latent_dim:
        other = f"{theirs.config.size} px, {theirs.config.latent_dim} numbers per latent"
    else:
        mine, differing, noise = ours.state_dict(), [], False
        for name, value in theirs.state_dict().items():
            if name not in mine or mine[name].shape != value.shape or not _same(mine[name], value):
                noise = noise or name.endswith(".noise")
                differing += [] if name.endswith(".noise") else [name]
        if not differing:
            return ["Its generator's noise images differ from the hub's: the hub's are used."] if noise else []
        other = f"{len(differing)} of its weights differ, {differing[0]} for one"
    raise HubMismatchError(
        f"the file's frozen generator is not hub {hub.name!r} ({other}); domains work on their own hub only: import "
        "its generator first (anchor hubs import FILE --name HUB), and name that hub"
    )


def _same(ours: Tensor, theirs: Tensor) -> bool:
    return bool(torch.allclose(ours.cpu().float(), theirs.float(), rtol=1e-5, atol=1e-6))


def _networks(
    parts: published.PublishedParts, hub: Hub
) -> tuple[PSPEncoder | None, Regressor | None, Generator | None]:
    """Encoder, regressor and fine-tuned generator, where the file has them. :raises CheckpointError: no fit."""
    encoder, regressor, tuned = None, None, None
    try:
        if parts.encoder:
            encoder = published.encoder_from_published(parts.encoder, num_latents=hub.num_latents)
        if parts.frozen_generator and parts.generator:
            tuned = generator_from(parts.generator, "fine-tuned generator")
        elif parts.regressor:
            regressor = published.regressor_from_published(parts.regressor)
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, AnchorError):
            raise error if isinstance(error, CheckpointError) else CheckpointError(str(error)) from error
        raise CheckpointError(f"its entries have impossible shapes ({str(error)[:100]})") from error
    for network in (encoder, regressor):
        for name, value in {} if network is None else network.state_dict().items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise CheckpointError(f"it has NaN or infinity in {name}: the weights are damaged")
    if encoder is not None and (encoder.num_latents, encoder.latent_dim) != (hub.num_latents, hub.latent_dim):
        raise CheckpointError(
            f"its encoder makes {encoder.num_latents} x {encoder.latent_dim} latents, hub {hub.name!r} has "
            f"{hub.num_latents} x {hub.latent_dim}"
        )
    if encoder is not None and encoder.label_dim:
        raise CheckpointError("its encoder takes class labels, which domains of StyleGAN2 hubs do not have")
    if tuned is not None and (tuned.config.size, tuned.config.latent_dim) != (hub.size, hub.latent_dim):
        raise CheckpointError(
            f"its fine-tuned generator makes {tuned.config.size} px of {tuned.config.latent_dim} numbers per latent, "
            f"hub {hub.name!r} {hub.size} px of {hub.latent_dim}"
        )
    if encoder is None and regressor is None and tuned is None:
        raise CheckpointError("it has neither encoder nor regressor: import its generator with `anchor hubs import`")
    return encoder, regressor, tuned


def _aggregation(regressor: Regressor, hub: Hub, path: Path) -> str:
    """Which feature maps the regressor reads, by its number of channels. :raises CheckpointError: none fits."""
    channels = hub.feature_channels
    per_layer = [channels[4]] + [channels[size] for size in sorted(channels) for _ in range(1 if size == 4 else 2)]
    readings = {"single": 2 * channels.get(PUBLISHED_SIZE, 0), "concat": sum(per_layer[:14])}
    for how, count in readings.items():
        if PUBLISHED_SIZE in channels and regressor.in_channels == count:
            return how
    raise CheckpointError(
        f"{path}: its regressor reads {regressor.in_channels} channels; of hub {hub.name!r} ({hub.size} px) it would "
        f"read {readings['single']} (both maps of 256 px) or {readings['concat']} (all)"
    )


def _mean(mean: Tensor | None, hub: Hub, path: Path) -> Tensor | None:
    """``latent_avg`` as ``[L, D]`` or ``[1, D]``. :raises CheckpointError: another shape, or not finite."""
    if mean is None:
        return None
    rows = mean.detach().float().reshape(-1, mean.shape[-1]) if mean.ndim in (1, 2) else mean.float()
    if tuple(rows.shape) not in {(1, hub.latent_dim), (hub.num_latents, hub.latent_dim)}:
        raise CheckpointError(f"{path}: its latent_avg has shape {list(mean.shape)}: it does not fit hub {hub.name!r}")
    if not bool(torch.isfinite(rows).all()):
        raise CheckpointError(f"{path}: its latent_avg has NaN or infinity: the file is damaged")
    return rows.clone()


def _modality(
    encoder: PSPEncoder | None, regressor: Regressor | None, tuned: Generator | None, given: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The modality as given, its number of classes filled in; by channels where none is given."""
    channels = encoder.in_channels if encoder is not None else 3 if tuned is not None else 0
    if not channels and regressor is not None:
        channels = regressor.out_channels
    if given is None:
        return dict(MODALITIES.get(channels, {"name": "segmentation", "classes": channels}))
    table = dict(given)
    if "classes" in known_options(str(table.get("name"))):
        table.setdefault("classes", channels)
    return table


def _summary(domain: PublishedDomain) -> str:
    ways = [word for word, has in (("encodes", domain.can_encode), ("decodes", domain.can_decode)) if has]
    how = "a fine-tuned generator" if domain.domain_generator is not None else f"the regressor {domain.regressor_name}"
    decoder = f", {how}" if domain.can_decode else ""
    return f"{domain.modality.name}, {' and '.join(ways)}{decoder}"
