"""Dynamic skip connections: which of the encoder's details the generator takes over (section 4.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from anchor_gpunit.networks.blocks import Conv, leaky


class Skip(NamedTuple):
    """What a skip connection brings into a stage, whatever the style: it depends on the content alone.

    feature: the encoder's map as the generator takes it, ``[B, C, H, W]``. mask: its share, from 0 to 1, likewise.
    """

    feature: Tensor
    mask: Tensor

    def into(self, generated: Tensor) -> Tensor:
        """``f = (1 - m) f_G + m f_E``."""
        return torch.lerp(generated, self.feature, self.mask)


class DynamicSkip(nn.Module):
    """The module of one stage: ``h^, r, m, h, f_E`` of section 4.1.

    The paper writes sigma for all activations. They are, as in its code: leaky ReLU for h^, sigmoid for r, tanh of a
    ReLU for m, so that masks can be exactly zero, and none for f_E.

    With an *intensity* i in [0, 1] the mask is ``i tanh(relu(logits_i))``, so its mean is at most i: 0 leaves the
    coarse content alone, 1 is the unconstrained skip. ``conditioned`` lets the logits depend on i: ``logits_i =
    logits (1 + (1 - i) gain) + (1 - i) shift`` with a learned gain and shift for each channel. This form is ours: the
    article that introduces the parameter (TPAMI 2023) was not at hand, and its code is not public.

    Args:
        encoder_channels: of the encoder's map. channels: of the generator's map.
        state_channels: of the state of the stage below.
    """

    def __init__(self, encoder_channels: int, channels: int, state_channels: int, *, conditioned: bool = False) -> None:
        super().__init__()
        both = 2 * encoder_channels
        self.lift = Conv(state_channels, encoder_channels, reflect=True, double=True)
        self.reset = Conv(both, encoder_channels, reflect=True)
        self.mask = Conv(both, channels, reflect=True)
        self.update = Conv(both, channels, reflect=True)
        self.gain = nn.Parameter(torch.zeros(channels, 1, 1)) if conditioned else None
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1)) if conditioned else None

    def forward(self, encoded: Tensor, state: Tensor, intensity: Tensor | None = None) -> tuple[Skip, Tensor]:
        """The skip, and the new state ``[B, encoder_channels, H, W]``.

        :param encoded: the encoder's map ``[B, encoder_channels, H, W]``.
        :param state: of the stage below, ``[B, state_channels, H/2, W/2]``; the coarse content for the first skip.
        :param intensity: ``[B or 1]`` in [0, 1]; None is 1.
        """
        lifted = leaky(self.lift(state))
        together = torch.cat([lifted, encoded], 1)
        logits = self.mask(together)
        state = torch.sigmoid(self.reset(together)) * lifted
        feature = self.update(torch.cat([state, encoded], 1))
        if intensity is None:
            return Skip(feature, torch.tanh(torch.relu(logits))), state
        allowed = intensity.to(logits).view(-1, 1, 1, 1)
        if self.gain is not None and self.shift is not None:
            missing = 1 - allowed
            logits = logits * (1 + missing * self.gain) + missing * self.shift
        return Skip(feature, allowed * torch.tanh(torch.relu(logits))), state
