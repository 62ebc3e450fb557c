"""Layer swap: parity with stored numbers, and what holds for every swap."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import Tensor

from anchor_finetune.domain import FineTunedDomain
from anchor_finetune.swap import LayerSwap
from anchor_hub.checkpoints.stylegan2_rosinality import config_from, to_ours
from anchor_hub.errors import UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import build_modality
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.parity import ParityCase, assert_parity, case_names, load_case
from tests.tiny import tiny_generator, tiny_hub

RGB = build_modality({"name": "rgb"})
#: The published code counts its layers from 1 in twos: its 1, 3, 5 are 8, 16 and 32 px, the paper's l = 1, 2, 3.
PUBLISHED = {1: 1, 2: 3, 3: 5}


@cache
def published(name: str) -> tuple[Hub, Generator, ParityCase]:
    """The source as a hub, the target's generator, and the stored numbers."""
    case = load_case(name)
    made = []
    for side in ("source.", "target."):
        state = {key.removeprefix(side): value for key, value in case.state.items() if key.startswith(side)}
        config = config_from(state)
        assert isinstance(config, StyleGAN2Config)
        generator = Generator(config)
        generator.load_state_dict(to_ours(state))
        made.append(generator)
    return Hub.from_generator(made[0], "source", samples=8), made[1], case


def swapped(hub: Hub, generator: Generator, layers: int, way: str = "features", blend: int = 0) -> FineTunedDomain:
    return FineTunedDomain("target", RGB, hub, copy.deepcopy(generator), LayerSwap(layers, way, blend))


def content(hub: Hub, domain: FineTunedDomain, latents: Tensor) -> object:
    from anchor_hub.domains.base import hub_pass

    return hub_pass(hub, latents, domain.needs)


@pytest.mark.parametrize("name", case_names("ui2i_layerswap"))
@pytest.mark.parametrize("layers", PUBLISHED)
def test_parity(name: str, layers: int) -> None:
    """Multi-domain, multi-modal, by reference and plain: the published scripts' pictures."""
    hub, target, case = published(name)
    inputs, expected, number = case.inputs, case.expected, PUBLISHED[layers]
    domain = swapped(hub, target, layers)
    mean = inputs["mean_latent_target"].reshape(-1)

    def towards(latents: Tensor, psi: float) -> Tensor:
        return mean + psi * (latents - mean)

    own, other = hub.generator.mapping, target.mapping
    with torch.no_grad():
        codes = {
            "md": (own(inputs["z"]), towards(other(inputs["z"]), 0.7)),
            "ms": (inputs["w_content"], towards(other(inputs["z_style"]), 0.5)),
            "ref": (towards(own(inputs["w_content"]), 0.5), towards(other(inputs["w_reference"]), 0.5)),
            "sane": (inputs["w_content"], inputs["w_content"]),
        }
        for script, (structure, latents) in codes.items():
            below = content(hub, domain, structure)
            picture = domain.picture(hub.expand(latents), below)  # type: ignore[arg-type]
            assert_parity(picture, expected[f"{script}/swap{number}"], script)
            if script == "sane":
                assert_parity(domain.decode(structure), expected[f"sane/swap{number}"], "decode")
            if script == "md":
                kept = below.features[domain.swap.resolution][:, ::32]  # type: ignore[attr-defined]
                assert_parity(kept, expected[f"md/source_features{number}_ch32"], "features")
        for script in ("md", "ms"):
            assert_parity(hub.image(codes[script][0]), expected[f"{script}/source_image"], script)
        plain = FineTunedDomain("target", RGB, hub, copy.deepcopy(target))
        assert_parity(plain.decode(codes["md"][1]), expected["md/target_image_t0.7"], "no swap")


def pair() -> tuple[Hub, Generator]:
    return tiny_hub(), tiny_generator(seed=1)


def test_no_swap_is_the_generator_and_a_whole_swap_of_weights_the_hub() -> None:
    hub, target = pair()
    latents = hub.sample(2, seed=3)
    own = target.synthesize(latents).image
    assert own is not None
    torch.testing.assert_close(swapped(hub, target, 0).decode(latents), own)
    torch.testing.assert_close(swapped(hub, target, 2, "weights").decode(latents), hub.image(latents))


@pytest.mark.parametrize("way", ["features", "weights"])
def test_more_swapped_layers_bring_the_picture_nearer_to_the_hubs_coarse_layers(way: str) -> None:
    """The map behind the swapped layers is the hub's, and the layers behind it are not."""
    hub, target = pair()
    latents = hub.sample(2, seed=3)
    theirs = hub.features(latents, [8, 16])
    view = swapped(hub, target, 1, way).image_hub
    found = view.features(latents, [8, 16])
    torch.testing.assert_close(found[8], theirs[8])
    assert (found[16] - theirs[16]).abs().max() > 0.1
    torch.testing.assert_close(view.image(latents), swapped(hub, target, 1, way).decode(latents))


def test_features_keep_the_targets_own_coarse_picture_and_weights_do_not() -> None:
    hub, target = pair()
    latents = hub.sample(2, seed=3)
    pictures = [swapped(hub, target, 1, way).decode(latents) for way in ("features", "weights")]
    assert (pictures[0] - pictures[1]).abs().max() > 0.01


def test_blended_weights_lie_between() -> None:
    swap = LayerSwap(1, "weights", blend=1)
    assert [swap.share(side) for side in (4, 8, 16, 32)] == [1.0, 1.0, 0.5, 0.0]
    assert [LayerSwap(1, "weights").share(side) for side in (4, 8, 16)] == [1.0, 1.0, 0.0]
    hub, target = pair()
    blended = swapped(hub, target, 1, "weights", blend=1).generator.synthesis.block(16).conv.weight
    mean = (hub.generator.synthesis.block(16).conv.weight + target.synthesis.block(16).conv.weight) / 2
    torch.testing.assert_close(blended, mean)


def test_what_cannot_be_swapped_is_said() -> None:
    hub, target = pair()
    with pytest.raises(UsageError, match="layer swap 3 reaches 32 px; a hub of 16 px has layers 0 to 2"):
        swapped(hub, target, 3)
    for wrong in ({"layers": -1}, {"layers": True}, {"layers": 1, "way": "colour"}, {"layers": 1, "blend": 1}):
        with pytest.raises(UsageError):
            LayerSwap(**wrong)  # type: ignore[arg-type]
    assert LayerSwap.from_table(LayerSwap(2, "weights", 1).to_table()) == LayerSwap(2, "weights", 1)
    assert LayerSwap.from_table(None).to_table() == {}


def test_the_hub_is_left_alone() -> None:
    hub, target = pair()
    before = hub.current_fingerprint()
    swapped(hub, target, 1, "weights").decode(hub.sample(1, seed=0))
    assert hub.current_fingerprint() == before
