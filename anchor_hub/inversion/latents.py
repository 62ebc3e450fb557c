"""Files of latents: what `anchor invert` writes, and what reads it, published results of inversion included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.bundles import tensorfile
from anchor_hub.checkpoints.factor_files import published_latents, read_factor, read_inversions
from anchor_hub.errors import BundleError, DataError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.system.guarded import read_regular
from anchor_hub.system.inputs import shown

#: The one entry of the file's metadata: JSON. One entry, because safetensors writes several in a random order.
KEY = "anchor_latents"
VERSION = 1


@dataclass
class LatentFile:
    """Latents with what is known of them.

    Attributes:
        latents: W+ ``[N, L, D]``, float32.
        record: ``names`` of the pictures; ``method``, ``options``, ``perceptual``, ``hub``, ``hub_fingerprint``,
            ``domain``, of a class-conditional hub ``class``.
        values: numbers of each picture ``[N]``: ``errors``, ``mse``, ``ssim``, ``steps``.
        noise: noise maps ``[N, 1, R, R]`` found with the latents, if they were kept.
    """

    latents: Tensor
    record: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)
    noise: Sequence[Tensor] = ()

    def to_bytes(self) -> bytes:
        """The bytes of a .safetensors file; the same latents and record give the same bytes."""
        from safetensors.torch import save

        tensors = {"latents": self.latents, **self.values}
        tensors.update({f"noise.{number}": one for number, one in enumerate(self.noise)})
        record = json.dumps({"version": VERSION, **self.record}, sort_keys=True, ensure_ascii=False)
        return save({name: one.detach().cpu().contiguous() for name, one in tensors.items()}, {KEY: record})


def read_latents(path: str | Path, hub: Hub | None = None, factor: str | Path | None = None) -> LatentFile:
    """Latents of a file of `anchor invert`, or of a published result of inversion (``.pt``).

    :param hub: latents must be this hub's; needed for published results, which know one code for all layers.
    :param factor: a published factor file, with which published results are recomputed from their v.
    :raises DataError: a damaged file, or one of another kind. :raises HubMismatchError: latents of another hub.
    :raises CheckpointError: a published file that does not fit.
    """
    file = Path(path)
    if file.suffix.lower() != ".safetensors":
        if hub is None:
            raise UsageError(f"{shown(file)}: published latents need the hub that they are of: give hub=")
        results = read_inversions(file)
        rows = published_latents(results, None if factor is None else read_factor(factor))
        record = {"names": [one.name for one in results], "method": "factor", "source": "published"}
        return LatentFile(_complete(rows, hub, file), record)
    try:
        data = read_regular(file)
    except OSError as error:
        raise DataError(f"{shown(file)}: cannot be read ({error.strerror or error})") from None
    record = _record(data, file)
    try:
        tensors = tensorfile.read(data, shown(file))
    except BundleError as error:
        raise DataError(str(error).replace("install the bundle again", "invert the pictures again")) from None
    latents = tensors.pop("latents", None)
    if latents is None or latents.ndim != 3:
        raise DataError(f"{shown(file)}: holds no latents [N, L, D]; give a file of `anchor invert`")
    if hub is not None:
        if found := record.get("hub_fingerprint"):
            hub.require_same(str(found), what=shown(file), other_name=repr(record.get("hub", "unknown")))
        latents = _complete(latents, hub, file)
    noise = [tensors.pop(name) for name in sorted(filter(_is_noise, tensors), key=lambda name: int(name[6:]))]
    return LatentFile(latents, record, tensors, noise)


def _is_noise(name: str) -> bool:
    return name.startswith("noise.") and name[6:].isdecimal()


def _complete(latents: Tensor, hub: Hub, file: Path) -> Tensor:
    try:
        return hub.expand(latents.to(torch.float32)).clone()
    except ValueError as error:
        raise DataError(f"{shown(file)}: its latents do not fit: {error}") from None


def _record(data: bytes, file: Path) -> dict[str, Any]:
    """The JSON in the header's metadata."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        found = json.loads(header["__metadata__"][KEY])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{shown(file)}: is no file of latents; give one that `anchor invert` wrote") from None
    if not isinstance(found, Mapping) or found.get("version") != VERSION:
        raise DataError(f"{shown(file)}: is a file of latents of another version; invert the pictures again")
    return dict(found)
