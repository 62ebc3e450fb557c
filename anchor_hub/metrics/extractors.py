"""Feature extractors for distances between sets of pictures, from weight files that the user has.

A distance is named after its extractor: only the Inception network of Heusel et al. 2017 gives a FID; any other
gives ``fd_<name>``. No extractor ever takes the place of another silently.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_hub.bundles import tensorfile
from anchor_hub.errors import BundleError, UsageError, did_you_mean
from anchor_hub.metrics.features import Extractor, read_weights
from anchor_hub.metrics.mobilenet import MobileNetV2
from anchor_hub.system.inputs import shown

#: Name that `--extractor` takes for FID's own network, which is looked for in the libraries' caches.
INCEPTION = "inception"


class MobileNetExtractor(Extractor):
    """The pooled features of MobileNetV2, ``fd_mobilenetv2``.

    Pictures are never enlarged: enlarging blurs them, and features of blurred pictures differ a quarter as much (with
    128 px photographs enlarged to 224 px, the distance between two halves of one set fell from 32 to 8).
    """

    name = "mobilenetv2"
    resize = "none up to 224 px; larger ones bilinear, antialiased, to 224x224"
    preprocessing = (
        "up to 224x224 as they are, larger ones resized to it (bilinear, antialiased, float), x / 127.5 - 1; "
        "1280 pooled features"
    )
    dimensions = 1280

    def __init__(self, network: MobileNetV2, device: torch.device | str = "cpu", *, sha256: str) -> None:
        super().__init__(device)
        self.sha256 = sha256
        self.network = network.eval().requires_grad_(False).to(self.device)

    def features(self, pictures: Tensor) -> Tensor:
        values, side = pictures.float(), self.network.size
        if max(values.shape[-2:]) > side:
            values = F.interpolate(values, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        return self.network.features(values / 127.5 - 1)


def load_mobilenet(path: str | Path, device: torch.device | str = "cpu") -> MobileNetExtractor:
    """The extractor with the weights in ``path``: MobileNetV2 1.0 as .safetensors, 53 convolutions
    ``layer00.weight`` ... with batch norm folded in.

    :raises DataError: the file cannot be read.
    :raises BundleError: the weights are damaged, or of another network.
    """
    data, digest = read_weights(Path(path), "a MobileNetV2 .safetensors file")
    network = MobileNetV2()
    try:
        network.load_state_dict(tensorfile.read(data, shown(path), network.state_dict()))
    except BundleError as error:
        raise BundleError(f"{error} (wanted: MobileNetV2 1.0, batch norm folded in)") from None
    return MobileNetExtractor(network, device, sha256=digest)


def load_extractor(
    given: str | Path | None = None, device: torch.device | str = "cpu", *, resize: str = "tensorflow"
) -> Any:
    """The extractor that ``given`` names.

    :param given: a name that a plugin registered (``anchor plugins``); ``inception`` or None (FID's network in the
        libraries' caches); or the path of a weight file: ``.safetensors`` of MobileNetV2, ``.pth`` of FID's Inception.
    :param resize: how pictures are resized for Inception: ``tensorflow`` (as FID was published) or ``antialias``.
    :raises DataError: the file is missing; the message says which file is wanted and where it was looked for.
    :raises BundleError: the weights are damaged, or of another network.
    :raises UsageError: ``given`` is neither a name nor a weight file.
    """
    from anchor_hub.metrics.inception import load_inception
    from anchor_hub.plugins.registry import registry

    if given is None or str(given) == INCEPTION:
        return load_inception(None, device, resize=resize)
    registered = registry().extractors
    if str(given) in registered:
        record = registered[str(given)]
        return registry().load(record.spec.target, f"extractor {record.name!r}")(device)
    suffix = Path(given).suffix.lower()
    if suffix in (".pth", ".pt"):
        return load_inception(given, device, resize=resize)
    if suffix == ".safetensors" or Path(given).exists():
        return load_mobilenet(given, device)
    raise UsageError(
        f"--extractor {shown(given)}: is no file, and no extractor has that name."
        f"{did_you_mean(str(given), [INCEPTION, *registered])} Give a path (.safetensors of MobileNetV2, .pth of "
        "the FID's Inception) or a name"
    )
