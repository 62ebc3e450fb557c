"""The frozen generator inside a latent-space anchoring release, as a hub."""

from __future__ import annotations

from anchor_hub.checkpoints.families import ImportedHub
from anchor_hub.checkpoints.latent_space_anchoring import is_published, split_published
from anchor_hub.checkpoints.raw import RawCheckpoint
from anchor_hub.checkpoints.stylegan2_pt import generator_from
from anchor_hub.errors import CheckpointError

NAME = "latent-space-anchoring"
LAYOUT = "a release of latent-space anchoring (translator or state_dict with decoder., encoder., regressor.)"
KIND = "hub"


def matches(raw: RawCheckpoint) -> bool:
    """Whether it is a release of latent-space anchoring with a generator."""
    return is_published(raw.content)


def read(raw: RawCheckpoint, discriminator: RawCheckpoint | None = None) -> ImportedHub:
    """The frozen generator: ``decoder2`` where the release has a fine-tuned one, else ``decoder``.

    Its mean latent is computed: the release's ``latent_avg`` belongs to its encoder.

    :raises CheckpointError: no generator in it, or entries that do not fit; or a discriminator is given.
    """
    if discriminator is not None:
        raise CheckpointError("a release of latent-space anchoring takes no --discriminator")
    parts = split_published(raw.content)
    state = parts.frozen_generator or parts.generator
    if not state:
        raise CheckpointError("it has no generator (no decoder. entries): import it with `anchor domains import`")
    notes = ["The frozen generator of a release; its encoder and regressor come with `anchor domains import`."]
    return ImportedHub("stylegan2", generator_from(state), None, None, notes)
