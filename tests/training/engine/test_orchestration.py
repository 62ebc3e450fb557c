"""`train(plan, run)`: several data sets, options, requirements, provenance, licences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from anchor_hub.errors import AnchorError, ConfigError, RecipeNotFoundError, TrainingError, UsageError
from anchor_hub.training import Batch, RecipeOptions, RunSettings, Samples, TrainingPlan, train
from anchor_hub.training.engine.datasets import sources
from anchor_hub.training.engine.orchestration import find_recipe
from anchor_hub.training.engine.requirements import load_required
from anchor_hub.training.engine.trainer import Trainer
from tests.training.tiny import PlainRGB, final_state, same
from tests.training.toys import Base, PairOptions, PairRecipe


def numbered(count: int) -> Samples:
    """Pictures that say their number."""
    rows = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 3, 8, 8).contiguous()
    return Samples(rows, PlainRGB(), torch.arange(count))


class Watching(PairRecipe):
    """Remembers which samples its steps were given."""

    def setup(self, context: Any) -> None:
        super().setup(context)
        self.seen: list[dict[str, list[int]]] = []

    def step(self, batches: Any, index: int) -> Any:
        assert all(torch.equal(batch.images[:, 0, 0, 0], batch.labels) for batch in batches.values())
        self.seen.append({name: batch.labels.tolist() for name, batch in batches.items()})
        return super().step(batches, index)

    def samples(self, batches: Any) -> Any:
        assert all(batch.labels.tolist() == list(range(len(batch))) for batch in batches.values())
        return {}


class Uneven(Watching):
    def shares(self, batch: int) -> dict[str, int]:
        return {"source": batch - 1, "target": 1}


def run(recipe: type[Watching], folder: Path, data: dict[str, Samples], **settings: Any) -> Watching:
    made = recipe.build(TrainingPlan("x", "toy-pair"), PairOptions(), {"prior": Base().requires_grad_(False)})
    options: dict[str, Any] = {"batch": 4, "total_images": 24, "quiet": True, "tick_every": 1, **settings}
    resume = options.pop("resume", False)
    Trainer(made, data, folder, **options).run(resume)
    return made


def test_each_data_set_has_an_order_of_its_own_and_an_equal_share(tmp_path: Path) -> None:
    data = {"source": numbered(6), "target": numbered(6)}
    seen = run(Watching, tmp_path / "one", data).seen
    assert all(len(step[name]) == 2 for step in seen for name in data)
    for name in data:  # three steps are an epoch of six
        assert sorted(number for step in seen[:3] for number in step[name]) == list(range(6))
    assert [step["source"] for step in seen] != [step["target"] for step in seen]
    assert run(Watching, tmp_path / "again", data).seen == seen
    assert run(Watching, tmp_path / "other", data, seed=1).seen != seen


def test_a_recipe_may_share_a_batch_as_it_likes(tmp_path: Path) -> None:
    seen = run(Uneven, tmp_path / "one", {"source": numbered(6), "target": numbered(3)}).seen
    assert all((len(step["source"]), len(step["target"])) == (3, 1) for step in seen)
    with pytest.raises(UsageError, match="--batch 5 cannot be shared equally among 2 data sets"):
        run(Watching, tmp_path / "two", {"source": numbered(6), "target": numbered(3)}, batch=5)
    with pytest.raises(TrainingError, match="reads source, target, it was given source"):
        run(Watching, tmp_path / "two", {"source": numbered(6)})


def test_several_data_sets_resume_exactly_and_share_among_processes(tmp_path: Path) -> None:
    data = {"source": numbered(7), "target": numbered(5)}
    whole = run(Watching, tmp_path / "whole", data)
    run(Watching, tmp_path / "parts", data, total_images=12)
    rest = run(Watching, tmp_path / "parts", data, resume=True)
    assert rest.seen == whole.seen[3:]
    assert same(final_state(tmp_path / "whole")["recipe"], final_state(tmp_path / "parts")["recipe"])
    with pytest.raises(UsageError, match="samples was {'source': 7, 'target': 5}, now {'source': 7, 'target': 4}"):
        run(Watching, tmp_path / "parts", {**data, "target": numbered(4)}, resume=True)
    run(PairRecipe, tmp_path / "two", data, processes=2, batch=8)  # type: ignore[arg-type]
    assert final_state(tmp_path / "two")["step"] == 3


def test_a_batch_goes_to_a_device_with_its_labels() -> None:
    batch = Batch(torch.zeros(2, 3), torch.tensor([0, 1])).to("meta")
    assert batch.images.device.type == "meta" and batch.labels is not None and batch.labels.device.type == "meta"
    assert len(batch) == 2 and Batch(torch.zeros(2)).to("cpu").labels is None
    held = Samples([torch.zeros(3), torch.ones(3)], None, torch.tensor([4, 5])).batch(8)
    assert held.images.tolist() == [[0.0] * 3, [1.0] * 3] and held.labels is not None and held.labels.tolist() == [4, 5]


def test_recipes_are_found_by_name_and_kind() -> None:
    record, recipe = find_recipe("anchor", "domain")
    assert record.spec.kind == "domain" and recipe.requires == ("hub",)
    with pytest.raises(RecipeNotFoundError, match="Did you mean 'anchor'"):
        find_recipe("ancor")
    with pytest.raises(UsageError, match="no recipe for a hub is called 'anchor'.*biggan, stylegan2"):
        find_recipe("anchor", "hub")


def test_a_data_set_is_a_folder_or_a_registered_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def source(given: str) -> Any:
        return sources(TrainingPlan("x", "anchor", {"own": given}), ("own",))["own"]

    found = source("image-folder:/a/b")
    assert (found.registered.name, found.argument, found.label) == ("image-folder", "/a/b", "image-folder:/a/b")
    assert source("/a/b").registered is None and source("/a/b").label == "b"
    assert source("no-such-data-set:x").registered is None, "a path, whatever it is called"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image-folder:x").mkdir()
    assert source("image-folder:x").registered is None, "a folder that is there wins"
    with pytest.raises(UsageError, match="reads no data set 'owned'. Did you mean 'own'"):
        sources(TrainingPlan("x", "anchor", {"owned": "a"}), ("own",))


class Sparing(PairRecipe):
    """Can do without its target and without its prior."""

    optional = ("target", "prior")


def test_what_a_recipe_can_do_without_may_be_left_out() -> None:
    plan = TrainingPlan("x", "toy-pair", {"source": "a"})
    assert list(sources(plan, Sparing.data, Sparing.optional)) == ["source"]
    with pytest.raises(UsageError, match="--data target=FOLDER"):
        sources(plan, PairRecipe.data)
    device = torch.device("cpu")
    assert load_required("toy-pair", Sparing.requires, {}, device, Sparing.optional) == {}
    with pytest.raises(UsageError, match="--requires prior=NAME"):
        load_required("toy-pair", PairRecipe.requires, {}, device)


class Inventing(Watching):
    """Makes its own pictures: reads none."""

    data, optional = ("own",), ("own",)

    def shares(self, batch: int) -> dict[str, int]:
        return {}

    def step(self, batches: Any, index: int) -> Any:
        assert not batches
        self.seen.append({})
        return {"nothing": 0.0}


def test_a_recipe_may_make_all_its_pictures(tmp_path: Path) -> None:
    assert len(run(Inventing, tmp_path / "one", {}).seen) == 6
    assert (tmp_path / "one" / "stats.jsonl").read_text().count('"images": ') == 6
    with pytest.raises(TrainingError, match="recipe 'toy-pair' reads own, it was given mine"):
        run(Inventing, tmp_path / "two", {"mine": numbered(3)})


class Choices(RecipeOptions):
    width: int = 3


def test_options_are_read_from_text_and_told_by_name() -> None:
    assert Choices.read({"width": "5"}, "here").width == 5
    with pytest.raises(ConfigError, match="here: unknown key 'widht'. Did you mean 'width'"):
        Choices.read({"widht": 5}, "here")
    with pytest.raises(ConfigError, match="width: .*integer"):
        Choices.read({"width": "wide"}, "here")
    with pytest.raises(ValueError, match="frozen"):
        Choices().width = 4  # type: ignore[misc]


def test_nothing_is_read_or_written_for_a_plan_that_cannot_be_carried_out(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "1.png")
    run = RunSettings("cpu", "fp32", tmp_path / "run", tmp_path / "hub")
    good: dict[str, Any] = {"data": {"own": "/nowhere"}, "images": 4}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"recipe": "stylgan2"}, "Did you mean 'stylegan2'"),
        ({"options": {"sise": 3}}, "Did you mean 'size'"),
        ({"options": {"size": 48}}, "power of two"),
        ({"images": None}, "--images or --max-minutes"),
        ({"requires": {"hub": "faces-64"}}, "needs no hub"),
        ({"data": {}}, "--data FOLDER"),
        ({"name": "Bad Name"}, "not usable"),
    ]
    for changes, message in wrong:
        with pytest.raises(AnchorError, match=message):
            train(TrainingPlan(**{"name": "x", "recipe": "stylegan2", **good, **changes}), run)
    assert [path.name for path in tmp_path.iterdir()] == ["1.png"]
