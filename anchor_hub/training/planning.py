"""Plans of translators and priors: what a registered one says, and what the call says over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anchor_hub.errors import AnchorError, UsageError, did_you_mean
from anchor_hub.modality.options import modality_table
from anchor_hub.plugins.finding import registered_domain
from anchor_hub.plugins.names import Names
from anchor_hub.plugins.registry import registry
from anchor_hub.specs import PriorSpec, Spec, TranslatorSpec, check_name
from anchor_hub.training.base import Recipe, TrainingPlan
from anchor_hub.training.engine.orchestration import find_recipe

#: Keys of a registered ``training`` table that are the plan's, and how it calls them; the others are recipe options.
PLANNED = {"images": "images", "max_minutes": "minutes", "batch": "batch", "seed": "seed", "mirror": "mirror",
           "count": "count"}  # fmt: skip
#: Keys of such a table that are tables themselves, completed by the call's.
TABLES = ("requires", "modalities")


def plan_training(
    kind: str,
    name: str,
    *,
    recipe: str | None = None,
    backend: str | None = None,
    source: str | None = None,
    targets: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    requires: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    modalities: Mapping[str, str] | None = None,
    modality_options: Mapping[str, Sequence[str]] | None = None,
    **settings: Any,
) -> TrainingPlan:
    """What ``anchor translators train NAME`` (or ``priors``) is going to do.

    :param kind: "translator" or "prior". :param recipe: default: the backend's own. :param backend: whose bundle it is.
    :param data: data set's name -> folder; the name ``""`` is the only data set's. Default: the data sets of registered
        domains that are called as the translator's ends are.
    :param modalities: data set's name -> modality's name; ``""``: of every data set. Default: those of registered
        domains that are called as the translator's ends are, else RGB.
    :param modality_options: data set's name (or ``""``) -> options of its modality, ``name=value`` each.
    :param settings: of :class:`~anchor_hub.training.TrainingPlan` (``max_minutes``: its ``minutes``); ``None`` takes
        the registered value, or the default.
    :raises UsageError, NotFoundError: a name, recipe or data set that nobody knows; something missing.
    """
    check_name(name, f"{kind} name")
    spec = _registered(kind, name)
    table = dict(getattr(spec, "training", {}))
    own = {PLANNED[key]: table.pop(key) for key in PLANNED if key in table}
    tables: dict[str, Any] = {key: table.pop(key, {}) for key in TABLES}
    given = {PLANNED.get(key, key): value for key, value in settings.items() if value is not None}
    chosen = recipe or _recipe_of(kind, name, backend, spec)
    found = find_recipe(chosen, kind)[1]
    if chosen != _recipe_or_none(kind, spec):
        table = {}  # options of another recipe
    ends = (str(source or getattr(spec, "source", "")), tuple(targets) or tuple(getattr(spec, "targets", ())))
    return TrainingPlan(
        name,
        chosen,
        data={**_data_of_ends(found, ends), **getattr(spec, "data", {}), **_named(data or {}, found, chosen)},
        requires={**tables["requires"], **(requires or {})},
        options={**table, **(options or {})},
        modalities=_modalities(found, ends, tables["modalities"], modalities or {}, modality_options or {}),
        source=ends[0],
        targets=ends[1],
        **{**own, **given},
    )


def _registered(kind: str, name: str) -> TranslatorSpec | PriorSpec | None:
    """What is registered under the name; a bundle in the home that cannot be read counts as nothing."""
    known: Names[Any] = registry().translators if kind == "translator" else registry().priors
    try:
        return known[name].spec if name in known else None
    except AnchorError:
        return None


def _recipe_or_none(kind: str, spec: Spec | None) -> str | None:
    if isinstance(spec, PriorSpec):
        return spec.recipe or None
    return _of_backend(spec.backend) if isinstance(spec, TranslatorSpec) and spec.backend else None


def _of_backend(backend: str) -> str | None:
    """The recipe that makes the backend's translators: the last of its stages."""
    known, recipes = registry().recipes, registry().backends[backend].spec.recipes
    fitting = [name for name in recipes if (first := known.first(name)) is not None and first.spec.kind == "translator"]
    return fitting[-1] if fitting else None


def _recipe_of(kind: str, name: str, backend: str | None, spec: Spec | None) -> str:
    recipe = _of_backend(backend) if backend else _recipe_or_none(kind, spec)
    if recipe is not None:
        return recipe
    if backend:
        raise UsageError(f"backend {backend!r} names no recipe that makes its translators; give one: --recipe NAME")
    known = registry().recipes
    fitting = [item for item in known if (first := known.first(item)) is not None and first.spec.kind == kind]
    how = f"--recipe NAME (there are: {', '.join(fitting) or 'none'})"
    registered: Names[Any] = registry().translators if kind == "translator" else registry().priors
    near = did_you_mean(name, registered) if spec is None and len(registered) else ""
    raise UsageError(f"{kind} {name!r}: nothing says how it is trained; give {how}.{near}")


def _named(data: Mapping[str, str], recipe: type[Recipe], chosen: str) -> dict[str, str]:
    """Folders by data set's name; a folder without a name is the only data set's."""
    if "" in data and len(recipe.data) != 1:
        known = " ".join(f"--data {name}=FOLDER" for name in recipe.data)
        raise UsageError(f"recipe {chosen!r} reads {len(recipe.data)} data sets; say which one this is: {known}")
    return {name or recipe.data[0]: folder for name, folder in data.items()}


def _modalities(
    recipe: type[Recipe],
    ends: tuple[str, tuple[str, ...]],
    registered: Mapping[str, Mapping[str, Any]],
    names: Mapping[str, str],
    options: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, Any]]:
    for name in (*names, *options):
        if name and name not in recipe.data:
            raise UsageError(f"recipe {recipe.name!r} reads no data set {name!r}.{did_you_mean(name, recipe.data)}")
    known, found = _domains_of(ends), {}
    for data in recipe.data:
        called = names.get(data) or names.get("")
        table = dict(registered.get(data) or _of_domain(known.get(data, "")))
        if called is not None and called != table["name"]:
            table = {"name": called}
        found[data] = modality_table(table, settings=[*options.get("", ()), *options.get(data, ())])
    return found


def _domains_of(ends: tuple[str, tuple[str, ...]]) -> dict[str, str]:
    """By data set the end whose name may be a domain's."""
    return {"source": ends[0], "target": ends[1][0] if len(ends[1]) == 1 else ""}


def _data_of_ends(recipe: type[Recipe], ends: tuple[str, tuple[str, ...]]) -> dict[str, str]:
    """The data sets of registered domains that are called as the ends are, where the recipe reads source and target."""
    specs = {data: registered_domain(name) for data, name in _domains_of(ends).items() if data in recipe.data}
    return {data: spec.dataset for data, spec in specs.items() if spec is not None and spec.dataset}


def _of_domain(name: str) -> dict[str, Any]:
    """The modality of a registered domain of that name; else RGB."""
    spec = registered_domain(name)
    return {"name": "rgb"} if spec is None else dict(spec.modality)
