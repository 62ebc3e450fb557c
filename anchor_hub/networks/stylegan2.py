"""The StyleGAN2 generator: mapping network and skip-architecture synthesis network.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (2020, arXiv:1912.04958). Plain torch,
twice differentiable, no compiled extension.

Weight modulation is computed on the activations instead of the weights, so that one ordinary convolution with
shared weights serves the whole batch: with the per-sample weight ``w'_bijk = s_bi w_ijk`` and the
demodulation coefficient ``d_bo = 1 / sqrt(sum_ikl (s_bi w_oikl)^2 + eps)`` of the paper's equations 1 and 3,
``conv(x, d w') = d * conv(s * x, w)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchor_hub.networks.layers import SQRT2, EqualLinear, Resample, leaky_relu_, pixel_norm
from anchor_hub.networks.stylegan2_config import StyleGAN2Config as StyleGAN2Config
from anchor_hub.networks.stylegan2_config import channel_table as channel_table
from anchor_hub.networks.stylegan2_config import resolutions_of as resolutions_of

DEMODULATION_EPSILON = 1e-8
NOISE_MODES = ("const", "random", "none")

Noise = str | Sequence[Tensor]


def label_rows(labels: Tensor | None, classes: int, batch: int) -> Tensor:
    """Labels as rows ``[B, classes]``: numbers ``[B]`` become one-hot rows, (soft) rows stay as they are.

    Raises ValueError where labels are missing, of another shape, or not below ``classes``.
    """
    if labels is None:
        raise ValueError(f"this network is class-conditional: it needs labels below {classes}")
    if labels.ndim == 1 and not labels.is_floating_point() and len(labels) == batch:
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise ValueError(f"labels must lie in 0..{classes - 1}")
        return F.one_hot(labels.long(), classes).float()
    if tuple(labels.shape) != (batch, classes):
        raise ValueError(f"labels must be [{batch}] numbers or [{batch}, {classes}] rows, got {list(labels.shape)}")
    return labels


@dataclass
class SynthesisOutput:
    """The output of the synthesis network.

    Attributes:
        image: ``[B, C, H, W]``, nominally in [-1, 1] and not clamped; None when not asked for.
        features: resolution to ``[B, channels, R, R]``, the activations right before that resolution's ToRGB.
    """

    image: Tensor | None
    features: dict[int, Tensor]


def mix_styles(w1: Tensor, w2: Tensor, crossover: int | Tensor, num_latents: int) -> Tensor:
    """Style mixing: layers below ``crossover`` take their code from ``w1``, the others from ``w2``.

    Args:
        w1, w2: ``[B, D]`` or ``[B, L, D]``.
        crossover: 0 to L; an int, or an integer tensor ``[B]`` with one crossover per sample.
        num_latents: L.

    Returns:
        ``[B, L, D]``.
    """
    w1, w2 = expand_latents(w1, num_latents), expand_latents(w2, num_latents)
    layer = torch.arange(num_latents, device=w1.device)[None, :, None]
    if isinstance(crossover, Tensor):
        crossover = crossover.to(w1.device).reshape(-1, 1, 1)
    elif not 0 <= crossover <= num_latents:
        raise ValueError(f"crossover must lie in 0..{num_latents}, got {crossover}")
    return torch.where(layer < crossover, w1, w2)


def expand_latents(latents: Tensor, num_latents: int) -> Tensor:
    """``[B, D]`` or ``[B, L, D]`` to ``[B, L, D]`` (a view); raises ValueError for any other shape."""
    if latents.ndim == 2:
        return latents[:, None, :].expand(-1, num_latents, -1)
    if latents.ndim == 3 and latents.shape[1] == num_latents:
        return latents
    raise ValueError(f"latents must be [B, D] or [B, {num_latents}, D], got {list(latents.shape)}")


def truncate(w: Tensor, mean_latent: Tensor, truncation: float) -> Tensor:
    """The truncation trick, ``w' = mean + psi (w - mean)``, for ``[B, D]`` or ``[B, L, D]``."""
    return torch.lerp(mean_latent.to(w).expand_as(w), w, truncation)


