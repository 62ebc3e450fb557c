"""A linear map from the hub's feature maps to label maps, fitted to a regressor's own readings.

A regressor learns from few latents, those of the encoder, and reads other latents (dark faces, say) wrongly. The
mistakes differ from sample to sample, and the feature maps, which hold semantics linearly, do not explain them. The
linear map that fits the regressor's readings best is therefore right more often than the regressor, and the regressor
can learn from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from anchor_hub.networks.regressors import Regressor, resize

LEARNED_EVERY = 2  # steps: what one batch adds is little, and looking at it takes a tenth of a training step
DECAY = 0.99  # of what was learned, each time: about 200 steps count
PIXELS = 4096  # of a batch that one call learns from
SOLVED_EVERY = 10
RIDGE = 1e-4  # of the mean square of a feature
BALANCE = 0.4  # a pixel of a class with share p weighs p^-0.4: squared errors alone would leave rare classes out
SMALLEST_SHARE = 1e-3
WARM_UP = 50  # steps after which the map is good enough to learn from


class LinearConsensus(nn.Module):
    r"""The ridge regression of label maps from instance-normalised feature maps, over the last few hundred batches.

    :math:`\min_A \sum_i p_{y_i}^{-0.4}\, \lVert A^\top f_i - y_i \rVert^2` over pixels :math:`i` with features
    :math:`f_i` (bilinearly resized, and a constant 1) and one-hot labels :math:`y_i`, whose class has the share
    :math:`p` of the pixels. It has no parameters; what it has learned lies in buffers.

    :param regressor: the regressor; the map reads the same feature maps.
    :param channels: channels of the hub's feature maps, by resolution.
    """

    gram: Tensor
    cross: Tensor
    map: Tensor
    shares: Tensor
    steps: Tensor

    def __init__(self, regressor: Regressor, channels: Mapping[int, int]) -> None:
        super().__init__()
        self.resolutions = regressor.resolutions
        self.channels = [channels[resolution] for resolution in self.resolutions]
        rows, classes = sum(self.channels) + 1, regressor.out_channels
        self.register_buffer("gram", torch.zeros(rows, rows))
        self.register_buffer("cross", torch.zeros(rows, classes))
        self.register_buffer("map", torch.zeros(rows, classes))
        self.register_buffer("shares", torch.full((classes,), 1 / classes))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    @property
    def ready(self) -> bool:
        """Whether the map has seen enough batches to learn from it."""
        return int(self.steps) >= WARM_UP

    @torch.no_grad()
    def learn(
        self,
        images: tuple[Mapping[int, Tensor], Tensor],
        samples: tuple[Mapping[int, Tensor], Tensor],
        average: Callable[[Tensor], Tensor] = lambda value: value,
    ) -> None:
        """Learn, in every second call, from feature maps by resolution and one-hot label maps ``[B, K, H, W]``.

        ``images``: features with the domain's own label maps, which give the shares of the classes; ``samples``:
        features of sampled latents with the regressor's readings. ``average`` gives the mean of a tensor over the
        processes of the run.
        """
        self.steps += 1
        if int(self.steps) % LEARNED_EVERY:
            return
        first = int(self.steps) == LEARNED_EVERY
        shares = average(images[1].float().mean((0, 2, 3)))
        self.shares.copy_(shares if first else torch.lerp(self.shares, shares, 0.02))
        weights = self.shares.clamp(min=SMALLEST_SHARE) ** -BALANCE
        found = torch.zeros(len(self.gram), len(self.gram) + len(shares), device=self.gram.device)
        for features, labels in (images, samples):
            values, wanted = self._pixels(features, labels)
            weighted = values * (wanted @ weights)[:, None]
            found += weighted.T @ torch.cat([values, wanted], dim=1)
        gram, cross = average(found).split([len(self.gram), len(shares)], dim=1)
        self.gram.mul_(DECAY).add_(gram)
        self.cross.mul_(DECAY).add_(cross)
        if first or int(self.steps) % SOLVED_EVERY == 0:
            ridge = RIDGE * self.gram.diagonal().mean()
            damped = self.gram + ridge * torch.eye(len(self.gram)).to(self.gram)
            self.map.copy_(torch.linalg.solve(damped, self.cross))

    @torch.no_grad()
    def read(self, features: Mapping[int, Tensor], size: tuple[int, int]) -> Tensor:
        """Class ids ``[B, H, W]`` that the map reads. Map and resizing are linear, so the map comes first."""
        *parts, constant = self.map.split([*self.channels, 1])
        total = constant[0][:, None, None]
        for resolution, part in zip(self.resolutions, parts, strict=True):
            rows, mean, scale = _rows(features[resolution])
            logits = torch.baddbmm(-(mean * scale) @ part, rows, scale.mT * part)  # normalised and mapped
            total = total + resize(logits.mT.unflatten(2, features[resolution].shape[-2:]), size)
        return total.argmax(1)

    def _pixels(self, features: Mapping[int, Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``[N, D + 1]`` and labels ``[N, K]`` of random pixels, the same ones in every image."""
        height, width = labels.shape[-2:]
        chosen = torch.randint(height * width, (max(1, PIXELS // len(labels)),)).to(labels.device)
        values = []
        for resolution in self.resolutions:
            rows, mean, scale = _rows(features[resolution])
            above, below, down = _neighbours(chosen // width, height, features[resolution].shape[-2])
            before, after, right = _neighbours(chosen % width, width, features[resolution].shape[-1])
            found = torch.zeros((), device=rows.device)
            for row, vertical in ((above, 1 - down), (below, down)):
                for column, horizontal in ((before, 1 - right), (after, right)):
                    at = row * features[resolution].shape[-1] + column
                    found = found + rows[:, at] * (vertical * horizontal)[:, None]
            values.append((found - mean) * scale)
        values.append(torch.ones_like(values[0][..., :1]))
        return torch.cat(values, dim=2).flatten(0, 1), labels.float().flatten(2)[..., chosen].mT.flatten(0, 1)


def _rows(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Feature maps as rows of pixels ``[B, HW, C]``; mean and reciprocal deviation ``[B, 1, C]`` of each channel."""
    rows = maps.float().permute(0, 2, 3, 1).flatten(1, 2)  # a view of channels-last maps: the fast way round on a CPU
    mean = rows.mean(1, keepdim=True)
    variance = (rows - mean).square().mean(1, keepdim=True)  # torch.var_mean takes ten times as long along this axis
    return rows, mean, (variance + 1e-5).rsqrt()


def _neighbours(pixels: Tensor, size: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """For pixels of an axis of length ``size``: the two nearest pixels of one of length ``side``, and the second's
    share."""
    place = ((pixels + 0.5) * side / size - 0.5).clamp(0, side - 1)
    first = place.long()
    return first, (first + 1).clamp(max=side - 1), place - first
