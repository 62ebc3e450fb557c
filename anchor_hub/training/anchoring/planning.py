"""The plan of `anchor add-domain`, resolved from the registry and the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import AnchorError, UsageError, did_you_mean
from anchor_hub.hubs.classes import read_classes
from anchor_hub.plugins.finding import registered_domain
from anchor_hub.plugins.registry import registry
from anchor_hub.specs import DomainSpec, check_name

#: Name of an encoder that stands for none: the domain is a target only.
NO_ENCODER = "none"
#: The recipe of domains that name no other.
METHOD = "anchor"

# Defaults of `anchor add-domain`; the `training` table of a registered domain may replace them.
DEFAULTS: dict[str, Any] = {"count": 3000, "images": 20_000, "batch": 16, "mirror": False}


@dataclass(frozen=True)
class DomainPlan:
    """Everything one domain's training depends on, resolved from the registry and the call.

    :param hub_class: the class of a class-conditional hub, by name or index; None for other hubs.
    :param dataset: ``"name:argument"`` of a registered data set, where no ``data`` folder is given.
    :param count: images to make or find in that data set.
    :param images: number of images to train on in total (each image is seen several times).
    :param start_from: a domain (name, or bundle's folder) with the same networks; the training begins with its weights.
    :param half: store the weights in half precision.
    :param method: the registered recipe that trains the domain.
    :param requires: bundles that the recipe builds on, beside the hub.
    """

    name: str
    hub: str
    modality: Mapping[str, Any]
    data: str | None
    dataset: str | None
    options: Mapping[str, Any]
    count: int
    images: int | None
    batch: int
    mirror: bool
    max_minutes: float | None = None
    seed: int = 0
    where: str | None = None
    limit: int | None = None
    hub_class: str | None = None
    start_from: str | Path | None = None
    half: bool = False
    method: str = METHOD
    requires: Mapping[str, str] = field(default_factory=dict)


def plan_domain(
    name: str,
    *,
    hub: str | None = None,
    data: str | Path | None = None,
    modality: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> DomainPlan:
    """The plan of ``anchor add-domain NAME``; settings that are ``None`` take the defaults.

    :raises UsageError: a bad name, or a name that nobody registered without data and modality.
    """
    check_name(name, "domain name")
    spec = registered_domain(name)
    only_decodes = ((options or {}).get("encoder") or {}).get("name") == NO_ENCODER
    if only_decodes and spec is None:
        modality = modality or {"name": "rgb"}
    if spec is None and (modality is None or (data is None and not only_decodes)):
        raise _unknown_domain(name)
    minutes = settings.get("max_minutes")
    if minutes is not None and not minutes > 0:
        raise UsageError(f"--max-minutes {minutes:g} leaves no time to train: give more, or only --images")
    spec = spec or DomainSpec(name, hub=hub or default_hub(), modality=modality or {})
    if data is None and not spec.dataset and not only_decodes:
        raise UsageError(f"domain {name!r} comes without images of its own; give a folder of them: --data FOLDER")
    if not spec.modality.get("name"):
        raise UsageError(f"domain {name!r}: say what its images are, e.g. --modality rgb")
    training = dict(spec.training)
    own = {key: training.pop(key) for key in (*DEFAULTS, "max_minutes") if key in training}
    if "class" in training:
        own["hub_class"] = str(training.pop("class"))
    if "method" in training:
        own["method"] = str(training.pop("method"))
    chosen = {**DEFAULTS, **own, **{key: value for key, value in settings.items() if value is not None}}
    if chosen.get("method", METHOD) != own.get("method", METHOD):
        training = {}  # options of another recipe
    return DomainPlan(
        name=name,
        hub=hub or spec.hub,
        modality=dict(modality or spec.modality),
        data=None if data is None else str(data),
        dataset=None if data is not None else spec.dataset,
        options=_options(chosen, training, options or {}, str((modality or spec.modality)["name"])),
        **chosen,
    )


def _unknown_domain(name: str) -> UsageError:
    domains = registry().domains
    addable = [known for known in domains if (spec := registered_domain(known)) is not None and spec.dataset]
    near = did_you_mean(name, domains) if addable else ""
    known = near if near.startswith(" Did") else f" Domains that can be added by name: {', '.join(addable) or 'none'}."
    return UsageError(
        f"no registered domain is called {name!r}.{known} For a domain of your own say what its images are and where: "
        f"anchor add-domain {name} --data FOLDER --modality rgb"
    )


def _merged_options(registered: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a registered domain with those of the call over them.

    Weights, and options of the same network, are merged by name.
    """
    merged = {**registered, **given}
    if isinstance(registered.get("weights"), Mapping) and "weights" in given:
        merged["weights"] = {**registered["weights"], **given["weights"]}
    for key in ("encoder", "regressor"):
        own = registered.get(key)
        if isinstance(own, Mapping) and key in given and own.get("name") == given[key].get("name"):
            merged[key] = {**own, **given[key]}
    return merged


def _options(
    chosen: Mapping[str, Any], registered: Mapping[str, Any], given: Mapping[str, Any], modality: str
) -> dict[str, Any]:
    if chosen.get("method", METHOD) != METHOD:
        return {**registered, **given}
    return _with_published_networks(registered, given, modality)


def _with_published_networks(
    registered: Mapping[str, Any], given: Mapping[str, Any], modality: str
) -> dict[str, Any]:
    """The merged options; for the published objective, its networks for the modality where the call names none.

    The encoder of a registered domain is made for the aligned objective, so it is replaced. A decoder ``hub`` stays: it
    is right for both objectives.
    """
    options = _merged_options(registered, given)
    if options.get("objective") != "published":
        return options
    from anchor_hub.training.anchoring.presets import published_preset

    try:
        preset = published_preset(modality)
    except AnchorError:  # the recipe reports it
        return options
    if "encoder" not in given:
        options["encoder"] = {"name": preset.encoder}
    return {"regressor": {"name": preset.regressor}, **options}


def default_hub() -> str:
    """The hub new domains are anchored to: the only one on this machine, or else the first first-party one.

    Hubs without classes come first, because a hub with classes needs a choice of one.
    """
    hubs = {name: found for name, found in registry().hubs.items() if found.bundle is not None}
    if not hubs:
        raise UsageError("no hub is installed; train one (anchor hubs train) or install a bundle (anchor hubs install)")

    def order(name: str) -> tuple[bool, bool]:
        try:
            classes = bool(read_classes(open_bundle(str(hubs[name].bundle))))
        except AnchorError:  # a damaged bundle is reported when somebody uses it
            classes = False
        return hubs[name].source != "first-party", classes

    return min(hubs, key=order)


def modality_table(
    domain: str,
    name: str | None,
    *,
    classes: int | None = None,
    palette: str | None = None,
    merge_classes: Path | None = None,
    ignore_id: int | None = None,
    span: str | None = None,
    settings: Sequence[str] = (),
) -> dict[str, Any] | None:
    """The modality that the call names, or a registered domain's with the call's options; ``None`` changes nothing.

    :func:`anchor_hub.modality.options.modality_table` lists the options.
    """
    from anchor_hub.modality.options import modality_table as with_options

    known = registered_domain(domain)
    if name is None and known is None:
        if not settings and all(value is None for value in (classes, palette, merge_classes, ignore_id, span)):
            return None
        raise UsageError(f"domain {domain!r} is new: say what its images are, e.g. --modality segmentation")
    base = {"name": name} if name is not None else dict(known.modality) if known is not None else {}
    table = with_options(
        base, classes=classes, palette=palette, merge_classes=merge_classes, ignore_id=ignore_id, span=span,
        settings=settings,
    )
    return None if name is None and table == base else table


def _check_network(kind: str, name: str) -> None:
    """Check, before anything is rendered or loaded, that there is a network of that name."""
    from anchor_hub.domains.anchored import HUB_DECODER
    from anchor_hub.networks.encoders import ENCODERS
    from anchor_hub.networks.regressors import REGRESSORS

    known = [NO_ENCODER, *ENCODERS] if kind == "encoder" else [HUB_DECODER, *REGRESSORS]
    if name not in known:
        raise UsageError(f"--{kind}: there is no {kind} {name!r}. Known: {', '.join(sorted(known))}.")


def option_table(
    *,
    layers: str | None = None,
    encoder: str | None = None,
    regressor: str | None = None,
    weights: list[str] | tuple[str, ...] = (),
    **values: Any,
) -> dict[str, Any]:
    """Anchoring options from what a command line gives; ``None`` leaves an option at its default."""
    table = {key: value for key, value in values.items() if value is not None}
    for key, network in (("encoder", encoder), ("regressor", regressor)):
        if network is not None:
            _check_network(key, network)
            table[key] = {"name": network}
    if layers is not None:
        try:
            table["resolutions"] = tuple(int(part) for part in layers.split(","))
        except ValueError:
            raise UsageError(f"--layers {layers!r} is not a list of resolutions such as 16,32,64") from None
    pairs = {}
    for text in weights:
        term, _, number = text.partition("=")
        try:
            pairs[term.strip()] = float(number)
        except ValueError:
            raise UsageError(f"--weight {text!r} must read TERM=NUMBER, e.g. edges=0.5") from None
    if pairs:
        table["weights"] = pairs
    return table
