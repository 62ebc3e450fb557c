"""Adding a domain: find or render its images, train it against the frozen hub, register the bundle at home."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import AnchorError, UsageError, did_you_mean
from anchor_hub.hubs.classes import read_classes
from anchor_hub.plugins.registry import registry
from anchor_hub.specs import DomainSpec, check_name
from anchor_hub.system.home import home

if TYPE_CHECKING:
    from torch import Tensor

    from anchor_hub.data.image_folder import ImageFolder
    from anchor_hub.hubs.base import Hub
    from anchor_hub.modality import Modality
    from anchor_hub.training.anchoring.options import AnchorOptions
    from anchor_hub.training.anchoring.recipe import AnchorRecipe

#: In place of an encoder: the domain is a target only.
NO_ENCODER = "none"
#: Opens a progress bar and gives its `update(done, total)`.
ProgressBar = Callable[[], AbstractContextManager[Callable[[int, int], None]]]

# What `anchor add-domain` does unless told otherwise; a registered domain's `training` table may say otherwise.
DEFAULTS: dict[str, Any] = {"count": 3000, "images": 20_000, "batch": 16, "mirror": False}


@dataclass(frozen=True)
class DomainPlan:
    """Everything one domain's training depends on, resolved from the registry and the call.

    :param hub_class: the class of a class-conditional hub, by name or index; None for other hubs.
    :param dataset: ``"name:argument"`` of a registered data set, where no ``data`` folder is given.
    :param count: images to make or find in that data set.
    :param images: images to train on in total (each is seen several times).
    :param start_from: a domain (name, or bundle's folder) of the same networks, whose weights the training begins with.
    :param half: store the weights in half precision.
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


def plan_domain(
    name: str,
    *,
    hub: str | None = None,
    data: str | Path | None = None,
    modality: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    **settings: Any,
) -> DomainPlan:
    """What ``anchor add-domain NAME`` is going to do; settings that are ``None`` take the defaults.

    :raises UsageError: a bad name, or a name nobody registered given without data and modality.
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
    chosen = {**DEFAULTS, **own, **{key: value for key, value in settings.items() if value is not None}}
    return DomainPlan(
        name=name,
        hub=hub or spec.hub,
        modality=dict(modality or spec.modality),
        data=None if data is None else str(data),
        dataset=None if data is not None else spec.dataset,
        options=_with_published_networks(training, options or {}, str((modality or spec.modality)["name"])),
        **chosen,
    )


def registered_domain(name: str) -> DomainSpec | None:
    """What is registered under the name; a bundle in the home that cannot be read counts as nothing."""
    try:
        found = registry().domains.get(name)
    except AnchorError:
        return None
    return found.spec if found is not None else None


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
    """The call's options over a registered domain's; weights, and options of one network, are merged by name."""
    merged = {**registered, **given}
    if isinstance(registered.get("weights"), Mapping) and "weights" in given:
        merged["weights"] = {**registered["weights"], **given["weights"]}
    for key in ("encoder", "regressor"):
        own = registered.get(key)
        if isinstance(own, Mapping) and key in given and own.get("name") == given[key].get("name"):
            merged[key] = {**own, **given[key]}
    return merged


def _with_published_networks(
    registered: Mapping[str, Any], given: Mapping[str, Any], modality: str
) -> dict[str, Any]:
    """The merged options; for the published objective with its networks of the modality where none are named.

    A registered domain's own encoder is made for the aligned objective; that its decoder is the hub holds for both.
    """
    options = _merged_options(registered, given)
    if options.get("objective") != "published":
        return options
    from anchor_hub.training.anchoring.presets import published_preset

    try:
        preset = published_preset(modality)
    except AnchorError:  # said when the recipe is made
        return options
    if "encoder" not in given:
        options["encoder"] = {"name": preset.encoder}
    return {"regressor": {"name": preset.regressor}, **options}


def default_hub() -> str:
    """The hub new domains are anchored to: the only one on this machine, or else the first first-party one.

    Hubs without classes come first: those with classes need one to be said.
    """
    hubs = {name: found for name, found in registry().hubs.items() if found.bundle is not None}
    if not hubs:
        raise UsageError("no hub is installed; train one (anchor hubs train) or install a bundle (anchor hubs install)")

    def order(name: str) -> tuple[bool, bool]:
        try:
            classes = bool(read_classes(open_bundle(str(hubs[name].bundle))))
        except AnchorError:  # a damaged bundle is told when somebody uses it
            classes = False
        return hubs[name].source != "first-party", classes

    return min(hubs, key=order)


def prepare_data(plan: DomainPlan, size: int, progress: Callable[[int, int], None] | None = None) -> Path | str:
    """The folder to train on: the caller's, or the registered data set's for this domain (made now if need be)."""
    if plan.data is not None:
        return plan.data
    assert plan.dataset is not None
    dataset, _, argument = plan.dataset.partition(":")
    found = registry().datasets.get(dataset)
    if found is None:
        raise UsageError(
            f"domain {plan.name!r} trains on data set {dataset!r}, which no plugin provides; give --data FOLDER"
        )
    make = registry().load(found.spec.target)
    return Path(make(argument, size=size, count=plan.count, seed=plan.seed, home=home(), progress=progress))


@dataclass(frozen=True)
class AddedDomain:
    """How adding ended. ``bundle`` is None where the run was interrupted (``exit_code`` says how)."""

    name: str
    bundle: Path | None
    run_dir: Path
    images: int
    minutes: float
    exit_code: int = 0
    skipped: list[str] = field(default_factory=list)


def add_domain(
    plan: DomainPlan,
    *,
    device: str = "auto",
    precision: str = "auto",
    run_dir: str | Path | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 2,
    processes: int | None = None,
    skip_bad: bool = False,
    license: str | None = None,
    data_license: str | None = None,
    quiet: bool = False,
    progress: ProgressBar | None = None,
) -> AddedDomain:
    """Train the planned domain and write its bundle into the home (or ``output``).

    Reads images of this domain alone and writes nothing but its own run folder and bundle. An existing bundle stays
    as it is until the new one is complete.

    :param resume: go on with the run in the run folder.
    :param overwrite: replace the domain's bundle, and start afresh where its run folder holds an earlier run (unless
        resumed).
    :param license, data_license: of the weights and of the images, as the bundle records them; by default "unknown",
        or what is known of a rendered data set.
    :raises UsageError, DataError, ImageError: a plan that cannot be carried out, named with its file.
    """
    from anchor_hub.hubs.loading import load_hub
    from anchor_hub.system.devices import resolve_device
    from anchor_hub.training.anchoring.options import AnchorOptions
    from anchor_hub.training.engine.processes import default_processes
    from anchor_hub.training.engine.provenance import licenses, provenance, rendered_data_set
    from anchor_hub.training.engine.recipe import resolve_precision
    from anchor_hub.training.engine.targets import check_target_is_free
    from anchor_hub.training.engine.trainer import Trainer

    target = Path(output) if output is not None else home().domains / plan.name
    run = Path(run_dir) if run_dir is not None else home().runs / f"domain-{plan.name}"
    check_target_is_free("domain", plan.name, target, run, resume=resume, overwrite=overwrite)
    options = AnchorOptions.from_dict(plan.options)
    where = resolve_device(device)
    precision = resolve_precision(precision, where)
    hub = _of_class(load_hub(plan.hub, where), plan)
    if options.encoder["name"] == NO_ENCODER:
        bundle = own_pictures(plan, hub, options, target, licenses(license, data_license, None))
        return AddedDomain(plan.name, bundle, run, 0, 0.0, 0, [])
    recipe = plan_recipe(plan, hub, options)  # wrong options are told before an hour of reading
    with progress() if progress is not None else nullcontext() as update:
        images, folder, samples = load_images(
            plan, hub.size, recipe.modality, workers=workers, skip_bad=skip_bad, progress=update
        )
    if recipe.modality.name == "landmarks" and samples[0].ndim == 3 and not getattr(recipe.modality, "drawn", True):
        # Pictures of drawn landmarks instead of points: they are read back as drawings.
        recipe = plan_recipe(plan, hub, options, drawn=True)
    trainer = Trainer(
        recipe, samples, recipe.modality, run,
        batch=plan.batch, total_images=plan.images, max_minutes=plan.max_minutes, seed=plan.seed,
        precision=precision, device=where, mirror=plan.mirror, workers=workers,
        processes=processes or default_processes(where, plan.batch), options=recorded_options(plan, recipe),
        quiet=quiet,
    )  # fmt: skip
    if overwrite and not resume:
        trainer.clear_run()
    result = trainer.run(resume=resume)
    skipped = [str(entry) for entry in images.skipped]
    if not result.finished or not trainer.is_first:
        return AddedDomain(plan.name, None, run, result.images, result.minutes, result.exit_code, skipped)
    if result.steps == 0:
        raise UsageError(f"domain {plan.name!r}: the time was over before the first step; give a longer --max-minutes")
    data_set = rendered_data_set(folder)
    record = provenance(
        "anchor add-domain", data=plan.dataset or Path(str(plan.data)).name, samples=len(samples),
        images_seen=result.images, minutes=round(result.minutes, 2), seed=plan.seed, precision=trainer.precision,
        device=str(where), processes=trainer.processes, batch=plan.batch, mirror=plan.mirror,
        count=plan.count if plan.dataset else None, where=plan.where, data_set=data_set, hub_class=hub.class_name,
        options=options.to_dict(), start=recipe.start,
    )  # fmt: skip
    bundle = recipe.export(target, record, licenses(license, data_license, data_set))
    return AddedDomain(plan.name, bundle, run, result.images, result.minutes, 0, skipped)


def own_pictures(
    plan: DomainPlan, hub: Hub, options: AnchorOptions, target: Path, license: Mapping[str, str]
) -> Path:
    """Write the domain of the hub's own pictures without an encoder: a target only, with nothing to train.

    :raises UsageError: its pictures are not the hub's.
    """
    from anchor_hub.domains.anchored import HUB_DECODER, AnchoredDomain
    from anchor_hub.modality import build_modality
    from anchor_hub.training.engine.provenance import provenance

    modality = build_modality(plan.modality)
    if plan.start_from is not None:
        raise UsageError(f"domain {plan.name!r}: --encoder none trains nothing; leave --start-from out")
    if options.regressor["name"] != HUB_DECODER or modality.name != "rgb":
        raise UsageError(
            f"domain {plan.name!r}: only a domain of the hub's own RGB pictures can do without an encoder; add "
            "--regressor hub"
        )
    domain = AnchoredDomain.build(plan.name, modality, hub, regressor=HUB_DECODER)
    record = provenance("anchor add-domain", data="none: the hub's own pictures", hub_class=hub.class_name)
    return domain.save(target, provenance=record, license=license, overwrite=True)


def _of_class(hub: Hub, plan: DomainPlan) -> Hub:
    """The hub, its class fixed where it has classes. :raises UsageError, NotFoundError: no class, or a wrong one."""
    if plan.hub_class is not None:
        return hub.of_class(plan.hub_class)
    if hub.classes:
        some = ", ".join(hub.classes[:10]) + (f" ... {len(hub.classes)} in all" if len(hub.classes) > 10 else "")
        raise UsageError(
            f"hub {hub.name!r} makes pictures of several classes; say of which domain {plan.name!r} is: --class NAME "
            f"({some})"
        )
    return hub


def plan_recipe(plan: DomainPlan, hub: Hub, options: AnchorOptions, *, drawn: bool = False) -> AnchorRecipe:
    """The recipe with a fresh domain; every choice of names and sizes is checked here."""
    from anchor_hub.modality import build_modality
    from anchor_hub.training.anchoring.domain import build_domain, take_over
    from anchor_hub.training.anchoring.recipe import AnchorRecipe

    table = published_modality(plan.modality, options)
    modality = build_modality({**table, "drawn": True} if drawn else table)
    domain = build_domain(plan.name, modality, hub, options, seed=plan.seed)
    start = None if plan.start_from is None else take_over(domain, plan.start_from)
    return AnchorRecipe(domain, options, plan.images, start=start, half=plan.half)


def load_images(
    plan: DomainPlan,
    size: int,
    modality: Modality,
    *,
    workers: int,
    skip_bad: bool,
    progress: Callable[[int, int], None] | None,
) -> tuple[ImageFolder, Path | str, Tensor | ImageFolder]:
    """The domain's files, where they are, and their samples (in memory where they fit)."""
    from anchor_hub.data.image_folder import ImageFolder

    folder = prepare_data(plan, size, progress)
    images = ImageFolder(
        folder, modality, size, where=plan.where, limit=plan.limit, errors="skip" if skip_bad else "raise"
    )
    return images, folder, images.load_all(workers=workers, progress=progress)


