"""Adaptive augmentation: what it does to images, its derivatives, and how its probability moves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from anchor_hub.errors import UsageError
from anchor_hub.training.base import Samples
from anchor_hub.training.distributed import ProcessGroup
from anchor_hub.training.engine.trainer import Trainer
from anchor_hub.training.generators.adaptive import KINDS, AdaptiveAugment, parse_augmentation
from anchor_hub.training.generators.augment_colour import palettes, recolour
from anchor_hub.training.generators.augment_geometry import coins, placements, resample
from anchor_hub.training.generators.choices import StyleGAN2Choices
from anchor_hub.training.generators.stylegan2_recipe import HubOptions, HubRecipe
from tests.training.tiny import CONFIG, PlainRGB, final_state, pictures, same

SURE, UNSURE = torch.ones(8, 1), torch.tensor([[1.0], [-1.0]]).repeat(4, 1)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 3, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def at(probability: float, *kinds: str) -> AdaptiveAugment:
    made = AdaptiveAugment(kinds)
    made.probability = probability
    return made


# -- images


def test_nothing_happens_at_probability_zero(images: torch.Tensor) -> None:
    before = torch.get_rng_state()
    assert AdaptiveAugment(KINDS)(images) is images
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_images_its_own_way_and_a_seed_fixes_it(kind: str, images: torch.Tensor) -> None:
    same_image = images[:1].expand(40, -1, -1, -1)
    torch.manual_seed(0)
    changed = at(1.0, kind)(same_image)
    assert changed.shape == same_image.shape and changed.dtype == torch.float64
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 1
    torch.manual_seed(0)
    assert torch.equal(changed, at(1.0, kind)(same_image))


@pytest.mark.parametrize("kind", ["geometry", "colour", "cutout"])
def test_every_image_has_a_coin_of_its_own(kind: str) -> None:
    torch.manual_seed(0)
    images = torch.rand(400, 3, 8, 8)
    unchanged = (at(0.1, kind)(images) == images).flatten(1).all(dim=1).float().mean()
    coins_of = {"geometry": 4, "colour": 5, "cutout": 1}[kind]  # two rotations share a coin's chance
    assert float(unchanged) == pytest.approx(0.9**coins_of, abs=0.08)
    torch.manual_seed(1)
    assert float(coins(20_000, 0.3).float().mean()) == pytest.approx(0.3, abs=0.015)


def test_whole_moves_are_exact(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    images = images.float()
    found = set()
    for _ in range(20):
        for image, moved in zip(images, at(1.0, "flip")(images), strict=True):
            found.add((torch.equal(moved, image), torch.equal(moved, image.flip(-1))))
    assert found == {(True, False), (False, True)}
    turns = at(1.0, "turn")(images)
    for image, turned in zip(images, turns, strict=True):
        assert sum(torch.equal(turned, image.rot90(times, (1, 2))) for times in range(4)) == 1
    shifted = at(1.0, "shift")(images)  # by at most 1.5 px of 12, so by 2 px
    for image, moved in zip(images, shifted, strict=True):
        inside = [
            torch.equal(moved[:, 2:10, 2:10], image[:, 2 + dy : 10 + dy, 2 + dx : 10 + dx])
            for dy in range(-2, 3)
            for dx in range(-2, 3)
        ]
        assert sum(inside) == 1


def test_beyond_the_border_an_image_goes_on_as_in_a_mirror() -> None:
    image = torch.arange(4.0).repeat(4, 1)[None, None]
    far = torch.eye(3)[None].clone()
    far[0, 0, 2] = 2.5
    assert resample(image, far)[0, 0, 0].tolist() == [2.5, 2.5, 1.5, 0.5]
    assert torch.equal(resample(image, torch.eye(3)[None]), image)


def test_the_default_geometry_keeps_heads_on_top() -> None:
    torch.manual_seed(0)
    matrices = placements(2000, 64, 1.0, ("geometry",))
    assert matrices is not None
    down = matrices[:, :2, 1]  # where the image's vertical goes: never sideways, never up
    assert bool((down[:, 1] > down[:, 0].abs()).all())
    assert bool((torch.linalg.det(matrices) > 0).all()), "never mirrored"
    over = placements(2000, 64, 1.0, ("geometry", "turn"))
    assert over is not None and bool((over[:, 1, 1] < 0).any())


def test_colours_keep_places_and_grey_stays_grey_through_hue_and_saturation(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    grey = images.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    matrices = palettes(6, 1.0)
    assert matrices is not None
    changed = recolour(grey, matrices)
    torch.testing.assert_close(changed, changed.mean(dim=1, keepdim=True).expand_as(changed))
    for before, after in zip(grey, changed, strict=True):  # brightness, contrast, luma flip: a straight line
        line = torch.stack([before[0].flatten(), after[0].flatten()])
        assert abs(float(torch.corrcoef(line)[0, 1])) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kinds", [("geometry",), ("colour",), ("cutout",), KINDS])
def test_first_and_second_derivatives_are_right(kinds: tuple[str, ...]) -> None:
    torch.manual_seed(3)
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)

    def changed(values: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(5)
        return at(1.0, *kinds)(values).square().tanh()  # bent, so that second derivatives are not 0

    assert torch.autograd.gradcheck(changed, (images,), fast_mode=True)
    assert torch.autograd.gradgradcheck(changed, (images,), fast_mode=True)


# -- the probability


def test_the_probability_rises_while_the_critic_is_sure_and_falls_while_it_is_not() -> None:
    augment = AdaptiveAugment(images=160)
    for _ in range(8):
        augment.watch(SURE)
    assert augment.probability == pytest.approx(8 * 8 / 160)
    for _ in range(4):
        augment.watch(UNSURE)
    assert augment.probability == pytest.approx(4 * 8 / 160)


def test_it_moves_every_fourth_step_and_stays_between_0_and_1() -> None:
    augment = AdaptiveAugment(images=40)
    seen = []
    for _ in range(12):
        augment.watch(SURE)
        seen.append(augment.probability)
    assert seen == [0, 0, 0, 0.8, 0.8, 0.8, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]
    for _ in range(12):
        augment.watch(-SURE)
    assert augment.probability == 0


def test_it_stands_still_at_its_target() -> None:
    augment = AdaptiveAugment(target=0.0, images=40)
    for _ in range(4):
        augment.watch(UNSURE)
    assert augment.probability == 0.0


class Pair(ProcessGroup):
    """Two processes, of which the other one's signs are all negative."""

    def average(self, value: torch.Tensor) -> torch.Tensor:
        return (value - 1) / 2


