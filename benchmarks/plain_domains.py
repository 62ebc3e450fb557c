"""The encoders and the regressor of domains once more, plainly; see :mod:`benchmarks.plain`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.networks.regressors import Regressor


class Encoder(nn.Module):
    """The compact encoder, up to 64 px: strided residual blocks, then attention of one query per code.

    :param like: the library's encoder, whose sizes and weights it takes.
    """

    def __init__(self, like: Any) -> None:
        super().__init__()
        state = like.state_dict()
        self.heads, self.count, self.channels = like.attention.heads, like.num_latents, like.in_channels
        self.depth = sum(name.endswith("conv1.weight") for name in state)
        # Parameters keep their names, with underscores: no module of the library is used.
        self.names = {name: name.replace(".", "_") for name in state}
        for name, flat in self.names.items():
            self.register_parameter(flat, nn.Parameter(state[name].detach().clone().contiguous()))
        self.stride = 2 if like.working_size >= 128 else 1

    def take(self, name: str) -> Any:
        return getattr(self, self.names[name])

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight, bias = self.take(f"{name}.weight"), f"{name}.bias"
        bias = self.take(bias) if bias in self.names else None
        return F.conv2d(x, weight, bias, stride, weight.shape[-1] // 2)

    def norm(self, x: Tensor, name: str) -> Tensor:
        channels = x.shape[1]
        size = 16 if channels % 16 == 0 else 8 if channels % 8 == 0 else channels
        return F.group_norm(x, channels // size, self.take(f"{name}.weight"), self.take(f"{name}.bias"))

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.take(f"{name}.weight"), self.take(f"{name}.bias"))

    def layer_norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.take(f"{name}.weight"), self.take(f"{name}.bias"))

    def forward(self, images: Tensor) -> Tensor:
        x = before = self.conv(images, "stem", self.stride)
        for index in range(self.depth):
            at = f"blocks.{index}"
            y = self.conv(F.leaky_relu(self.norm(x, f"{at}.norm1"), 0.2), f"{at}.conv1", 2)
            y = self.conv(F.leaky_relu(self.norm(y, f"{at}.norm2"), 0.2), f"{at}.conv2")
            before, x = x, (self.conv(F.avg_pool2d(x, 2), f"{at}.skip") + y) / math.sqrt(2)
        tokens = torch.cat([self.conv(before, "lateral").flatten(2), x.flatten(2)], 2).transpose(1, 2)
        tokens = self.layer_norm(tokens + self.take("position"), "token_norm")
        layout = F.leaky_relu(self.linear(tokens[:, -16:], "squeeze"), 0.2).flatten(1)
        layout = self.linear(layout, "dense")[:, None]
        keys, values = self.linear(tokens, "attention.key_value").chunk(2, 2)
        keys, values = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (keys, values))
        queries = self.take("attention.queries").unflatten(1, (self.heads, -1)).transpose(0, 1)
        shares = (queries @ keys.transpose(2, 3) * math.sqrt(self.heads)).softmax(3)
        pooled = (shares @ values).transpose(1, 2).flatten(2)
        pooled = self.layer_norm(F.leaky_relu(pooled + layout, 0.2), "code_norm")
        codes = torch.einsum("bkc,kcd->bkd", pooled, self.take("weight")) + self.take("bias")
        return torch.cat([codes, codes[:, -1:].expand(-1, self.count - codes.shape[1], -1)], 1)


class MapReader(Regressor):
    """The compact regressor: coarse to fine over the hub's feature maps.

    :param like: the library's regressor, whose sizes and weights it takes.
    """

    def __init__(self, like: Any, channels: Mapping[int, int]) -> None:
        super().__init__(channels, like.resolutions, like.out_channels, like.output_size)
        state = like.state_dict()
        self.instance_norm = like.levels[0].instance_norm
        self.names = {name: name.replace(".", "_") for name in state}
        for name, flat in self.names.items():
            self.register_parameter(flat, nn.Parameter(state[name].detach().clone().contiguous()))

    def conv(self, x: Tensor, name: str) -> Tensor:
        weight, bias = getattr(self, self.names[f"{name}.weight"]), self.names.get(f"{name}.bias")
        return F.conv2d(x, weight, None if bias is None else getattr(self, bias), padding=weight.shape[-1] // 2)

    def norm(self, x: Tensor, name: str) -> Tensor:
        size = 16 if x.shape[1] % 16 == 0 else 8 if x.shape[1] % 8 == 0 else x.shape[1]
        weight, bias = (getattr(self, self.names[f"{name}.{part}"]) for part in ("weight", "bias"))
        return F.group_norm(x, x.shape[1] // size, weight, bias)

    def forward(self, features: Mapping[int, Tensor]) -> Tensor:
        coarse: Tensor | None = None
        for level, resolution in enumerate(self.resolutions):
            at, maps = f"levels.{level}", features[resolution]
            x = self.conv(F.instance_norm(maps) if self.instance_norm else maps, f"{at}.project")
            if coarse is not None:
                coarse = self.conv(coarse, f"{at}.carry")
                x = x + F.interpolate(coarse, size=x.shape[2:], mode="bilinear", align_corners=False)
            x = F.leaky_relu(self.norm(x, f"{at}.norm"), 0.2)
            for index in range(sum(name.startswith(f"{at}.convs.") for name in self.names) // 2):
                x = x + F.leaky_relu(self.norm(self.conv(x, f"{at}.convs.{index}"), f"{at}.norms.{index}"), 0.2)
            coarse = x
        assert coarse is not None
        return self.conv(coarse, "head")


class PublishedEncoder(nn.Module):
    """The pSp encoder with its pyramid of map2style heads, in eval mode.

    :param like: the library's encoder, whose sizes and weights it takes.
    """

    def __init__(self, like: Any) -> None:
        super().__init__()
        self.state = {name: value.detach().clone().contiguous() for name, value in like.state_dict().items()}
        self.groups = [[unit.stride for unit in group] for group in like.body.groups]
        self.levels = [like._level(index) for index in range(like.num_latents)]

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return F.conv2d(x, weight, self.state.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    def norm(self, x: Tensor, name: str) -> Tensor:
        parts = (self.state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *parts)

    def unit(self, x: Tensor, at: str, stride: int) -> Tensor:
        y = F.prelu(self.conv(self.norm(x, f"{at}.norm1"), f"{at}.conv1"), self.state[f"{at}.activation.weight"])
        y = self.norm(self.conv(y, f"{at}.conv2", stride), f"{at}.norm2")
        gate = F.relu(self.conv(y.mean((2, 3), keepdim=True), f"{at}.gate.reduce"))
        y = y * torch.sigmoid(self.conv(gate, f"{at}.gate.expand"))
        if f"{at}.shortcut.0.weight" in self.state:
            return y + self.norm(self.conv(x, f"{at}.shortcut.0", stride), f"{at}.shortcut.1")
        return y + x[:, :, ::stride, ::stride]

    def forward(self, images: Tensor) -> Tensor:
        x, maps = self.norm(self.conv(images, "body.stem.0"), "body.stem.1"), []
        x = F.prelu(x, self.state["body.stem.2.weight"])
        for number, strides in enumerate(self.groups):
            for index, stride in enumerate(strides):
                x = self.unit(x, f"body.groups.{number}.{index}", stride)
            maps.append(x)
        pyramid = [maps[3]]
        for name, finer in (("lateral_middle", maps[2]), ("lateral_fine", maps[1])):
            coarse = F.interpolate(pyramid[-1], size=finer.shape[2:], mode="bilinear", align_corners=True)
            pyramid.append(coarse + self.conv(finer, name))
        codes = []
        for index, level in enumerate(self.levels):
            y, at, number = pyramid[level], f"styles.{index}", 0
            while f"{at}.convs.{number}.weight" in self.state:
                y, number = F.leaky_relu(self.conv(y, f"{at}.convs.{number}", 2), 0.01), number + 1
            weight, bias = (self.state[f"{at}.linear.{part}"] for part in ("weight", "bias"))
            codes.append(F.linear(y.flatten(1), weight / math.sqrt(weight.shape[1]), bias))
        return torch.stack(codes, 1)