def recorded_options(plan: DomainPlan, recipe: AnchorRecipe) -> dict[str, Any]:
    """What a resumed run must share with the one it goes on with, besides the trainer's own settings."""
    from anchor_hub.domains.base import modality_options

    return {
        "domain": plan.name,
        "hub": recipe.hub.fingerprint,
        **({"class": recipe.hub.class_index} if recipe.hub.classes else {}),
        "modality": modality_options(recipe.modality),
        **({"start": recipe.start} if recipe.start else {}),
        "total_images": plan.images,  # the learning rate's schedule depends on it
        **recipe.options.to_dict(),
    }


def published_modality(modality: Mapping[str, Any], options: Any) -> dict[str, Any]:
    """The modality as the objective needs it: published landmarks are one drawn channel, not 68 heat maps."""
    table = dict(modality)
    if options.objective == "published" and table.get("name") == "landmarks":
        table["drawn"] = True
    return table


def modality_table(
    domain: str,
    name: str | None,
    *,
    classes: int | None = None,
    palette: str | None = None,
    merge_classes: Path | None = None,
    settings: Sequence[str] = (),
) -> dict[str, Any] | None:
    """The modality that a call names, or a registered domain's with what the call adds; ``None`` leaves it alone.

    For what can be added see :func:`anchor_hub.modality.options.modality_table`.
    """
    from anchor_hub.modality.options import modality_table as with_options

    known = registered_domain(domain)
    if name is None and known is None:
        if not settings and classes is None and palette is None and merge_classes is None:
            return None
        raise UsageError(f"domain {domain!r} is new: say what its images are, e.g. --modality segmentation")
    base = {"name": name} if name is not None else dict(known.modality) if known is not None else {}
    table = with_options(base, classes=classes, palette=palette, merge_classes=merge_classes, settings=settings)
    return None if name is None and table == base else table


def _check_network(kind: str, name: str) -> None:
    """Before anything is rendered or loaded: is there a network of that name?"""
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