def test_processes_share_one_probability() -> None:
    alone, together = AdaptiveAugment(images=160), AdaptiveAugment(images=160, group=Pair(0, 2, 0))
    for augment in (alone, together):
        augment.probability = 0.5
        for _ in range(4):
            augment.watch(SURE)
    assert alone.probability == pytest.approx(0.7)
    assert together.probability == pytest.approx(0.5 - 4 * 16 / 160)


def test_its_state_makes_a_copy_go_on_alike() -> None:
    first, second = AdaptiveAugment(images=100), AdaptiveAugment(images=100)
    logits = torch.randn(9, 8, 1, generator=torch.Generator().manual_seed(0)) + 1
    for part in logits[:6]:
        first.watch(part)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for augment in (first, second):
        for part in logits[6:]:
            augment.watch(part)
    assert first.state_dict() == second.state_dict() and first.probability > 0


def test_names_and_options() -> None:
    assert parse_augmentation("ada") == ("ada", "geometry", "colour")
    assert parse_augmentation("ada:cutout, geometry,flip") == ("ada", "flip", "geometry", "cutout")
    assert parse_augmentation("colour") == ("colour",) and parse_augmentation("none") == ()
    with pytest.raises(UsageError, match="Did you mean 'geometry'"):
        parse_augmentation("ada:geometri")
    with pytest.raises(UsageError, match="add --augment ada"):
        StyleGAN2Choices(augment="colour", augment_target=0.5).augmentation()
    assert StyleGAN2Choices(augment="ada", augment_images=900).augmentation(5) == {
        "augment": ("ada", "geometry", "colour"), "augment_images": 900,
    }  # fmt: skip
    assert not {"augment", "augment_target", "critic", "stop"} & set(HubOptions().to_dict())


# -- in a training


def train(run_dir: Path, images: int, resume: bool = False) -> list[float]:
    options = HubOptions(r1_every=2, r1_gamma=1.0, path_length_weight=0, augment=("ada", *KINDS), augment_images=40,
                         augment_target=-0.9, learning_rate=0.01)  # fmt: skip
    recipe = HubRecipe(CONFIG, options)
    run = Trainer(recipe, {"own": Samples(pictures(), PlainRGB())}, run_dir, total_images=images, batch=8,
                  tick_every=1, quiet=True, options=recipe.describe())  # fmt: skip
    run.run(resume)
    lines = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    return [line["losses"]["augment_probability"] for line in lines]


def test_a_resumed_run_equals_an_uninterrupted_one_and_the_log_has_the_probability(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", 80)
    train(tmp_path / "parts", 48)  # between two adjustments
    assert train(tmp_path / "parts", 80, resume=True) == whole
    assert max(whole) > 0 and whole[:4] == [0.0] * 4
    first, second = final_state(tmp_path / "whole")["recipe"], final_state(tmp_path / "parts")["recipe"]
    assert same(first, second) and first["adaptive"]["probability"] > 0
