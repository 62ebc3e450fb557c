"""Inverters that begin from the codes of a domain's encoder, or are content with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anchor_hub.errors import UsageError
from anchor_hub.inversion.base import Inversion, Inverter, Progress, check_finite, check_images
from anchor_hub.inversion.search import WPlusSearch, pyramid_error


def _encoded(start: Tensor | None, method: str) -> Tensor:
    if start is None:
        raise UsageError(
            f"the method {method!r} begins from a domain's encoder: give --domain NAME of one that has an encoder, "
            "or take --method w-plus"
        )
    return start


class EncoderCodes(Inverter):
    """The encoder's codes as they are."""

    needs_start = True

    def __call__(self, images: Tensor, *, start: Tensor | None = None) -> Tensor:
        check_images(self.hub, images)
        return self.hub.expand(_encoded(start, "encoder").to(self.hub.mean_latent)).clone()

    @torch.no_grad()
    def run(
        self, images: Tensor, *, start: Tensor | None = None, names: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Inversion:  # fmt: skip
        latents = self(images, start=start)
        errors = pyramid_error(self.hub.image(latents), images.to(latents))
        check_finite(errors, names)
        if progress is not None:
            progress(1, 1)
        return Inversion(latents, errors, record={"perceptual": "none"})


class EncoderWPlus(WPlusSearch):
    """The encoder's codes, refined by the search ``w-plus``."""

    needs_start = True

    def run(
        self, images: Tensor, *, start: Tensor | None = None, names: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> Inversion:  # fmt: skip
        return super().run(images, start=_encoded(start, "encoder-w-plus"), names=names, progress=progress)
