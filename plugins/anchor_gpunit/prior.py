"""The prior: a content encoder on disk, which translators of many pairs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anchor_gpunit.networks.blocks import fold
from anchor_gpunit.networks.configs import ContentConfig
from anchor_gpunit.networks.content import ContentEncoder
from anchor_hub import Bundle, resolve_device
from anchor_hub.errors import BundleError
from anchor_hub.networks.blank import lay_out, stored

ARCHITECTURE = "gp-unit-content"
#: The bundle's part; a translator that brings a content encoder of its own has a part of this name, too.
PART = "content"


class ContentPrior:
    """A frozen content encoder: pictures to maps, the coarse content first.

    :param encoder: without spectral norms.
    """

    def __init__(self, name: str, encoder: ContentEncoder) -> None:
        self.name, self.encoder = name, fold(lay_out(encoder.requires_grad_(False)))

    @property
    def config(self) -> ContentConfig:
        """The encoder's size."""
        return self.encoder.config

    @classmethod
    def load(cls, bundle: Bundle, device: torch.device | str = "cpu") -> ContentPrior:
        """The prior of a bundle. :raises BundleError: a damaged bundle."""
        table = bundle.manifest.architecture.get("config")
        return cls(bundle.manifest.name, read_encoder(bundle, table, device))

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps of pictures ``[B, 3, H, W]`` in [-1, 1], see :class:`ContentEncoder`."""
        maps: tuple[Tensor, ...] = self.encoder(images)
        return maps


def prior_architecture(config: ContentConfig) -> dict[str, Any]:
    """What the manifest of a prior says of its encoder."""
    return {"name": ARCHITECTURE, "config": config.to_dict()}


def read_encoder(bundle: Bundle, table: Any, device: torch.device | str) -> ContentEncoder:
    """The content encoder in a bundle, of the size in ``table``. :raises BundleError: a damaged bundle."""
    config = read_config(bundle, ContentConfig, table)
    encoder = stored(lambda: ContentEncoder(config), lambda state: bundle.tensors(PART, state))
    return encoder.to(resolve_device(device))


def read_config(bundle: Bundle, kind: Any, table: Any) -> Any:
    """A configuration of a manifest. :raises BundleError: one that no network can be built from."""
    if not isinstance(table, Mapping):
        raise BundleError(f"{bundle.path}: its architecture has no config; install the bundle again")
    try:
        return kind.from_dict(table)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{bundle.path}: its networks cannot be built ({str(error)[:120]})") from None
