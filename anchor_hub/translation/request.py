"""A translation as the command line describes it: names and options in, translator and styles out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.bundles.base import open_bundle
from anchor_hub.domains.anchored import HUB_DECODER
from anchor_hub.domains.base import Domain
from anchor_hub.domains.loading import load_domain
from anchor_hub.errors import AnchorError, DomainNotFoundError, UsageError
from anchor_hub.modality import Modality, build_modality
from anchor_hub.translation.anchor import AnchorTranslator, translator
from anchor_hub.translation.running import StyleChoice
from anchor_hub.translation.styles import check_exemplar_layers, default_style_layers, parse_layers


@dataclass(frozen=True)
class Job:
    """What ``translate_files`` needs. ``reading``: the modality that reads, where not the source's own."""

    translator: AnchorTranslator
    choice: StyleChoice
    reading: Modality | None = None


def prepare(
    source: str | Path,
    target: str | Path,
    *,
    styles: int = 0,
    vary: bool = False,
    style_from: Sequence[str | Path] = (),
    style_domain: str | Path | None = None,
    style_layers: str | None = None,
    truncation: float = 1.0,
    seed: int | None = None,
    merge_classes: Path | None = None,
    backend: str = "anchor",
    device: str = "auto",
) -> Job:
    """Load what a translation needs; options that contradict each other are refused before anything is loaded.

    :param style_from: exemplar images; each gives one output per input. ``style_domain`` encodes them.
    :param style_layers: as ``parse_layers`` reads them.
    :param seed: of the random styles; given alone it asks for one.
    :param merge_classes: YAML file that merges the classes of label maps as they are read.
    :param backend: the translator backend; others than ``anchor`` are classes to be used from Python.
    :raises UsageError: options that contradict each other, or layers the hub has not.
    """
    check_backend(backend)
    count = max(styles, 1) if seed is not None and not style_from else styles
    if style_from and styles:
        raise UsageError("--styles draws random styles, --style-from takes an image's: use one of them")
    if not count:
        for option, given in (("--truncation", truncation != 1.0), ("--vary", vary)):
            if given:
                raise UsageError(f"{option} acts on random styles: give --styles N, too")
    if style_layers is not None and not (count or style_from):
        raise UsageError("--style-layers says where a style goes: give --styles N or --style-from IMAGE, too")
    if style_domain is not None and not style_from:
        raise UsageError("--style-domain encodes an exemplar: give --style-from IMAGE, too")
    between = translator(source, target, device=device)
    layers = None if style_layers is None else parse_layers(style_layers, between.hub.num_latents)
    exemplars: Tensor | None = None
    pictures: tuple[Tensor, ...] = ()
    if style_from:
        used = layers or default_style_layers(between.source)
        domain = exemplar_domain(between, style_domain)
        exemplars, pictures = exemplar_styles(domain, style_from, used)
    reading = None if merge_classes is None else merged(between.source, merge_classes)
    choice = StyleChoice(count, vary, seed or 0, truncation, layers, exemplars, pictures)
    return Job(between, choice, reading)


def check_backend(name: str) -> None:
    """Whether files can be translated by that backend.

    :raises BackendNotFoundError: nobody registered it. :raises UsageError: it takes more than two domains' names.
    """
    from anchor_hub.plugins.registry import registry

    found = registry().backends[name]
    if name != "anchor":
        raise UsageError(
            f"the backend {name!r} ({found.label}) is used from Python ({found.spec.target}); files are translated by "
            "--backend anchor"
        )


def exemplar_styles(
    domain: Domain, paths: Sequence[str | Path], layers: tuple[int, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The styles of exemplar images (their W+ codes ``[n, L, D]`` from a domain's encoder), and previews.

    :raises UsageError: the domain has nothing but the mean latent in some of ``layers``.
    :raises ImageError: an exemplar cannot be read.
    """
    check_exemplar_layers(domain, layers)
    modality, size = domain.modality, domain.hub.size
    samples = [modality.read(Path(path), size) for path in paths]
    with torch.no_grad():
        codes = domain.encode(modality.to_network(modality.collate(samples)).to(domain.hub.device))
    return codes, tuple(modality.preview(sample, size) for sample in samples)


def exemplar_domain(translator: AnchorTranslator, name: str | Path | None = None) -> Domain:
    """The domain that encodes exemplars: the one named; else the target or the source where it is rgb and
    encodes; else the first rgb domain of this hub that decodes through the hub itself.

    :raises DomainNotFoundError: there is none of these; name one with ``--style-domain``.
    """
    from anchor_hub.plugins.registry import registry

    if name is not None:
        domain = load_domain(name, translator.hub)
        if not domain.can_encode:
            raise UsageError(
                f"--style-domain {name}: this domain has no encoder, so it cannot read an exemplar"
            )
        return domain
    for own in (translator.target, translator.source):
        if own.modality.name == "rgb" and own.can_encode:
            return own
    domains = registry().domains
    for candidate in domains:
        try:
            record = domains[candidate]
            if record.bundle is None or record.spec.modality.get("name") != "rgb":
                continue
            manifest = open_bundle(record.bundle, "domain").manifest
        except AnchorError:
            continue
        drives = manifest.architecture.get("regressor") == HUB_DECODER and manifest.architecture.get(
            "encoder"
        )
        if drives and manifest.hub_fingerprint == translator.hub.fingerprint:
            return load_domain(candidate, translator.hub)
    raise DomainNotFoundError(
        f"no rgb domain of hub {translator.hub.name!r} can encode the exemplar: name one with --style-domain"
    )


def merged(source: Domain, table: Path) -> Modality:
    """A modality that reads label maps of finer classes, which ``table`` (YAML) merges into the source's own.

    The finer classes are those of the source's palette, or of the known palette that has all the names in the
    table; a table of ids alone may merge maps of any classes.

    :raises UsageError: the source's files are no label maps, or the table makes another number of classes.
    :raises ConfigError: a table that is wrong in itself.
    """
    from anchor_hub.modality.merging import REST, load_merge_table
    from anchor_hub.modality.palettes import PALETTES

    own = source.modality
    if own.name != "segmentation":
        raise UsageError(f"--merge-classes merges label maps, but domain {source.name!r} is {own.name}")
    groups = load_merge_table(table)
    members = [member for group in groups.values() for member in group if member != REST]
    names = {member for member in members if isinstance(member, str)}
    ids = [member for member in members if isinstance(member, int)]
    options: dict[str, Any] = {"name": "segmentation", "merge": groups}
    palette = own.options().get("palette")
    if isinstance(palette, list) and names and names <= {str(entry.get("name")) for entry in palette}:
        options["palette"] = palette
    elif names:
        known = [name for name in ([palette] if isinstance(palette, str) else []) + list(PALETTES) if name in PALETTES]
        # Where none has all the names, the first one's error says which of them it lacks.
        options["palette"] = next((name for name in known if names <= set(PALETTES[name].names)), known[0])
    else:
        rest = any(REST in group for group in groups.values())
        options["classes"] = 256 if rest else max(ids, default=0) + 1
    reading = build_modality(options)
    if reading.input_channels != own.input_channels:
        raise UsageError(
            f"{table}: merges into {reading.input_channels} classes, but domain {source.name!r} takes "
            f"{own.input_channels}"
        )
    return reading
