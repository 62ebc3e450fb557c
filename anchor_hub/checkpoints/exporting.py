"""Writes hubs as the checkpoint files that other programs of the field read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.checkpoints.stylegan2_rosinality import config_from, to_theirs
from anchor_hub.errors import CheckpointError, MissingPartError, UsageError, did_you_mean
from anchor_hub.hubs.loading import load_hub
from anchor_hub.networks.stylegan2 import StyleGAN2Config
from anchor_hub.networks.stylegan2_discriminator import Discriminator
from anchor_hub.system.inputs import shown
from anchor_hub.system.outputs import check_file, write_output

#: Layout -> what such a file holds.
LAYOUTS = {
    "rosinality": "a dict of g_ema, latent_avg and, if the hub keeps one, d",
    "state-dict": "the generator's state dict alone, in rosinality's names",
}


def export_checkpoint(
    name: str | Path, output: str | Path, *, layout: str = "rosinality", overwrite: bool = False
) -> list[str]:
    """Write a StyleGAN2 hub as a checkpoint (``.pt``) and return the names of the parts that it holds.

    ``anchor hubs import`` makes of the file a hub of the same fingerprint: domains of the one fit the other.

    :param layout: one of :data:`LAYOUTS`. :param overwrite: replace the file ``output``.
    :raises UsageError: another architecture or layout, classes, or a file that is there already.
    """
    path = Path(output)
    if layout not in LAYOUTS:
        raise UsageError(f"--layout: there is no {layout!r}, only {', '.join(LAYOUTS)}.{did_you_mean(layout, LAYOUTS)}")
    check_file(path, "-o")
    if path.exists() and not overwrite:
        raise UsageError(f"-o {shown(path)}: exists already; choose another name or pass --overwrite")
    hub = load_hub(name, "cpu")
    config = hub.config
    generator = to_theirs(hub.generator.state_dict(), config) if isinstance(config, StyleGAN2Config) else {}
    if not _fits(generator, config):
        raise UsageError(
            f"hub {hub.name!r} is a {hub.architecture()['name']} that rosinality's layout cannot hold; "
            f"anchor hubs export {hub.name} writes it as a bundle"
        )
    content: dict[str, object] = {**generator}
    if layout == "rosinality":
        content = {"g_ema": generator, "latent_avg": hub.mean_latent}
        with suppress(MissingPartError):
            critic = hub.discriminator()
            if isinstance(critic, Discriminator):
                content["d"] = to_theirs(critic.state_dict(), critic.config)
    data = io.BytesIO()
    torch.save(content, data)
    write_output(path, data.getvalue(), "-o")
    return list(content) if layout == "rosinality" else ["the generator"]


def _fits(generator: Mapping[str, Tensor], config: Any) -> bool:
    """Whether a reader makes that configuration of the entries: classes, a narrower z and clamping have no place."""
    try:
        return bool(generator) and config_from(generator) == config
    except CheckpointError:
        return False