class Mapping(nn.Module):
    """The mapping network f: Z to W: pixel norm, then ``mapping_layers`` linear layers with leaky ReLU.

    With classes (StyleGAN2-ADA), a linear embedding of the label, normalised by itself, follows z in the input of
    the first layer.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        size = config.latent_dim
        self.z_dim, self.classes = config.code_dim, config.classes
        self.embed = EqualLinear(config.classes, size) if config.classes else None
        widths = [self.z_dim + (size if config.classes else 0)] + [size] * config.mapping_layers
        self.layers = nn.ModuleList(
            EqualLinear(width, size, lr_multiplier=config.mapping_lr_multiplier, activate=True)
            for width in widths[:-1]
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """``z [B, z_dim]``, standard normal, and labels where there are classes, to ``w [B, D]``.

        ``labels``: numbers ``[B]``, or one-hot or soft rows ``[B, classes]``. Raises ValueError for z of another
        shape, and for labels that are missing, not wanted or do not fit.
        """
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ValueError(f"the mapping network takes z of shape [B, D] = [B, {self.z_dim}], got {list(z.shape)}")
        w = pixel_norm(z)
        if self.embed is not None:
            rows = label_rows(labels, self.classes, len(z)).to(z.device)
            w = torch.cat([w, pixel_norm(self.embed(rows)).to(w.dtype)], dim=1)
        elif labels is not None:
            raise ValueError("this generator has no classes: it takes no labels")
        for layer in self.layers:
            w = layer(w)
        return w


class StyledConv(nn.Module):
    """Modulated and demodulated 3x3 convolution, noise, bias, leaky ReLU times sqrt(2); optionally doubling the size.

    ``y = sqrt(2) f( d * conv(s * x, w / sqrt(9 in)) + strength * noise + b )``, ``s = affine(latent)``.
    Doubling: transposed convolution of stride 2, then the FIR filter [1, 3, 3, 1] of gain 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        latent_dim: int,
        resolution: int,
        *,
        up: bool,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.resolution, self.clamp = resolution, clamp
        self.affine = EqualLinear(latent_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.noise: Tensor
        self.register_buffer("noise", torch.randn(1, 1, resolution, resolution))
        self.weight_scale = 1.0 / math.sqrt(in_channels * 9)
        self.resample = Resample(gain=4.0) if up else None
        self._kept: tuple[object, Tensor, Tensor] | None = None

    def forward(self, x: Tensor, latent: Tensor, noise: Tensor | None) -> Tensor:
        """``x [B or 1, in, H, W]``, ``latent [B, D]``, ``noise [B or 1, 1, R, R]`` to ``[B, out, R, R]``."""
        style, coefficient = self._coefficients(latent)
        y = self._conv(x, style)
        scale = (coefficient * SQRT2)[:, :, None, None].to(y.dtype)
        shift = (self.bias * SQRT2)[None, :, None, None].to(y.dtype)
        if noise is None:
            y = leaky_relu_(torch.addcmul(shift, y, scale))
        else:
            scaled_noise = (noise * (self.noise_strength * SQRT2)).to(y.dtype)
            y = leaky_relu_(torch.addcmul(scaled_noise, y, scale).add_(shift))
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)

    def _coefficients(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Style ``[B, in]``, the weight scale folded in, and demodulation coefficients ``[B, out]``."""
        style = self.affine(latent) * self.weight_scale
        with torch.autocast(latent.device.type, enabled=False):
            energy = F.linear(style.square(), self._prepared()[1])
            return style, torch.rsqrt(energy + DEMODULATION_EPSILON)

    def _conv(self, x: Tensor, style: Tensor) -> Tensor:
        x = x * style[:, :, None, None].to(x.dtype)
        weight = self._prepared(x.dtype)[0]
        if self.resample is None:
            return F.conv2d(x, weight, padding=1)
        return self.resample.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1)

    def _prepared(self, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """The weight, in ``dtype`` where it is frozen, and its energy ``sum_kl w_oikl^2``, ``[out, in]``.

        A frozen weight is converted and summed once for as long as it stays the same. Autocast would convert it anew
        in every pass, as it keeps only what it converts of weights that learn.
        """
        weight = self.weight
        if weight.requires_grad or weight.is_inference():
            return weight, weight.square().sum(dim=(2, 3))
        state, kept = (id(weight), weight.data_ptr(), weight._version), self._kept
        with torch.inference_mode(False):  # trainings compute gradients through what a translation kept
            if kept is None or kept[0] != state:
                kept = state, weight, weight.square().sum(dim=(2, 3))
            if dtype is not None and kept[1].dtype != dtype:
                kept = state, weight.to(dtype), kept[2]
        self._kept = kept
        return kept[1:]


class ToRGB(nn.Module):
    """Modulated 1x1 convolution without demodulation, plus bias, plus the upsampled image of the resolution below."""

    def __init__(
        self, in_channels: int, image_channels: int, latent_dim: int, clamp: float | None = None
    ) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = EqualLinear(latent_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(image_channels, in_channels))
        self.bias = nn.Parameter(torch.zeros(image_channels))
        self.weight_scale = 1.0 / math.sqrt(in_channels)
        self.resample = Resample(gain=4.0)

    def forward(self, x: Tensor, latent: Tensor, image: Tensor | None) -> Tensor:
        """``[B, in, R, R]``, ``[B, D]`` and the image ``[B, C, R/2, R/2]`` so far to ``[B, C, R, R]``.

        The image is summed in the parameters' precision, also under autocast: bfloat16 has too few grey levels.
        """
        style = self.affine(latent) * self.weight_scale
        # With three output channels, per-sample weights are cheaper than scaling the whole feature map. Of rows of
        # pixels, the gradient comes channels-last as x is, and meets others of that layout.
        weights = (self.weight * style[:, None, :]).to(x.dtype)
        y = torch.bmm(x.flatten(2).mT, weights.mT).mT.contiguous().unflatten(2, x.shape[2:])
        with torch.autocast(x.device.type, enabled=False):
            y = y.to(self.bias.dtype) + self.bias[None, :, None, None]
            if self.clamp is not None:
                y = y.clamp(-self.clamp, self.clamp)
            return y if image is None else y + self.resample.up(image)


class SynthesisBlock(nn.Module):
    """All layers of one resolution: (above 4 px) the doubling styled convolution, the plain one, ToRGB."""

    def __init__(self, config: StyleGAN2Config, resolution: int) -> None:
        super().__init__()
        channels = config.channels_of
        out_channels, latent_dim, clamp = channels[resolution], config.latent_dim, config.clamp
        self.up: StyledConv | None = None
        if resolution > 4:
            below = channels[resolution // 2]
            self.up = StyledConv(below, out_channels, latent_dim, resolution, up=True, clamp=clamp)
        self.conv = StyledConv(out_channels, out_channels, latent_dim, resolution, up=False, clamp=clamp)
        self.to_rgb = ToRGB(out_channels, config.image_channels, latent_dim, clamp)

    def styled_convs(self) -> list[StyledConv]:
        """One (at 4 px) or two styled convolutions, in order."""
        return [self.conv] if self.up is None else [self.up, self.conv]


class Synthesis(nn.Module):
    """The synthesis network g: W+ to images, with skip connections between the ToRGB outputs.

    Layer codes: styled convolution i reads code i; each ToRGB reads the code of the styled convolution after it.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.constant = nn.Parameter(torch.randn(1, config.channels_of[4], 4, 4))
        self.blocks = nn.ModuleDict({str(r): SynthesisBlock(config, r) for r in config.resolutions})

    def styled_convs(self) -> list[StyledConv]:
        """The styled convolutions in the order of the codes and noise images they read."""
        return [
            conv for resolution in self.config.resolutions for conv in self.block(resolution).styled_convs()
        ]

    def block(self, resolution: int) -> SynthesisBlock:
        """The layers of one resolution."""
        block = self.blocks[str(resolution)]
        assert isinstance(block, SynthesisBlock)
        return block

    def forward(
        self,
        latents: Tensor,
        *,
        noise: Noise = "const",
        features: bool | Sequence[int] = False,
        generator: torch.Generator | None = None,
        up_to: int | None = None,
        image: bool = True,
        learned: int | None = None,
        replaced: dict[int, Tensor] | None = None,
        added: dict[int, Tensor] | None = None,
    ) -> SynthesisOutput:
        """See :meth:`Generator.synthesize`.

        ``replaced``: resolution to a map ``[B, channels, R, R]`` that takes the place of this network's own right
        before ToRGB, and goes on from there; the coarser layers still make their part of the image.
        ``added``: resolution to a map of that shape that is added to this network's own at the same place.
        """
        config = self.config
        latents = expand_latents(latents, config.num_latents)
        codes = [
            code if learned is None or layer < learned else code.detach()
            for layer, code in enumerate(latents.unbind(1))
        ]
        wanted = self._wanted_features(features)
        last = self._last_resolution(wanted, up_to, image)
        noises = self._noises(noise, latents, generator, last)

        x: Tensor = self.constant
        rgb: Tensor | None = None
        kept: dict[int, Tensor] = {}
        layer = 0
        for resolution in config.resolutions:
            if resolution > last:
                break
            block = self.block(resolution)
            for conv in block.styled_convs():
                x = conv(x, codes[layer], noises[layer])
                layer += 1
            if replaced is not None and resolution in replaced:
                x = replaced[resolution]
            if added is not None and resolution in added:
                x = x + added[resolution]
            if resolution in wanted:
                kept[resolution] = x
            if image:
                rgb = block.to_rgb(x, codes[layer], rgb)
        return SynthesisOutput(rgb, kept)

    def _wanted_features(self, features: bool | Sequence[int]) -> set[int]:
        if isinstance(features, bool):
            return set(self.config.resolutions) if features else set()
        unknown = sorted(set(features) - set(self.config.resolutions))
        if unknown:
            raise ValueError(f"no feature maps at {unknown} px; this hub has {list(self.config.resolutions)}")
        return set(features)

    def _last_resolution(self, wanted: set[int], up_to: int | None, image: bool) -> int:
        if up_to is not None:
            if up_to not in self.config.resolutions:
                raise ValueError(f"up_to must be one of {list(self.config.resolutions)}, got {up_to}")
            wanted -= {r for r in wanted if r > up_to}
            return up_to
        return self.config.size if image else max(wanted, default=0)

    def _noises(
        self, noise: Noise, latents: Tensor, generator: torch.Generator | None, last: int
    ) -> list[Tensor | None]:
        convs = [conv for conv in self.styled_convs() if conv.resolution <= last]
        if isinstance(noise, str):
            if noise == "none":
                return [None] * len(convs)
            if noise == "const":
                return [conv.noise for conv in convs]
            if noise != "random":
                raise ValueError(
                    f"noise must be one of {NOISE_MODES} or a list of noise images, got {noise!r}"
                )
            # Drawn where the random generator lives, so that one seed gives one noise on every device.
            device = latents.device if generator is None else generator.device
            shapes = [(latents.shape[0], 1, conv.resolution, conv.resolution) for conv in convs]
            draws = [torch.randn(s, generator=generator, device=device) for s in shapes]
            return [draw.to(latents.device, self.constant.dtype) for draw in draws]
        if len(noise) < len(convs):
            raise ValueError(f"{len(convs)} noise images are needed, got {len(noise)}")
        for given, conv in zip(noise, convs, strict=False):
            size = conv.resolution
            if tuple(given.shape) not in {(1, 1, size, size), (latents.shape[0], 1, size, size)}:
                raise ValueError(f"noise image must be [B or 1, 1, {size}, {size}], got {list(given.shape)}")
        return [given.to(latents.device, self.constant.dtype) for given in noise[: len(convs)]]


class Generator(nn.Module):
    """The StyleGAN2 generator, a mapping and a synthesis network.

    Args:
        config: the architecture. Weights are drawn from torch's global random state.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)

    def map(
        self,
        z: Tensor,
        *,
        labels: Tensor | None = None,
        truncation: float = 1.0,
        mean_latent: Tensor | None = None,
    ) -> Tensor:
        """Map ``z [B, z_dim]``, standard normal, to ``w [B, D]``; ``w' = mean + truncation (w - mean)``.

        ``labels`` as :meth:`Mapping.forward` takes them. Raises ValueError when ``truncation`` is not 1 and
        ``mean_latent`` (``[D]`` or ``[1, D]``) is missing.
        """
        w: Tensor = self.mapping(z, labels)
        if truncation == 1.0:
            return w
        if mean_latent is None:
            raise ValueError("truncation needs mean_latent; Generator.mean_latent() estimates it")
        return truncate(w, mean_latent, truncation)

    def mean_latent(self, samples: int = 10_000, *, generator: torch.Generator | None = None) -> Tensor:
        """The mean of w over ``samples`` random z (and random classes): ``[1, D]``, without gradient."""
        parameter = self.synthesis.constant
        device = parameter.device if generator is None else generator.device
        total = torch.zeros(1, self.config.latent_dim, dtype=torch.float64, device="cpu")
        with torch.no_grad():
            for start in range(0, samples, 4096):
                count = min(4096, samples - start)
                z = torch.randn(count, self.config.code_dim, generator=generator, device=device)
                labels = None
                if self.config.classes:
                    labels = torch.randint(self.config.classes, (count,), generator=generator, device=device)
                w = self.mapping(z.to(parameter), labels)
                total += w.sum(dim=0, keepdim=True).cpu().double()
        return (total / samples).to(parameter)

    def synthesize(
        self,
        latents: Tensor,
        *,
        noise: Noise = "const",
        features: bool | Sequence[int] = False,
        generator: torch.Generator | None = None,
        up_to: int | None = None,
        image: bool = True,
        learned: int | None = None,
    ) -> SynthesisOutput:
        """Images and feature maps of latents; differentiable, twice.

        Args:
            latents: ``[B, D]`` (W) or ``[B, L, D]`` (W+).
            noise: "const" (the stored noise images), "random" (fresh N(0, 1) per sample and layer), "none",
                or a list of noise images ``[B or 1, 1, R, R]``, one per styled convolution.
            features: resolutions whose activations right before ToRGB to return; True for all.
            generator: source of the random noise.
            up_to: resolution after which to stop; the image is then the one so far, ``[B, C, up_to, up_to]``.
            image: whether to compute the image; without the image, only the layers that the features need run.
            learned: only the codes of so many leading layers get gradients, which spares the backward pass products
                of the largest maps; None for all.

        Raises:
            ValueError: latents, noise, features or up_to do not fit the architecture.
        """
        output: SynthesisOutput = self.synthesis(
            latents, noise=noise, features=features, generator=generator, up_to=up_to, image=image, learned=learned
        )
        return output

    def forward(
        self,
        z: Tensor,
        *,
        labels: Tensor | None = None,
        truncation: float = 1.0,
        mean_latent: Tensor | None = None,
        noise: Noise = "const",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images ``[B, C, size, size]``, nominally in [-1, 1], of ``z [B, z_dim]`` (and labels, with classes)."""
        w = self.map(z, labels=labels, truncation=truncation, mean_latent=mean_latent)
        image = self.synthesize(w, noise=noise, generator=generator).image
        assert image is not None
        return image
