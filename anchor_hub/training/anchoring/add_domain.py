"""Adds a domain: finds or renders its images, trains it against the frozen hub, registers the bundle in the home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.errors import UsageError
from anchor_hub.plugins.registry import registry
from anchor_hub.training.anchoring.planning import DEFAULTS as DEFAULTS
from anchor_hub.training.anchoring.planning import METHOD, NO_ENCODER
from anchor_hub.training.anchoring.planning import DomainPlan as DomainPlan
from anchor_hub.training.anchoring.planning import default_hub as default_hub
from anchor_hub.training.anchoring.planning import modality_table as modality_table
from anchor_hub.training.anchoring.planning import option_table as option_table
from anchor_hub.training.anchoring.planning import plan_domain as plan_domain

if TYPE_CHECKING:
    from anchor_hub.training.base import RunSettings

#: Opens a progress bar and gives its `update(done, total)`.
ProgressBar = Callable[[], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class AddedDomain:
    """The result of :func:`add_domain`. ``bundle`` is None where the run was interrupted (``exit_code`` says how)."""

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

    The training reads images of this domain alone, and writes only its own run folder and bundle. An existing bundle
    stays as it is until the new one is complete.

    :param resume: go on with the run in the run folder.
    :param overwrite: replace the domain's bundle, and start afresh where its run folder holds an earlier run (unless
        resumed).
    :param license, data_license: licences of the weights and of the images that the bundle records; by default
        "unknown", or the licence that the data set's plugin states.
    :raises UsageError, DataError, ImageError: the plan cannot be carried out; the message names the file.
    """
    from anchor_hub.training.base import RunSettings, TrainingPlan
    from anchor_hub.training.engine.orchestration import find_recipe, train

    run = RunSettings(
        device=device, precision=precision, run_dir=None if run_dir is None else Path(run_dir),
        output=None if output is None else Path(output), resume=resume, overwrite=overwrite, workers=workers,
        processes=processes, skip_bad=skip_bad, license=license, data_license=data_license, quiet=quiet,
    )  # fmt: skip
    recipe = find_recipe(plan.method, "domain")[1]
    own = {"hub_class": plan.hub_class, "start_from": plan.start_from, "half": plan.half or None}
    options = {**plan.options, **{key: value for key, value in own.items() if value is not None}}
    if plan.method == METHOD and (plan.options.get("encoder") or {}).get("name") == NO_ENCODER:
        return _own_pictures(plan, options, run)
    if plan.data is None and str(plan.dataset).partition(":")[0] not in registry().datasets:
        raise UsageError(
            f"domain {plan.name!r} trains on data set {str(plan.dataset).partition(':')[0]!r}, which no plugin "
            "provides; give --data FOLDER"
        )
    data, hub = recipe.data[0], {"hub": plan.hub} if "hub" in recipe.requires else {}
    trained = train(
        TrainingPlan(
            plan.name, plan.method, {data: str(plan.data or plan.dataset)}, {**hub, **plan.requires}, options,
            {data: plan.modality}, batch=plan.batch, images=plan.images, minutes=plan.max_minutes, seed=plan.seed,
            mirror=plan.mirror, count=plan.count, where=plan.where, limit=plan.limit,
        ),
        run,
        progress=None if progress is None else lambda name: progress(),
    )  # fmt: skip
    result = trained.run
    return AddedDomain(
        plan.name, trained.bundle, trained.run_dir, result.images, result.minutes, result.exit_code, trained.skipped
    )


def _own_pictures(plan: DomainPlan, options: Mapping[str, Any], run: RunSettings) -> AddedDomain:
    """The domain of the hub's own pictures without an encoder: a target only, with nothing to train.

    :raises UsageError: the plan's pictures are not the hub's own.
    """
    from anchor_hub.domains.anchored import HUB_DECODER, AnchoredDomain
    from anchor_hub.hubs.loading import load_hub
    from anchor_hub.modality import build_modality
    from anchor_hub.system.devices import resolve_device
    from anchor_hub.training.anchoring.domain import of_class
    from anchor_hub.training.anchoring.options import DomainOptions
    from anchor_hub.training.base import TrainingPlan
    from anchor_hub.training.engine.orchestration import target_of
    from anchor_hub.training.engine.provenance import licenses, provenance
    from anchor_hub.training.engine.targets import check_target_is_free

    target, run_dir = target_of("domain", TrainingPlan(plan.name, plan.method), run)
    check_target_is_free("domain", plan.name, target, run_dir, resume=run.resume, overwrite=run.overwrite)
    chosen = DomainOptions.from_dict(options)
    hub = of_class(load_hub(plan.hub, resolve_device(run.device)), plan.name, chosen.hub_class)
    modality = build_modality(plan.modality)
    if plan.start_from is not None:
        raise UsageError(f"domain {plan.name!r}: --encoder none trains nothing; leave --start-from out")
    if chosen.regressor["name"] != HUB_DECODER or modality.name != "rgb":
        raise UsageError(
            f"domain {plan.name!r}: only a domain of the hub's own RGB pictures can do without an encoder; add "
            "--regressor hub"
        )
    domain = AnchoredDomain.build(plan.name, modality, hub, regressor=HUB_DECODER)
    record = provenance("anchor add-domain", data="none: the hub's own pictures", hub_class=hub.class_name)
    license = licenses(run.license, run.data_license, None)
    bundle = domain.save(target, provenance=record, license=license, overwrite=True)
    return AddedDomain(plan.name, bundle, run_dir, 0, 0.0)
