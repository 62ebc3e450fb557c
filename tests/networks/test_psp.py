"""The pSp encoder against the published one's numbers, and its contract."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anchor_hub.checkpoints.latent_space_anchoring import encoder_from_published, encoder_state
from anchor_hub.errors import CheckpointError, ConfigError
from anchor_hub.networks.encoders import ENCODERS, build_encoder
from anchor_hub.networks.psp import PSPEncoder
from tests.parity import ParityCase, assert_parity, case_names, load_case, numbered, stored_part


def check(case: ParityCase, offsets: torch.Tensor, name: str) -> None:
    """Compare offsets, and the codes they make, with the numbers of one input."""
    codes = name.replace("offset", "code")
    assert_parity(offsets, case.expected[name], name)
    assert_parity(offsets + case.inputs["latent_avg"], case.expected[codes], codes)


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_encoder"))
def test_pyramid_encoder_equals_published_numbers(name):
    case = load_case(name)
    encoder = encoder_from_published(case.state)
    assert encoder.head == "pyramid" and encoder.num_latents == case.manifest["config"]["n_styles"]
    # What every published encoder takes, and what the number of convolutions in its heads says.
    assert encoder.input_size == 256
    for key in (key for key in case.inputs if key.startswith("x_")):
        check(case, encoder(case.inputs[key]), key.replace("x", "offsets"))
    maps = dict(zip(("c1", "c2", "c3"), encoder.body(case.inputs["x_small"]), strict=True))
    maps["p2"], maps["p1"] = encoder.pyramid(case.inputs["x_small"])[1:]
    stored = [key for key in case.expected if key.partition("_")[0] in maps]
    assert len(stored) == len(maps)
    for key in stored:
        assert_parity(stored_part(maps[key.partition("_")[0]], case.expected[key]), case.expected[key], key)


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_encoder_seg"))
def test_segmentation_encoder_equals_published_numbers(name):
    case = load_case(name)
    encoder = encoder_from_published(case.state)
    for key in (key for key in case.inputs if key.startswith("labels_")):
        classes = F.one_hot(case.inputs[key].long(), case.manifest["config"]["input_nc"])
        check(case, encoder(classes.permute(0, 3, 1, 2).float()), key.replace("labels", "offsets"))


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_encoder_w"))
def test_w_encoder_equals_published_numbers_and_repeats_its_code(name):
    case = load_case(name)
    encoder = encoder_from_published(case.state, num_latents=5)
    offsets = encoder(case.inputs["x"])
    assert offsets.shape == (len(case.inputs["x"]), 5, case.manifest["config"]["dim_z"])
    assert torch.equal(offsets[:, 0], offsets[:, 4])
    check(case, offsets[:, 0], "offset")


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_encoder_wplus"))
def test_dense_wplus_encoder_equals_published_numbers(name):
    case = load_case(name)
    encoder = encoder_from_published(case.state)
    assert encoder.head == "dense" and encoder.num_latents == case.manifest["config"]["n_styles"]
    for key, _ in numbered(case, "offsets"):
        check(case, encoder(case.inputs[key.replace("offsets", "x")]), key)


@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_biggan_encoder"))
def test_encoder_with_labels_equals_published_numbers(name):
    case = load_case(name)
    encoder, config = encoder_from_published(case.state), case.manifest["config"]
    assert (encoder.label_dim, encoder.latent_dim) == (config["dim_label"], config["dim_z"])
    offsets = encoder(case.inputs["x"], case.inputs["label"])
    assert_parity(offsets[:, 0], case.expected["z"], "z")


def test_unknown_and_missing_entries_are_refused():
    case = load_case(case_names("lsa_encoder_w")[0])
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
