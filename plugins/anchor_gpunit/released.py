"""Names and sizes in the files that GP-UNIT's authors released, and ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from anchor_gpunit.networks.blocks import folded_weights
from anchor_gpunit.networks.configs import ContentConfig, DistillationConfig, GeneratorConfig

# A name of theirs as a pattern, and ours. The first that fits is taken; "" leaves an entry out.
_SPECTRAL = (("weight_orig", "spectral.weight"), ("weight_u", "spectral.u"), ("weight_v", "spectral.v"))
_CONTENT = (
    (r"layer6\.(\d)\.conv\.", r"last.\1.conv."),
    (r"layer1\.(\d)\.conv\.", r"layers.0.\1.conv."), (r"layer2\.(\d)\.conv\.", r"layers.1.\1.conv."),
    (r"layer3\.(\d)\.conv\.", r"layers.2.\1.conv."), (r"layer4\.(\d)\.conv\.", r"layers.3.\1.conv."),
    (r"layer5\.(\d)\.conv\.", r"layers.4.\1.conv."),
)  # fmt: skip
_PARTS = (
    (r"\.conv_0\.", ".conv_in."), (r"\.conv_1\.", ".conv_out."), (r"\.conv_s\.", ".shortcut."),
    (r"\.norm_0\.", ".norm_in."), (r"\.norm_1\.", ".norm_out."), (r"\.norm_s\.", ".norm_shortcut."),
)  # fmt: skip
_GENERATOR = (
    (r"style_encoder\.model\.0\.", "style.first."),
    *((rf"style_encoder\.model\.{2 * k}\.", f"style.halvings.{k - 1}.") for k in range(1, 6)),
    *((rf"style_encoder\.mlp\.{2 * k}\.", f"style.linear.{k}.") for k in range(3)),
    (r"model\.(\d)\.reslayer\.", r"stages.\1.block."),
    (r"model\.(\d)\.postlayer\.", r"stages.\1.post."),
    (r"model\.(\d)\.rgblayer\.", r"stages.\1.rgb."),
    *((rf"model\.{k}\.skiplayer\.trans\.", f"dynamic.{k - 1}.lift.") for k in (1, 2)),
    *((rf"model\.{k}\.skiplayer\.", f"dynamic.{k - 1}.") for k in (1, 2)),
)
_DISCRIMINATOR = ((r"model\.", "trunk."), (r"linear\.", "linear."))
_SAMPLER = (
    (r"lin(\d)\.", r"linear_\1."), (r"bn(\d)\.", r"norm_\1."), (r"lin_out\.", "linear_out."),
)  # fmt: skip
_AUTOENCODER = (
    *((rf"contentE\.{pattern}", f"content.{name}") for pattern, name in _CONTENT),
    *((rf"styleE\.layer{k}\.conv\.", f"style.layers.{k - 1}.") for k in (1, 2, 3)),
    (r"styleE\.", ""),  # read by nothing
    *((rf"G\.layer1\.{k}\.", f"decoder.coarse.{k}.") for k in range(3)),
    (r"G\.layer2\.", "decoder.coarse.3."), (r"G\.layer3\.", "decoder.coarse.4."),
    *((rf"G\.layer{k}\.conv\.", f"decoder.fine.{k - 4}.") for k in (4, 5, 6)),
    (r"G\.layer7\.conv\.", "decoder.rgb."), (r"G\.tomask\.conv\.", "decoder.shape."),
    *((rf"C\.layer{k}\.conv\.", f"classifier.layers.{k - 1}.") for k in (1, 2, 3)),
    (r"C\.fc3\.", "classifier.linear."), (r"fc\.conv\.", "decoder.entry."), (r"embed\.", "labels."),
)  # fmt: skip

Table = tuple[tuple[str, str], ...]


def _renamed(state: Mapping[str, Tensor], table: Table, what: str) -> dict[str, Tensor]:
    """The state under our names. :raises ValueError: an entry that ``what`` does not have."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        fits = ((match, ours) for pattern, ours in table if (match := re.match(pattern, name)))
        match, ours = next(fits, (None, ""))
        if match is None:
            raise ValueError(f"{what} has no entry {name}")
        if not ours:
            continue
        new = match.expand(ours) + name[match.end() :]
        for pattern, ours in _PARTS:
            new = re.sub(pattern, ours, new)
        for theirs, ours in _SPECTRAL:
            new = new.replace(theirs, ours)
        found[new] = value
    return found


def content_encoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of ``content_encoder.pt`` for a content encoder in training, with spectral norms."""
    return _renamed(state, _CONTENT, "a GP-UNIT content encoder")


def frozen_content_encoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same, divided by their spectral norms."""
    return folded_weights(content_encoder(state))


def generator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights ``g_ema`` of ``<task>.pt``: generator and style encoder."""
    return _renamed(state, _GENERATOR, "a GP-UNIT generator")


def sampler(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights ``sampler`` of ``<task>.pt``."""
    return _renamed(state, _SAMPLER, "a GP-UNIT style sampler")


def discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a discriminator; no released file has them."""
    return _renamed(state, _DISCRIMINATOR, "a GP-UNIT discriminator")


def autoencoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights ``ae_ema`` of a file of stage I, without the style encoder's layers that nothing reads."""
    return _renamed(state, _AUTOENCODER, "a GP-UNIT auto-encoder")


def content_config(state: Mapping[str, Tensor]) -> ContentConfig:
    """The size of the frozen content encoder of ``content_encoder.pt``: 256 px, as its code has it."""
    return ContentConfig(width=len(state["layer1.0.conv.bias"]))


def generator_config(state: Mapping[str, Tensor]) -> GeneratorConfig:
    """The size of the generator of ``g_ema``: 256 px."""
    style = len(state["style_encoder.model.0.bias"])
    joined = state["model.1.skiplayer.trans.weight"].shape[0] // 8
    return GeneratorConfig(width=state["model.5.rgblayer.weight"].shape[1], content_width=joined, style_width=style)


def autoencoder_config(state: Mapping[str, Tensor]) -> DistillationConfig:
    """The size of the auto-encoder of ``ae_ema``: 256 px."""
    classes, label_dim = state["embed.weight"].shape
    width = len(state["contentE.layer1.0.conv.bias"])
    return DistillationConfig(width=width, classes=classes, label_dim=label_dim)
