"""Adding a domain: find or render its images, train it against the frozen hub, register the bundle at home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anchor_hub.errors import UsageError
from anchor_hub.home import home
from anchor_hub.registry import registry
from anchor_hub.specs import DomainSpec, check_name

# What `anchor add-domain` does unless told otherwise; a registered domain's `training` table may say otherwise.
DEFAULTS: dict[str, Any] = {"count": 3000, "images": 20_000, "batch": 16, "mirror": False}


@dataclass(frozen=True)
class DomainPlan:
    """Everything one domain's training depends on, resolved from the registry and the call.

    :param dataset: ``"name:argument"`` of a registered data set, where no ``data`` folder is given.
    :param count: images to make or find in that data set.
    :param images: images to train on in total (each is seen several times).
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
    known = registry().domains.get(name)
    spec = known.spec if known is not None else None
    if spec is None and (data is None or modality is None):
        addable = sorted(n for n, found in registry().domains.items() if found.spec.dataset)
        raise UsageError(
            f"no registered domain is called {name!r} (those that can be added by name: {', '.join(addable)}); "
            "for a domain of your own say what its images are and where: "
            f"anchor add-domain {name} --data FOLDER --modality rgb"
        )
    spec = spec or DomainSpec(name, hub=hub or default_hub(), modality=modality or {})
    if data is None and not spec.dataset:
        raise UsageError(f"domain {name!r} comes without images of its own; give a folder of them: --data FOLDER")
    training = dict(spec.training)
    own = {key: training.pop(key) for key in (*DEFAULTS, "max_minutes") if key in training}
    chosen = {**DEFAULTS, **own, **{key: value for key, value in settings.items() if value is not None}}
    return DomainPlan(
        name=name,
        hub=hub or spec.hub,
        modality=dict(modality or spec.modality),
        data=None if data is None else str(data),
        dataset=None if data is not None else spec.dataset,
        options={**training, **(options or {})},
        **chosen,
    )


def default_hub() -> str:
    """The hub new domains are anchored to: the only one, or else the first first-party one."""
    hubs = registry().hubs
    if not hubs:
        raise UsageError("no hub is installed; train one (anchor hubs train) or install a bundle (anchor hubs install)")
    return next((name for name, found in hubs.items() if found.source == "first-party"), next(iter(hubs)))


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
    workers: int = 2,
    processes: int | None = None,
    skip_bad: bool = False,
    quiet: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> AddedDomain:
    """Train the planned domain and write its bundle into the home (or ``output``).

    Reads images of this domain alone and writes nothing but its own run folder and bundle.

    :raises UsageError, DataError, ImageError: a plan that cannot be carried out, named with its file.
    """
    from anchor_hub.data.image_folder import ImageFolder
    from anchor_hub.devices import resolve_device
    from anchor_hub.hub import load_hub
    from anchor_hub.modality import build_modality
    from anchor_hub.training.anchor_options import AnchorOptions
    from anchor_hub.training.anchor_recipe import AnchorRecipe, build_domain
    from anchor_hub.training.processes import default_processes
    from anchor_hub.training.provenance import provenance
    from anchor_hub.training.recipe import resolve_precision
    from anchor_hub.training.trainer import Trainer

    options = AnchorOptions.from_dict(plan.options)
    where = resolve_device(device)
    hub = load_hub(plan.hub, where)
    modality = build_modality(published_modality(plan.modality, options))
    folder = prepare_data(plan, hub.size, progress)
    images = ImageFolder(
        folder, modality, hub.size, where=plan.where, limit=plan.limit, errors="skip" if skip_bad else "raise"
    )
    samples = images.load_all(workers=workers)

    domain = build_domain(plan.name, modality, hub, options)
    recipe = AnchorRecipe(domain, options, total_images=plan.images)
    run = Path(run_dir) if run_dir is not None else home().runs / f"domain-{plan.name}"
    trainer = Trainer(
        recipe, samples, modality, run,
        batch=plan.batch, total_images=plan.images, max_minutes=plan.max_minutes, seed=plan.seed,
        precision=resolve_precision(precision, where), device=where, mirror=plan.mirror, workers=workers,
        processes=processes or default_processes(where, plan.batch),
        options={"domain": plan.name, "hub": hub.fingerprint, "total_images": plan.images, **options.to_dict()},
        quiet=quiet,
    )  # fmt: skip
    result = trainer.run(resume=resume)
    skipped = [str(entry) for entry in images.skipped]
    if not result.finished:
        return AddedDomain(plan.name, None, run, result.images, result.minutes, result.exit_code, skipped)
    target = Path(output) if output is not None else home().domains / plan.name
    record = provenance(
        "anchor add-domain", data=str(plan.dataset or Path(plan.data or "").name), samples=len(samples), images_seen=result.images,
        minutes=result.minutes, seed=plan.seed, precision=trainer.precision, device=str(where),
        batch=plan.batch, mirror=plan.mirror, count=plan.count, where=plan.where, options=options.to_dict(),
    )  # fmt: skip
    bundle = recipe.export(target, record)
    return AddedDomain(plan.name, bundle, run, result.images, result.minutes, 0, skipped)


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
) -> dict[str, Any] | None:
    """The modality that a call names, or a registered domain's with what the call adds; ``None`` leaves it alone."""
    known = registry().domains.get(domain)
    given = {"classes": classes, "palette": palette}
    if merge_classes is not None:
        from anchor_hub.modality.merging import load_merge_table

        given["merge"] = load_merge_table(merge_classes)
    given = {key: value for key, value in given.items() if value is not None}
    if name is None:
        if not given:
            return None
        if known is None:
            raise UsageError(f"domain {domain!r} is new: say what its images are, e.g. --modality segmentation")
        return {**known.spec.modality, **given}
    if given and name != "segmentation":
        raise UsageError(f"--classes, --palette and --merge-classes are for label maps, not for modality {name!r}")
    return {"name": name, **given}


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
