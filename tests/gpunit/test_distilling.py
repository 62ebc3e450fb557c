"""Training of stage I."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_gpunit.distilling import DistillRecipe
from anchor_gpunit.distilling_options import DISTILL_WEIGHTS, DistillOptions
from anchor_hub import build_modality, testing
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.errors import DataError, UsageError
from anchor_hub.training import Batch, Samples, TrainingContext, TrainingPlan
from anchor_hub.training.base import Contents
from tests.gpunit.making import DISTILL, SIDE, generator, pictures
from tests.tiny import tiny_biggan, tiny_hub

LABELS = {"name": "segmentation", "classes": 3}


def masks(count: int = 12, seed: int = 1) -> Samples:
    rows = torch.randint(0, 3, (count, 1, SIDE, SIDE), dtype=torch.uint8, generator=generator(seed))
    return Samples(rows, build_modality(LABELS))


def data() -> dict[str, Samples]:
    return {"real": pictures(side=16), "masks": Samples(masks().rows[:, :, ::2, ::2], build_modality(LABELS))}


def recipe(given: dict[str, Samples], **options: Any) -> DistillRecipe:
    modalities = {"masks": LABELS} if "masks" in given else {}
    plan = TrainingPlan("content", "distill", data=dict.fromkeys(given, "x"), modalities=modalities)
    built = DistillRecipe.build(plan, DistillOptions(**{**DISTILL, **options}), {"hub": tiny_biggan()})
    return built.fitted(given)


def ready(given: dict[str, Samples], tmp_path: Path, **options: Any) -> DistillRecipe:
    made = recipe(given, **options)
    torch.manual_seed(0)
    made.setup(TrainingContext(torch.device("cpu"), "fp32", 0, 4, tmp_path))
    return made


def batch_of(made: DistillRecipe, count: int = 4) -> dict[str, Batch]:
    return {name: held.batch(count) for name, held in made.trained_on({}).items()}


def test_the_contract_with_pictures_and_masks() -> None:
    testing.check_recipe(
        DistillRecipe, data(), options={**DISTILL, "reader_images": 4}, required={"hub": tiny_biggan()}
    )


def test_the_contract_with_pairs_alone() -> None:
    testing.check_recipe(DistillRecipe, {}, options={**DISTILL, "jitter": 1.0}, required={"hub": tiny_biggan()})


def test_terms_of_equation_1(tmp_path: Path) -> None:
    made = ready(data(), tmp_path, reader_images=0)
    seen = made._seen(batch_of(made))
    assert seen.images.shape == (12, 3, SIDE, SIDE) and seen.pairs == 4
    assert bool(seen.known.all()) and seen.labels.max() == len(made.hub.classes)  # "real" is a class of its own
    assert set(made._losses(seen)) == set(DISTILL_WEIGHTS) - {"perceptual"}


def test_without_masks_nothing_is_said_of_shapes(tmp_path: Path) -> None:
    made = ready({"real": pictures(side=16)}, tmp_path)
    assert made.reader_steps == 0
    assert {"shape", "cross_shape"}.isdisjoint(made.step(batch_of(made), 0))


def test_the_reader_learns_first_and_alone(tmp_path: Path) -> None:
    made = ready(data(), tmp_path, reader_images=8)
    before = [value.clone() for value in made.model.parameters()]
    assert set(made.step(batch_of(made), 0)) == {"reader"}
    assert set(made.step(batch_of(made), 1)) == {"reader"}
    assert all(torch.equal(old, new) for old, new in zip(before, made.model.parameters(), strict=True))
    assert "reader" not in made.step(batch_of(made), 2)


def test_a_weight_of_zero_turns_a_term_off(tmp_path: Path) -> None:
    only = {term: 0.0 for term in DISTILL_WEIGHTS if term != "content"}
    made = ready({}, tmp_path, weights=only)
    decoder = [value.clone() for value in made.model.decoder.parameters()]
    content = made.model.content.last[1].conv.spectral.weight.clone()
    made.step({}, 0)
    assert all(torch.equal(old, new) for old, new in zip(decoder, made.model.decoder.parameters(), strict=True))
    assert not torch.equal(content, made.model.content.last[1].conv.spectral.weight)


def test_classes_of_the_pictures_are_the_hubs_where_names_agree() -> None:
    labelled = Samples(pictures(side=16).rows, pictures().modality, torch.arange(12) % 3, ("hen", "ape", "cat"))
    made = recipe({"real": labelled})
    assert made.joined.classes == ("cat", "dog", "hen", "ape") and made.config.classes == 4
    assert made.joined.own_labels(Batch(labelled.rows[:3], torch.tensor([0, 1, 2]))).tolist() == [2, 3, 0]


def test_masks_are_found_by_name(tmp_path: Path) -> None:
    rgb = build_modality({"name": "rgb"})
    for folder, count in (("real", 3), ("masks", 2)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            shade = torch.full((3, 16, 16), 80 * number, dtype=torch.uint8)
            rgb.write(shade, tmp_path / folder / f"{number}.png")
    plan = TrainingPlan("content", "distill", data={"real": "x", "masks": "y"})
    built = DistillRecipe.build(plan, DistillOptions(**DISTILL), {"hub": tiny_biggan()})
    given = {}
    for name in ("real", "masks"):
        files = ImageFolder(tmp_path / name, rgb, 16)
        built.labels(name, tmp_path / name, files)
        given[name] = Samples(files.load_all(), rgb)
    with pytest.raises(DataError, match=r"has no mask of 2 \(1 of 3 are missing\)"):
        built.fitted(given)


def test_bright_masks_are_the_object() -> None:
    dark = torch.zeros(12, 3, 16, 16, dtype=torch.uint8)
    dark[:, :, 4:, :] = 200
    given = {"real": pictures(side=16), "masks": Samples(dark, build_modality({"name": "rgb"}))}
    plan = TrainingPlan("content", "distill", data=dict.fromkeys(given, "x"))
    made = DistillRecipe.build(plan, DistillOptions(**DISTILL), {"hub": tiny_biggan()}).fitted(given)
    assert made.joined.samples is not None
    ids = made.joined.samples.rows[:, 3]
    assert not ids[:, :4].any() and bool((ids[:, 4:] == 1).all())


@pytest.mark.parametrize(
    ("hub", "given", "options", "message"),
    [
        (tiny_hub, (), {}, "has no classes, so one latent gives no pair"),
        (tiny_biggan, ("masks",), {}, "masks are of real pictures"),
        (tiny_biggan, (), {"size": 20}, "size 20 must be .* choose size=N or content_side=N"),
    ],
)
def test_plans_that_cannot_be(hub: Any, given: tuple[str, ...], options: dict[str, Any], message: str) -> None:
    plan = TrainingPlan("content", "distill", data=dict.fromkeys(given, "x"))
    with pytest.raises(UsageError, match=message):
        DistillRecipe.build(plan, DistillOptions(**{**DISTILL, **options}), {"hub": hub()})


def test_the_recipe_travels_without_the_pictures() -> None:
    made = pickle.loads(pickle.dumps(recipe(data())))
    assert made.joined.samples is None and made.joined.masks and made.config.classes == 4


def test_a_weight_of_no_term() -> None:
    with pytest.raises(UsageError, match="no term 'shapes'. Did you mean 'shape'"):
        DistillOptions(weights={"shapes": 0})


def test_what_the_bundle_holds(tmp_path: Path) -> None:
    made = ready({}, tmp_path)
    made.step({}, 0)
    contents: Contents = made.contents()
    encoder = made.model.content.eval()
    from anchor_gpunit.networks.configs import ContentConfig
    from anchor_gpunit.networks.content import ContentEncoder

    frozen = ContentEncoder(ContentConfig.from_dict(contents.architecture["config"]))
    frozen.load_state_dict(dict(contents.tensors["content"]))
    images = torch.rand(2, 3, SIDE, SIDE, generator=generator(0)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(frozen(images)[0], encoder(images)[0], rtol=0, atol=1e-5)
