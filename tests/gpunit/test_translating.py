"""Training of stage II."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_gpunit import comparing
from anchor_gpunit.networks.generator import Generator
from anchor_gpunit.prior import ContentPrior
from anchor_gpunit.translating import TranslateRecipe
from anchor_gpunit.translating_options import TRANSLATE_WEIGHTS, TranslateOptions
from anchor_gpunit.translator import GpUnitTranslator
from anchor_hub import testing
from anchor_hub.errors import DataError, MissingPartError, UsageError
from anchor_hub.metrics.features import Extractor
from anchor_hub.training import Batch, Samples, TrainingContext, TrainingPlan
from tests.gpunit.making import SIDE, TRANSLATE, generator, pictures, rgb, tiny_prior


def data(count: int = 12) -> dict[str, Samples]:
    return {"source": pictures(count), "target": pictures(count, seed=1)}


def recipe(prior: ContentPrior | None = None, **options: Any) -> TranslateRecipe:
    plan = TrainingPlan("day-night", "gp-unit", source="day", targets=("night",))
    required = {} if prior is None else {"prior": prior}
    return TranslateRecipe.build(plan, TranslateOptions(**{**TRANSLATE, **options}), required)


def ready(
    tmp_path: Path, prior: ContentPrior | None = None, precision: str = "fp32", **options: Any
) -> TranslateRecipe:
    made = recipe(prior or tiny_prior(), **options).fitted(data())
    torch.manual_seed(0)
    made.setup(TrainingContext(torch.device("cpu"), precision, 0, 8, tmp_path))
    return made


def batches(count: int = 4) -> dict[str, Batch]:
    return {name: held.batch(count) for name, held in data().items()}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"intensity": True, "reconstruct_with_skips": True, "share_fakes": False, "adversarial": "minmax"},
        {"skips": False, "jitter": 1.2, "rare_styles": True, "half": True},
    ],
)
def test_the_contract(options: dict[str, Any]) -> None:
    testing.check_recipe(TranslateRecipe, data(), options={**TRANSLATE, **options}, required={"prior": tiny_prior()})


def test_the_contract_without_a_prior() -> None:
    options = {**TRANSLATE, "content": "learned"}
    large = {name: pictures(side=64, seed=seed) for seed, name in enumerate(("source", "target"))}
    testing.check_recipe(TranslateRecipe, large, options=options, batch=2)


def test_terms_of_the_loss(tmp_path: Path) -> None:
    made = ready(tmp_path)
    terms = {"adversarial", "content", "style", "mask", "reconstruction"}
    assert terms | {"discriminator", "real_logit", "fake_logit", "r1"} == set(made.step(batches(), 0))
    assert "r1" not in made.step(batches(), 1)
    assert "mask" not in ready(tmp_path, skips=False).step(batches(), 0)


def test_the_weight_of_masks_rises(tmp_path: Path) -> None:
    made = ready(tmp_path, mask_rise=80, weights=dict.fromkeys(TRANSLATE_WEIGHTS, 0.0) | {"mask": 1.0})
    assert [made._mask_share(index) for index in (0, 5, 10, 20)] == [0.0, 0.5, 1.0, 1.0]  # steps of 8 images
    before = made.generator.dynamic[0].mask.weight.clone()
    made.step(batches(), 0)
    assert torch.equal(before, made.generator.dynamic[0].mask.weight)
    made.step(batches(), 10)
    assert not torch.equal(before, made.generator.dynamic[0].mask.weight)
    assert ready(tmp_path, preset="published", mask_rise=0)._mask_share(0) == 1.0


def test_the_prior_is_frozen(tmp_path: Path) -> None:
    prior = tiny_prior()
    made = ready(tmp_path, prior)
    before = copy.deepcopy(prior.encoder.state_dict())
    made.step(batches(), 0)
    assert all(parameter.grad is None for parameter in prior.encoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in prior.encoder.state_dict().items())


def test_masks_are_zero_in_the_reconstruction_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[bool] = []
    forward = Generator.forward

    def watched(self: Generator, *arguments: Any, use_skips: bool = True, **more: Any) -> Any:
        used.append(use_skips)
        return forward(self, *arguments, use_skips=use_skips, **more)

    monkeypatch.setattr(Generator, "forward", watched)
    ready(tmp_path).step(batches(), 0)
    ready(tmp_path, reconstruct_with_skips=True).step(batches(), 0)
    ready(tmp_path, skips=False, reconstruct_with_skips=True).step(batches(), 0)
    assert used == [True, False, True, True, False, False]


def test_masks_are_bounded_by_the_intensity(tmp_path: Path) -> None:
    made = ready(tmp_path, intensity=True)
    source = torch.rand(4, 3, SIDE, SIDE, generator=generator(0)) * 2 - 1
    intensity = torch.tensor([0.0, 0.2, 0.6, 1.0])
    masks = made._translated(source, source, intensity).masks
    for mask in masks:
        assert bool((mask.flatten(1).amax(1) <= intensity + 1e-6).all())


def test_r1_is_float32_whatever_the_precision(tmp_path: Path) -> None:
    target = torch.rand(4, 3, SIDE, SIDE, generator=generator(0)) * 2 - 1
    plain, fast = (ready(tmp_path, precision=precision) for precision in ("fp32", "bf16"))
    assert torch.equal(plain._penalty(target, 0)["r1"], fast._penalty(target, 0)["r1"])
    for one, other in zip(plain.critic.parameters(), fast.critic.parameters(), strict=True):
        assert torch.equal(one, other)


class Mean(Extractor):
    """The mean colour."""

    name, sha256, resize, preprocessing, dimensions = "mean", "", "", "", 3

    def features(self, images: torch.Tensor) -> torch.Tensor:
        assert float(images.detach().max()) > 2, "pictures are 0 to 255"
        return images.mean((2, 3))


def test_an_extractor_compares_identities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "load_extractor", lambda name: Mean())
    identity = comparing.Identity("mean")
    target = torch.rand(4, 3, 8, 8, generator=generator(0)) * 2 - 1
    images = torch.rand(4, 3, 8, 8, generator=generator(1)).requires_grad_()
    identity(images, target).backward()  # type: ignore[no-untyped-call]
    assert images.grad is not None and bool(images.grad.any())
    assert abs(float(identity(target, target))) < 1e-6
    assert "identity" in ready(tmp_path, identity="mean").step(batches(), 0)
    monkeypatch.setattr(comparing, "load_extractor", lambda name: torch.nn.Identity())
    with pytest.raises(UsageError, match="identity=other: this extractor has no gradients"):
        recipe(tiny_prior(), identity="other")


def test_without_a_hub_no_discriminator_compares() -> None:
    with pytest.raises(MissingPartError, match="no hub here whose discriminator compares"):
        comparing.network_without_hub("discriminator", SIDE, torch.device("cpu"))
    assert comparing.network_without_hub("none", SIDE, torch.device("cpu")) is None


def test_the_bundle_translates(tmp_path: Path) -> None:
    prior = tiny_prior()
    made = ready(tmp_path, prior)
    made.step(batches(), 0)
    assert made.codes().shape == (12, made.config.style_dim)
    parts = made.contents().tensors
    network, sampler = Generator(made.config), made.sampler()
    network.load_state_dict(dict(parts["generator"]))
    assert all(torch.equal(value, parts["sampler"][name]) for name, value in sampler.state_dict().items())
    translator = GpUnitTranslator(("day", rgb()), ("night", rgb()), prior.encoder, network, sampler)
    made_of = translator.decode(translator.encode(rgb().to_network(pictures(2).rows)))
    assert made_of.shape == (2, 3, SIDE, SIDE)


def test_the_recipe_travels_without_the_pictures(tmp_path: Path) -> None:
    made = recipe(tiny_prior()).fitted(data())
    assert made.target is not None and pickle.loads(pickle.dumps(made)).target is None


def test_one_picture_on_a_side() -> None:
    with pytest.raises(DataError, match="'day-night': 1 source picture cannot show what the source looks like"):
        recipe(tiny_prior()).fitted({"source": pictures(1), "target": pictures(12)})
    with pytest.raises(DataError, match="9 target pictures cannot show"):
        recipe(tiny_prior()).fitted({"source": pictures(12), "target": pictures(9)})


@pytest.mark.parametrize(
    ("prior", "options", "message"),
    [
        (True, {"size": 64}, "is of 32 px, size=64 does not fit"),
        (True, {"content": "learned"}, "leave --requires prior=NAME out"),
        (False, {}, "needs a prior.*--requires prior=NAME"),
        (False, {"content": "learned", "size": 100}, "recipe gp-unit: size 100 must be 8, 16, 32"),
        (True, {"style_layer": 20}, "has layers 1 to 7"),
        (True, {"style_halvings": 8}, "style_halvings 8: too many for pictures of 32 px"),
        (True, {"weights": {"mask ": 1}}, "no term 'mask '"),
    ],
)
def test_plans_that_cannot_be(prior: bool, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recipe(tiny_prior() if prior else None, **options)


def test_ends_that_cannot_be() -> None:
    options = TranslateOptions(**TRANSLATE)
    labels = TrainingPlan("x", "gp-unit", modalities={"target": {"name": "segmentation", "classes": 2}})
    with pytest.raises(UsageError, match="the target must be colour pictures, not segmentation"):
        TranslateRecipe.build(labels, options, {"prior": tiny_prior()})
    several = TrainingPlan("x", "gp-unit", source="a", targets=("b", "c"))
    with pytest.raises(UsageError, match="one target, not 2"):
        TranslateRecipe.build(several, options, {"prior": tiny_prior()})
