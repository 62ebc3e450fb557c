"""Latents as inputs: what `anchor invert` wrote is edited and morphed as often as wanted, without another search."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import torch
from torch import Tensor

from anchor_hub.domains.base import Domain
from anchor_hub.domains.loading import load_domain
from anchor_hub.editing.opening import hub_pictures, session_of
from anchor_hub.errors import DataError, HubMismatchError, NotFoundError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.loading import load_hub
from anchor_hub.inversion.latents import LatentFile, read_latents
from anchor_hub.modality.base import resized
from anchor_hub.modality.pictures import from_unit
from anchor_hub.system.inputs import InputFile, shown
from anchor_hub.translation.anchor import AnchorTranslator
from anchor_hub.translation.inputs import Inputs
from anchor_hub.translation.request import Session

#: Suffixes of files of latents: ours, and published results of inversion.
SUFFIXES = (".safetensors", ".pt")


def are_latents(inputs: Sequence[str | Path]) -> bool:
    """Whether the inputs are files of latents. :raises UsageError: some are, some are not."""
    found = [Path(item).suffix.lower() in SUFFIXES for item in inputs]
    if any(found) and not all(found):
        raise UsageError("the inputs are files of latents and others: give one kind")
    return any(found)


class LatentTranslator(AnchorTranslator):
    """From latents instead of images: the content is what :meth:`encode` is given, ``[B, L, D]``."""

    def check_source(self, source: Domain) -> None:
        """Nothing is encoded, so any domain will do."""

    def encode(self, images: Tensor) -> Tensor:
        return self.hub.expand(images.to(self.device))


class LatentInputs(Inputs):
    """The latents of files, each an input of its own, called after the picture that it was found for.

    :param found: the files' contents, of the translator's hub.
    """

    def __init__(self, translator: AnchorTranslator, found: Mapping[Path, LatentFile]) -> None:
        super().__init__(translator)
        self.hub, self.found = translator.hub, found
        self.latents = torch.cat([one.latents for one in found.values()])

    def files(self, given: Sequence[str | Path]) -> list[InputFile]:
        """An input for each latent of the files that this was opened with."""
        named = [(path, name) for path, one in self.found.items() for name in _names(path, one)]
        return [InputFile(index, path, name) for index, (path, name) in enumerate(named)]

    def read(self, item: InputFile) -> Tensor:
        return self.latents[item.index]

    def collate(self, samples: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(samples))

    def content(self, samples: Tensor) -> Tensor:
        return self.translator.encode(samples)

    @torch.no_grad()
    def preview(self, sample: Tensor, size: int) -> Tensor:
        """What the generator that the latent was found in makes of it."""
        assert isinstance(self.translator, AnchorTranslator)
        hub = self.translator.source_domain.image_hub or self.hub
        return resized(from_unit(hub.image(sample[None].to(hub.device)))[0].cpu(), size)


def _names(path: Path, found: LatentFile) -> list[PurePath]:
    """What outputs are called after: names in a file are anybody's, so none of them may leave the output's folder."""
    count, names = len(found.latents), found.record.get("names")
    plain = [PurePath(f"{path.stem}-{number}" if count > 1 else path.stem) for number in range(1, count + 1)]
    if not isinstance(names, list) or len(names) != count:
        return plain
    given = [PurePath(str(name)) for name in names]
    return [
        other if name.is_absolute() or ".." in name.parts or not name.name or "\0" in str(name) else name
        for name, other in zip(given, plain, strict=True)
    ]


def open_latents(
    inputs: Sequence[str | Path],
    target: str | Path | Domain | None = None,
    *,
    hub: str | Path | Hub | None = None,
    seed: int | None = None,
    device: str | torch.device = "auto",
) -> Session:
    """The session that decodes the latents of files of `anchor invert`, or of published results of inversion.

    :param target: default: the domain whose pictures were inverted, where it decodes; else the hub's own pictures.
    :param hub: whose latents they are; default: the hub that the first file names.
    :param seed: gives the outputs random style 0 of that seed; default: the latents as they are.
    :raises UsageError: published results without a hub, or latents of several classes.
    :raises HubMismatchError: latents of another hub. :raises DataError: a damaged file, or one without latents.
    :raises NotFoundError: the hub is not on this machine.
    """
    files = list(dict.fromkeys(Path(item) for item in inputs))
    base = hub if isinstance(hub, Hub) else load_hub(_named(files[0]) if hub is None else hub, device)
    found = {file: read_latents(file, base) for file in files}
    record = next(iter(found.values())).record
    if base.classes:
        base = _of_class(base, found)
    source = _source(record, base)
    if target is None:
        target = source if source.can_decode else hub_pictures(base)
    elif not isinstance(target, Domain):
        target = load_domain(target, base.base, device)
    between = LatentTranslator(source, target)
    return session_of(between, seed, LatentInputs(between, found))


def _named(file: Path) -> str:
    """The hub that a file of latents names."""
    if file.suffix.lower() != SUFFIXES[0]:
        raise UsageError(f"{shown(file)}: published latents do not say of which hub they are: give --hub NAME")
    name = read_latents(file).record.get("hub")
    if not isinstance(name, str):
        raise DataError(f"{shown(file)}: does not say of which hub its latents are: give --hub NAME")
    return name


def _of_class(hub: Hub, found: Mapping[Path, LatentFile]) -> Hub:
    """The hub with the class of the latents; a class that is fixed already stays where the files name none."""
    named = {file: one.record.get("class") for file, one in found.items()}
    classes = sorted({str(name) for name in named.values() if name is not None})
    if len(classes) > 1:
        some = ", ".join(classes)[:80]
        raise UsageError(f"the latents are of {len(classes)} classes ({some}): give files of one class at a time")
    if classes:
        return hub.of_class(classes[0])
    if hub.class_index is None:
        file = shown(next(iter(named)))
        raise DataError(f"{file}: does not say of which class its latents are; invert the pictures again with --class")
    return hub


def _source(record: Mapping[str, Any], hub: Hub) -> Domain:
    """The domain whose pictures were inverted; the hub's own pictures where there was none, or it is gone."""
    name = record.get("domain")
    if isinstance(name, str):
        with contextlib.suppress(NotFoundError, HubMismatchError):
            return load_domain(name, hub.base)
    return hub_pictures(hub)
