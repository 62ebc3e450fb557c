"""Training of the style sampler by implicit maximum likelihood (Hoshen et al. 2019, the paper's "maximum likelihood").

In every epoch each real code gets the nearest of many generated ones, and the noise that made it is trained to give the
real code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam

from anchor_gpunit.networks.sampler import StyleSampler

#: Codes compared at once: distances are a matrix of so many rows.
ROWS = 1024


@dataclass(frozen=True)
class SamplerTraining:
    """How a sampler is trained; the defaults are the published code's.

    batch: codes in a step. learning_rate: halved every ``halve_every`` epochs. codes_seen: how many codes all epochs
    together see. noises: generated codes for each step of an epoch, in batches.
    """

    batch: int = 128
    learning_rate: float = 1e-3
    halve_every: int = 50
    codes_seen: int = 2_000_000
    noises: int = 2

    def epochs(self, codes: int) -> int:
        """Epochs over that many codes, at least one."""
        return max(1, self.codes_seen // codes)


def nearest(codes: Tensor, generated: Tensor) -> Tensor:
    """For each code ``[N, D]`` the number of the nearest generated one ``[M, D]``, int64 ``[N]``."""
    return torch.cat([torch.cdist(part, generated).argmin(1) for part in codes.split(ROWS)])


def train_epoch(
    sampler: StyleSampler, codes: Tensor, noises: Sequence[Tensor], order: Tensor, learning_rate: float, batch: int
) -> tuple[Tensor, list[float]]:
    """One epoch with a fresh optimiser: the nearest generated code of each code, and each step's loss.

    :param noises: batches of noise ``[batch, noise_dim]``, from which codes are generated in training mode.
    :param order: a permutation of the codes; those left over after whole batches wait for another epoch.
    """
    optimiser = Adam(sampler.parameters(), learning_rate, betas=(0.5, 0.999), weight_decay=1e-5)
    sampler.train()
    with torch.no_grad():
        chosen = nearest(codes, torch.cat([sampler(noise) for noise in noises]))
    drawn = torch.cat(list(noises))
    losses = []
    for step in range(len(codes) // batch):
        rows = order[step * batch : (step + 1) * batch]
        loss = (sampler(drawn[chosen[rows]]) - codes[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return chosen, losses


def train_sampler(
    sampler: StyleSampler, codes: Tensor, generator: torch.Generator, training: SamplerTraining | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> StyleSampler:  # fmt: skip
    """Train a sampler on style codes ``[N, D]``, in place, and return it in eval mode.

    :param generator: of the CPU; draws noises and permutations.
    :param progress: called with epoch, epochs and the epoch's mean loss.
    """
    how = training or SamplerTraining()
    batch = max(2, min(how.batch, len(codes)))
    epochs, steps = how.epochs(len(codes)), len(codes) // batch
    for epoch in range(epochs):
        drawn = torch.randn(how.noises * steps, batch, sampler.noise_dim, generator=generator).to(codes)
        order = torch.randperm(len(codes), generator=generator).to(codes.device)
        rate = how.learning_rate * 0.5 ** (epoch // how.halve_every)
        _, losses = train_epoch(sampler, codes, list(drawn), order, rate, batch)
        if progress is not None:
            progress(epoch + 1, epochs, sum(losses) / max(len(losses), 1))
    return sampler.eval()


def with_rare_styles(codes: Tensor) -> Tensor:
    """The codes ``[N, D]`` with those far from the mean code repeated (``mitigate_style_bias`` of the published code).

    For every thousand codes, the share that is repeated once more is halved: the farthest half, quarter, eighth ...
    """
    distance = (codes - codes.mean(0)).abs().sum(1)
    farthest = codes[distance.argsort(descending=True)]
    parts, count = [codes], len(codes)
    for _ in range(len(codes) // 1000):
        count = max(count // 2, 1)
        parts.append(farthest[:count])
    return torch.cat(parts)
