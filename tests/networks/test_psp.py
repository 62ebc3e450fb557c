"""The pSp encoder against the published one's numbers, and its contract."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anchor_hub.checkpoints.latent_space_anchoring import encoder_from_published, encoder_state
from anchor_hub.errors import CheckpointError, ConfigError
from anchor_hub.networks.encoders import ENCODERS, build_encoder
from anchor_hub.networks.psp import PSPEncoder
from tests.parity import assert_parity, load_case


@torch.no_grad()
def test_pyramid_encoder_equals_published_numbers():
    case = load_case("lsa_encoder")
    encoder = encoder_from_published(case.state)
    assert encoder.head == "pyramid" and encoder.num_latents == 8 and encoder.input_size == 256
    for size in ("small", "full"):
        offsets = encoder(case.inputs[f"x_{size}"])
        assert_parity(offsets, case.expected[f"offsets_{size}"], f"offsets_{size}")
        assert_parity(offsets + case.inputs["latent_avg"], case.expected[f"codes_{size}"], f"codes_{size}")
    c1, c2, c3 = encoder.body(case.inputs["x_small"])
    for name, maps in {"c1": c1, "c2": c2, "c3": c3}.items():
        assert_parity(maps[:, ::8], case.expected[f"{name}_ch8"], name)
    _, middle, fine = encoder.pyramid(case.inputs["x_small"])
    assert_parity(middle[:, ::16], case.expected["p2_ch16"], "p2")
    assert_parity(fine[:, ::16], case.expected["p1_ch16"], "p1")


@torch.no_grad()
def test_segmentation_encoder_equals_published_numbers():
    case = load_case("lsa_encoder_seg")
    encoder = encoder_from_published(case.state)
    for size in ("small", "full"):
        labels = case.inputs[f"labels_{size}"].long()
        one_hot = F.one_hot(labels, 19).permute(0, 3, 1, 2).float()
        offsets = encoder(one_hot)
        assert_parity(offsets, case.expected[f"offsets_{size}"], f"offsets_{size}")
        assert_parity(offsets + case.inputs["latent_avg"], case.expected[f"codes_{size}"], f"codes_{size}")


@torch.no_grad()
def test_w_encoder_equals_published_numbers_and_repeats_its_code():
    case = load_case("lsa_encoder_w")
    encoder = encoder_from_published(case.state, num_latents=5)
    offsets = encoder(case.inputs["x"])
    assert offsets.shape == (2, 5, 512)
    assert torch.equal(offsets[:, 0], offsets[:, 4])
    assert_parity(offsets[:, 0], case.expected["offset"], "offset")
    assert_parity(offsets[:, 0] + case.inputs["latent_avg"], case.expected["code"], "code")


@torch.no_grad()
def test_dense_wplus_encoder_equals_published_numbers():
    case = load_case("lsa_encoder_wplus")
    encoder = encoder_from_published(case.state)
    assert encoder.head == "dense"
    for index in (0, 1):
        offsets = encoder(case.inputs[f"x{index}"])
        assert_parity(offsets, case.expected[f"offsets{index}"], f"offsets{index}")
        assert_parity(offsets + case.inputs["latent_avg"], case.expected[f"codes{index}"], f"codes{index}")


@torch.no_grad()
def test_encoder_with_labels_equals_published_numbers():
    case = load_case("lsa_biggan_encoder")
    encoder = encoder_from_published(case.state)
    assert (encoder.label_dim, encoder.latent_dim) == (10, 16)
    offsets = encoder(case.inputs["x"], case.inputs["label"])
    assert_parity(offsets[:, 0], case.expected["z"], "z")


def test_unknown_and_missing_entries_are_refused():
    case = load_case("lsa_encoder_w")
    with pytest.raises(CheckpointError, match="surprise"):
        encoder_state({**case.state, "surprise.weight": torch.zeros(1)})
    lacking = {name: value for name, value in case.state.items() if name != "body.7.res_layer.1.weight"}
    with pytest.raises(CheckpointError, match="does not fit"):
        encoder_from_published(lacking)


@pytest.mark.parametrize(
    ("space", "head"),
    [("w+", "pyramid"), ("w+", "dense"), ("w", "pooled")],
    ids=["pyramid", "dense", "pooled"],
)
def test_shapes_and_gradients(space, head):
    encoder = PSPEncoder(2, 8, 24, space=space, head=head, input_size=32)
    offsets = encoder(torch.randn(2, 2, 32, 32))
    assert offsets.shape == (2, 8, 24)
    offsets.square().sum().backward()
    silent = [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    assert not silent


def test_number_of_head_convolutions_follows_the_input_size():
    def convs(size: int) -> list[int]:
        with torch.device("meta"):
            encoder = PSPEncoder(3, 8, input_size=size)
        return [len(encoder.styles[index].convs) for index in (0, 3, 7)]

    assert convs(256) == [4, 5, 6]
    assert convs(64) == [2, 3, 4]


@pytest.mark.parametrize(
    "options",
    [{"space": "z"}, {"space": "w", "head": "dense"}, {"input_size": 100}, {"label_dim": 3}],
    ids=["space", "head", "size", "label"],
)
def test_wrong_options_are_refused(options):
    with torch.device("meta"), pytest.raises(ConfigError):
        PSPEncoder(3, 4, **options)


def test_labels_are_needed_exactly_when_built_with_them():
    with torch.device("meta"):
        encoder = PSPEncoder(3, 4, space="w", label_dim=5, input_size=16)
    with pytest.raises(ConfigError, match="label_dim=5"):
        encoder(torch.zeros(1, 3, 16, 16, device="meta"))


def test_registry_builds_by_name():
    assert set(ENCODERS) == {"psp", "compact"}
    with torch.device("meta"):
        assert isinstance(build_encoder("psp", in_channels=3, num_latents=4), PSPEncoder)
    with pytest.raises(KeyError, match="compact"):
        build_encoder("compct")
