"""What is wrong with a recipe: the part of the contract suite (`anchor_hub.testing.check_recipe`) that trains."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import AnchorError, ConfigError
from anchor_hub.specs import RECIPE_KINDS
from anchor_hub.training.base import Contents, Recipe, Samples, TrainingPlan
from anchor_hub.training.contents import write_contents
from anchor_hub.training.engine.checkpoint import load_newest_checkpoint
from anchor_hub.training.engine.trainer import Trainer

NO_SUCH_OPTION = "there_is_no_such_option"


def recipe_faults(
    recipe: type[Recipe], data: Mapping[str, Samples], plan: TrainingPlan, required: Mapping[str, Any], batch: int
) -> Iterator[str]:
    """Sentences about what breaks the contract; none where all is well. Trains eight steps on the CPU."""
    name = recipe.name
    if not name or recipe.kind not in RECIPE_KINDS:
        yield f"name {name!r}, kind {recipe.kind!r}: a recipe has a name, and a kind of {', '.join(RECIPE_KINDS)}"
        return
    if not set(recipe.data) - set(recipe.optional) <= set(data) <= set(recipe.data):
        yield f"it reads the data sets {', '.join(recipe.data)}, not {', '.join(data)}"
        return
    try:
        recipe.Options.read({NO_SUCH_OPTION: 1}, name)
        yield "its Options take an option that it does not have: derive them from RecipeOptions"
    except ConfigError:
        pass
    except AnchorError as error:
        if NO_SUCH_OPTION not in str(error):
            yield f"its Options refuse an unknown option without naming it: {error}"
    with tempfile.TemporaryDirectory(prefix="anchor-check-") as folder:
        yield from _training_faults(recipe, data, plan, required, batch, Path(folder))


def _training_faults(
    recipe: type[Recipe],
    data: Mapping[str, Samples],
    plan: TrainingPlan,
    required: Mapping[str, Any],
    batch: int,
    folder: Path,
) -> Iterator[str]:
    def run(where: str, steps: int, resume: bool = False) -> Recipe:
        ready = recipe.build(plan, recipe.Options.read(plan.options, recipe.name), required).fitted(data)
        trainer = Trainer(
            ready, ready.trained_on(data), folder / where, batch=batch, total_images=steps * batch, seed=plan.seed,
            sample_every=2, quiet=True, options=ready.describe() or {},
        )  # fmt: skip
        trainer.run(resume)
        return ready

    before = [parameter.clone() for parameter in _weights(required)]
    trained = run("whole", 4)
    if any(not torch.equal(old, new) for old, new in zip(before, _weights(required), strict=True)):
        yield "its training changes the weights of what it requires"
        return
    run("parts", 2)
    run("parts", 4, resume=True)
    whole, parts = (load_newest_checkpoint(folder / where / "checkpoints") for where in ("whole", "parts"))
    assert whole is not None and parts is not None
    for place in differences(whole.state["recipe"], parts.state["recipe"]):
        yield f"two steps, a resumed run and two more are not four steps: {place} of state_dict() differs"
        break
    if recipe.kind != "judges":
        yield from _contents_faults(trained, plan, folder)


def _weights(required: Mapping[str, Any]) -> list[Tensor]:
    holders = [getattr(item, "generator", item) for item in required.values()]
    return [value for item in holders if isinstance(item, torch.nn.Module) for value in item.parameters()]


def _contents_faults(recipe: Recipe, plan: TrainingPlan, folder: Path) -> Iterator[str]:
    contents = recipe.contents()
    try:
        json.dumps(dict(contents.architecture))
    except (TypeError, ValueError) as error:
        yield f"the architecture of its contents is no plain data: {error}"
        return
    contents = _with_names(contents, recipe, plan)
    try:
        bundle = open_bundle(write_contents(contents, folder / "bundle", recipe.kind, plan.name, {}), recipe.kind)  # type: ignore[arg-type]
        problems = bundle.verify()
        held = {part: bundle.tensors(part) for part in bundle.parts}
    except AnchorError as error:
        yield f"its contents make no bundle that opens again: {error}"
        return
    yield from problems
    for part, tensors in contents.tensors.items():
        for name, tensor in tensors.items():
            if part not in held or name not in held[part] or held[part][name].shape != tensor.shape:
                yield f"{part}/{name} of its contents does not come back from the bundle as it was"
                return


def _with_names(contents: Contents, recipe: Recipe, plan: TrainingPlan) -> Contents:
    """A translator's contents with ends, as a run gives them."""
    if recipe.kind != "translator":
        return contents
    side = {"modality": {"name": "rgb"}}
    return replace(
        contents,
        architecture={"name": recipe.name, **contents.architecture},
        source=contents.source or {"name": plan.source or "source", **side},
        targets=contents.targets or tuple({"name": name, **side} for name in plan.targets or ("target",)),
    )


def differences(first: Any, second: Any, place: str = "all") -> Iterator[str]:
    """Where two nested states differ, bit for bit."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        if first.dtype != second.dtype or not torch.equal(first, second):
            yield place
    elif isinstance(first, Mapping) and isinstance(second, Mapping):
        if first.keys() != second.keys():
            yield place
            return
        for key in first:
            yield from differences(first[key], second[key], f"{place}.{key}".removeprefix("all."))
    elif isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        if len(first) != len(second):
            yield place
            return
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            yield from differences(a, b, f"{place}.{index}".removeprefix("all."))
    elif type(first) is not type(second) or first != second:
        yield place
