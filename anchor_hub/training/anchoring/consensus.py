"""What a linear map of the hub's feature maps makes of a regressor's own label maps.

A regressor learns from few latents, the encoder's, and reads others, such as dark faces, wrongly. Its mistakes differ
from sample to sample, and the feature maps, which hold semantics linearly, do not explain them. So the linear map that
fits the regressor's readings best is right more often than the regressor, which can learn from it.
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
WARM_UP = 50  # steps after which the map is worth listening to


class LinearConsensus(nn.Module):
    r"""The ridge regression of label maps from instance-normalised feature maps, over the last few hundred batches.

    :math:`\min_A \sum_i p_{y_i}^{-0.4}\, \lVert A^\top f_i - y_i \rVert^2` over pixels :math:`i` with features
    :math:`f_i` (bilinearly resized, and a constant 1) and one-hot labels :math:`y_i`, whose class has the share
    :math:`p` of the pixels. It has no parameters; what it has learned lies in buffers.

    :param regressor: whose feature maps it reads.
    :param channels: of the hub's feature maps, by resolution.
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
        """Whether it has seen enough to be listened to."""
        return int(self.steps) >= WARM_UP

    @torch.no_grad()
    def learn(
        self,
        images: tuple[Mapping[int, Tensor], Tensor],
        samples: tuple[Mapping[int, Tensor], Tensor],
        average: Callable[[Tensor], Tensor] = lambda value: value,
    ) -> None:
        """Learn, every second time, from feature maps by resolution and one-hot label maps ``[B, K, H, W]``.

        ``images``: the domain's own maps, whose classes give the shares; ``samples``: what the regressor read from
        samples. ``average`` gives the mean of a tensor over the processes of the run.
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
        """Class ids ``[B, H, W]`` by the map, which may precede the resizing since both are linear."""
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
    """Of pixels of an axis ``size`` long, on one ``side`` long: the two nearest and the second one's share."""
    place = ((pixels + 0.5) * side / size - 0.5).clamp(0, side - 1)
    first = place.long()
    return first, (first + 1).clamp(max=side - 1), place - first
