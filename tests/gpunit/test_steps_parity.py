"""The recipes' steps against the stored numbers of the published code: what they compute of which picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_gpunit.distilling import DistillRecipe, Seen
from anchor_gpunit.distilling_options import DistillOptions
from anchor_gpunit.prior import ContentPrior
from anchor_gpunit.translating import TranslateRecipe
from anchor_gpunit.translating_options import TranslateOptions
from anchor_hub.training import TrainingContext, TrainingPlan
from tests.gpunit import published
from tests.gpunit.published import case_of, enlarged, part
from tests.parity import assert_parity, case_names
from tests.tiny import tiny_biggan

PUBLISHED_TERMS = {
    "appearance": "arec_l2", "shape": "srec", "content": "fdist", "cross_shape": "sdist", "norm": "reg_norm",
    "class": "reg_class",
}  # fmt: skip


@pytest.mark.parametrize("name", case_names("gpunit_distillation"))
@pytest.mark.parametrize("variant", ["noflip", "flip"])
def test_stage_one(name: str, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, state, inputs, expected = case_of(name)
    config = manifest["config"]
    options = DistillOptions(
        preset="published", size=256, width=8, noise=config["noise"], distance="one-sided", norm="batch",
        perceptual="none", mirror_style=float(variant == "flip"),
    )  # fmt: skip
    recipe = DistillRecipe.build(TrainingPlan("content", "distill"), options, {"hub": tiny_biggan()}).fitted({})
    recipe.context, recipe.perceptual = TrainingContext(torch.device("cpu"), "fp32", 0, 2, tmp_path), None
    recipe.model = published.autoencoder(state).train()
    images, shapes = enlarged(inputs["imgs64"]), enlarged(inputs["masks64"])
    seen = Seen(images, inputs["labels"].long(), shapes, torch.ones(len(images), dtype=torch.bool), config["batch"])
    monkeypatch.setattr(torch, "randn", lambda *shape: inputs["noise"].view(shape))
    found = recipe._losses(seen)
    assert set(found) == set(PUBLISHED_TERMS)
    total = torch.zeros(())
    for term, value in found.items():
        weighted = options.weight(term) * value.detach()
        stored = f"{variant}/loss_{PUBLISHED_TERMS[term]}"
        if stored in expected or variant == "noflip":  # of the other variant, what the flip changes is stored
            assert_parity(weighted.reshape(1), expected[stored], term)
        total = total + weighted
    assert_parity(total.reshape(1), expected[f"{variant}/loss_total"])


VARIANTS = [(name, tuple(it)) for name in case_names("gpunit_losses") for it in case_of(name)[0]["config"]["variants"]]
TERMS = {"adversarial": "adv", "content": "con", "style": "sty", "mask": "msk", "reconstruction": "rec_l1"}


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_stage_two(name: str, variant: tuple[str, int, bool, bool], tmp_path: Path) -> None:
    manifest, state, inputs, expected = case_of(name)
    key, layer, all_skips, flip = variant
    options = TranslateOptions(
        preset="published", adversarial="non-saturating", perceptual="none", style_layer=layer,
        reconstruct_with_skips=all_skips, width=8, discriminator_width=64,
        discriminator_max_width=manifest["config"]["max_conv_dim"],
    )  # fmt: skip
    prior = ContentPrior("published", published.content_encoder(part(state, "netEC.")))
    recipe = TranslateRecipe.build(TrainingPlan("x", "gp-unit", source="a", targets=("b",)), options, {"prior": prior})
    recipe.setup(TrainingContext(torch.device("cpu"), "fp32", 0, 4, tmp_path, channels_last=False))
    recipe.generator.load_state_dict(published.generator(part(state, "netG.")).state_dict())
    critic: Any = published.discriminator(part(state, "netD."), manifest["config"]["max_conv_dim"])
    recipe.critic.load_state_dict(critic.state_dict())
    x, y = enlarged(inputs["x64"]), enlarged(inputs["y64"])
    made = recipe._made(x, y, y.flip(3) if flip else y, None)
    for optimizer in (recipe.optimizer, recipe.critic_optimizer):
        optimizer.param_groups[0]["lr"] = 0.0  # the discriminator's numbers are of the same weights
    found = recipe._generator_step(made, y, 0)
    assert set(found) == set(TERMS)
    for term, value in found.items():
        assert_parity(options.weight(term) * value.detach().reshape(1), expected[f"{key}/g_{TERMS[term]}"], term)
    judged = recipe._critic_step(y, made.translated.images.detach())
    assert_parity(judged["discriminator"].detach().reshape(1), expected[f"{key}/d_adv"])
