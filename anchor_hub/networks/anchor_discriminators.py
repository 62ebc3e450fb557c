"""Discriminators of latent-space anchoring.

The published *image* discriminator is StyleGAN2's residual discriminator at the encoder's input size (256
px), trained from scratch: :class:`anchor_hub.networks.stylegan2.Discriminator`. Here are the published
*latent* discriminator and a small patch discriminator (ours) for domain images and label maps decoded from
sampled latents.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anchor_hub.networks.layers import EqualLinear


class LatentDiscriminator(nn.Module):
    """Tells codes of the mapping network (real) from an encoder's (fake): rows ``[N, D] -> logits [N, 1]``.

    A row's minibatch standard deviation (groups of up to four rows, around the mean latent) is appended to
    the row; two equalised linear layers follow, ``D + 1 -> hidden -> 1``, with a leaky ReLU of gain sqrt(2)
    between them.

    :param mean_latent: ``[D]`` or ``[L, D]`` (the first row is taken).
    """

    mean_latent: Tensor

    def __init__(self, latent_dim: int, mean_latent: Tensor, hidden: int = 128, group_size: int = 4) -> None:
        super().__init__()
        mean = mean_latent.detach().reshape(-1, latent_dim)[0].clone()
        self.register_buffer("mean_latent", mean, persistent=False)
        self.group_size = group_size
        self.hidden = EqualLinear(latent_dim + 1, hidden, activate=True)
        self.output = EqualLinear(hidden, 1)

    def forward(self, rows: Tensor) -> Tensor:
        """Logits ``[N, 1]`` of rows ``[N, D]``. :raises ValueError: N is not a multiple of the group size."""
        count = rows.shape[0]
        group = min(count, self.group_size)
        if group == 0 or count % group:
            raise ValueError(f"latent discriminator: {count} rows do not form groups of {self.group_size}")
        centred = (rows - self.mean_latent).reshape(group, count // group, -1)
        deviation = (centred.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=1)
        x = torch.cat([rows, deviation.repeat(group).unsqueeze(1)], dim=1)
        return self.output(self.hidden(x))


class PatchDiscriminator(nn.Module):
    """A small patch discriminator: images ``[B, C, H, W] -> logits [B, 1, H/2**n, W/2**n]``; one verdict per patch.

    :param in_channels: channels of the images; for label maps the number of classes (it compares softmax probabilities
        with one-hot maps).
    :param width: channels after the first convolution; they double per layer up to ``8 * width``.
    :param num_layers: number n of strided 4x4 convolutions; the receptive field is 10, 22, 46 px for n = 1, 2, 3.
    :param detail: whether the network also sees the image minus its 3x3 mean, four times as strong. That shows fine
        lines or their lack, which the network would need thousands of images to find in the values alone.

    It has no normalisation on purpose: R1 or lazy R1 keeps it smooth, and batches of two work.
    """

    def __init__(self, in_channels: int, width: int = 32, num_layers: int = 3, detail: bool = False) -> None:
        super().__init__()
        self.detail = detail
        layers: list[nn.Module] = []
        channels = in_channels * (2 if detail else 1)
        for index in range(num_layers):
            following = min(width * 2**index, 8 * width)
            layers.append(nn.Conv2d(channels, following, 4, stride=2, padding=1))
            channels = following
        self.layers = nn.ModuleList(layers)
        self.body = nn.Conv2d(channels, channels, 3, padding=1)
        self.output = nn.Conv2d(channels, 1, 3, padding=1)
        if detail:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):  # signals keep their size: learning starts at once
                    nn.init.kaiming_normal_(module.weight, a=0.2)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        if self.detail:
            x = torch.cat([x, 4 * (x - F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))], dim=1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return self.output(F.leaky_relu(self.body(x), 0.2))
