"""The style sampler: noise to style codes (section 4.1, style sampling)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

NOISE_DIM, HIDDEN = 128, 128


class StyleSampler(nn.Module):
    """A network of two hidden layers with batch norm, trained by nearest neighbours (:mod:`anchor_gpunit.imle`).

    In eval mode the batch norm uses its running statistics, so that a code depends on its own noise alone. The paper's
    code samples with the statistics of the batch of noises.
    """

    def __init__(self, style_dim: int = 256, noise_dim: int = NOISE_DIM, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.linear_1, self.norm_1 = nn.Linear(noise_dim, hidden, bias=False), nn.BatchNorm1d(hidden)
        self.linear_2, self.norm_2 = nn.Linear(hidden, hidden, bias=False), nn.BatchNorm1d(hidden)
        self.linear_out = nn.Linear(hidden, style_dim, bias=False)

    def forward(self, noise: Tensor) -> Tensor:
        """Standard normal noise ``[N, noise_dim]`` to style codes ``[N, style_dim]``."""
        x = torch.relu(self.norm_1(self.linear_1(noise)))
        x = torch.relu(self.norm_2(self.linear_2(x)))
        return self.linear_out(x)
