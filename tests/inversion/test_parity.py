"""Factorisation and inversion give the published numbers."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anchor_hub.checkpoints.factor_files import published_latents, read_factor, read_inversions
from anchor_hub.checkpoints.stylegan2_rosinality import config_from, to_ours
from anchor_hub.errors import CheckpointError, HubMismatchError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.stylegan2 import StyleGAN2Hub
from anchor_hub.inversion import open_inverter, read_latents
from anchor_hub.inversion.descent import Descent, PictureError, Plan
from anchor_hub.inversion.factor import Factor, factorise, modulation_weights
from anchor_hub.inversion.noise import noise_loss, normalise_
from anchor_hub.inversion.schedules import noise_share, step_size
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.parity import ParityCase, assert_gradients, assert_parity, case_names, load_case

CASES = case_names("ui2i_factor")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


load = functools.cache(load_case)


@functools.cache
def hub_named(name: str, dtype: torch.dtype) -> Hub:
    state = load(name, dtype).state
    config = config_from(state)
    assert isinstance(config, StyleGAN2Config)
    generator = Generator(config).to(dtype)
    generator.load_state_dict(to_ours(state))
    return around(generator)


def around(generator: Generator) -> Hub:
    statistics = torch.zeros(64), torch.eye(64)
    return StyleGAN2Hub(generator, *statistics, name="published", fingerprint="0" * 64)


def hub_of(case: ParityCase) -> Hub:
    return hub_named(CASES[0], case.inputs["v"].dtype)


def maps_of(inputs: Mapping[str, Tensor]) -> list[Tensor]:
    return [inputs[f"noise/{number}"].clone() for number in range(5)]


def descent(inputs: Mapping[str, Tensor], hub: Hub, steps: int) -> Descent:
    factor = Factor(inputs["eigvec"])
    error = PictureError(inputs["target"], None, pixel="mse")
    return Descent(hub, inputs["v0"][:, None], factor.latents, error, Plan(steps), maps=maps_of(inputs))


def gradients(generator: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the first step, whose step size is 0."""
    assert isinstance(generator, Generator)
    made = descent(inputs, around(generator), 12)
    made.step(0)
    found = {"step0/grad_v": made.codes.grad, **{f"step0/grad_noise/{i}": one.grad for i, one in enumerate(made.maps)}}
    kept = {name: value for name, value in found.items() if value is not None}
    return {name: value[:, 0] if name.endswith("v") else value for name, value in kept.items()}


@DTYPES
@pytest.mark.parametrize("name", CASES)
def test_factorisation(name: str, dtype: torch.dtype) -> None:
    case = load(name, dtype)
    hub = hub_of(case)
    found, stored = factorise(hub), case.inputs["eigvec"].double()
    assert modulation_weights(hub).shape == (3072, 64)
    assert found.values is not None
    assert_parity(found.values.to(dtype), case.expected["singular_values"], "S")
    signs = (found.vectors * stored).sum(0).sign()
    assert_parity((found.vectors * signs).float(), stored.float(), "V", 1e-4)
    assert torch.allclose(found.vectors.T @ found.vectors, torch.eye(64, dtype=torch.float64), atol=1e-10)
    assert (found.vectors.gather(0, found.vectors.abs().argmax(0, keepdim=True)) > 0).all(), "one sign everywhere"


@DTYPES
@pytest.mark.parametrize("name", CASES)
def test_latents_and_picture(name: str, dtype: torch.dtype) -> None:
    case = load(name, dtype)
    hub, factor = hub_of(case), Factor(case.inputs["eigvec"])
    w = factor.latents(case.inputs["v"])
    assert_parity(w, case.expected["w"], "w")
    assert_parity(hub.image(w, noise=maps_of(case.inputs)), case.expected["image"], "image")
    assert torch.allclose(factor.solve(w), case.inputs["v"], atol=1e-5), "v again"


@pytest.mark.parametrize(
    "dtype", [pytest.param(torch.float32, marks=pytest.mark.slow), torch.float64], ids=["float32", "float64"]
)
@pytest.mark.parametrize("name", CASES)
def test_first_step_and_its_gradients(name: str, dtype: torch.dtype) -> None:
    case = load(name, dtype)
    hub, expected = hub_of(case), case.expected
    made = descent(case.inputs, hub, 12)
    picture = hub.image(made.latents_of(made.codes), noise=made.maps)
    assert_parity(picture, expected["step0/image"], "image")
    assert_parity(noise_loss(made.maps), expected["step0/noise_loss"], "noise loss")
    made.step(0)
    assert_parity(made.errors.detach(), expected["step0/mse"], "mse")
    stored = {name: value for name, value in expected.items() if name.startswith("step0/grad")}
    assert len(stored) == 6
    assert_gradients(copy.deepcopy(hub.generator), case.inputs, stored, gradients)


@DTYPES
@pytest.mark.parametrize("name", CASES)
def test_normalised_noise(name: str, dtype: torch.dtype) -> None:
    case = load(name, dtype)
    maps = maps_of(case.inputs)
    normalise_(maps)
    for number, one in enumerate(maps):
        assert_parity(one, case.expected[f"normalized_noise/{number}"], f"noise {number}")


@pytest.mark.parametrize("name", CASES)
def test_trajectory(name: str) -> None:
    case = load(name, torch.float64)
    expected = case.expected
    made = descent(case.inputs, hub_of(case), 12)
    for number in range(12):
        made.step(number)
        assert made.adam.param_groups[0]["lr"] == pytest.approx(float(expected["traj/lr"][number]), abs=1e-8)
        for what, found in (("mse", made.errors), ("noise_loss", made.noise_losses)):
            assert_parity(found.detach()[0], expected[f"traj/{what}"][number], f"{what} {number}", 1e-6)
        assert_parity(made.codes.detach()[0, 0], expected["traj/v"][number], f"v {number}", 1e-6)
    for number, one in enumerate(made.maps):
        assert_parity(one.detach(), expected[f"traj/final_noise/{number}"], f"noise {number}", 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_schedules(name: str) -> None:
    expected = load(name, torch.float32).expected
    sizes = torch.tensor([step_size(step, 1000, 0.1) for step in range(1000)], dtype=torch.float64)
    shares = torch.tensor([noise_share(step, 1000) for step in range(1000)], dtype=torch.float64)
    assert_parity(sizes, expected["schedule/lr"], "step sizes", 1e-7)
    assert_parity(shares, expected["schedule/noise_factor"], "latent noise", 1e-7)


# -- published files


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, Path, ParityCase]:
    """A factor file and a file of results with the stored numbers."""
    case = load(CASES[0], torch.float32)
    torch.save({"ckpt": "face.pt", "eigvec": case.inputs["eigvec"]}, tmp_path / "factor.pt")
    rows = {
        f"faces/{number}.png": {
            "img": case.expected["image"], "latent": case.expected["w"] * (number + 1),
            "weight": case.inputs["v"] * (number + 1), "noise": maps_of(case.inputs),
        }
        for number in range(2)
    }  # fmt: skip
    torch.save(rows, tmp_path / "results.pt")
    return tmp_path / "factor.pt", tmp_path / "results.pt", case


def test_published_files_are_read(published: tuple[Path, Path, ParityCase]) -> None:
    factor, results, case = published
    assert torch.equal(read_factor(factor), case.inputs["eigvec"])
    rows = read_inversions(results)
    assert [row.name for row in rows] == ["faces/0.png", "faces/1.png"] and len(rows[0].noise) == 5
    hub = hub_of(case)
    plain, again = read_latents(results, hub), read_latents(results, hub, factor)
    assert plain.latents.shape == (2, hub.num_latents, 64) and plain.record["names"][1] == "faces/1.png"
    assert_parity(hub.image(again.latents[:1], noise=maps_of(case.inputs)), case.expected["image"], "image")
    assert torch.allclose(plain.latents, again.latents, atol=1e-5), "w is v V"
    with pytest.raises(UsageError, match="need the hub"):
        read_latents(results)


def test_a_factor_file_is_an_option(published: tuple[Path, Path, ParityCase]) -> None:
    factor, _, case = published
    hub = hub_of(case)
    picture = hub.image(hub.sample(1, seed=0))
    found = open_inverter("factor", hub, {"factor": str(factor), "steps": 2, "perceptual": "none"})
    assert torch.equal(found.factor.vectors, case.inputs["eigvec"])  # type: ignore[attr-defined]
    assert torch.isfinite(found(picture)).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"ckpt": "face.pt"}, "lacks the entry 'eigvec'"), ({"eigvec": torch.ones(4, 3)}, "square"),
        ({"eigvec": torch.full((4, 4), torch.nan)}, "NaN"), ([1, 2], "lacks the entry"),
    ],
)  # fmt: skip
def test_bad_factor_files(tmp_path: Path, content: object, words: str) -> None:
    torch.save(content, tmp_path / "factor.pt")
    with pytest.raises(CheckpointError, match=words) as caught:
        read_factor(tmp_path / "factor.pt")
    assert "factor.pt" in str(caught.value)


def test_factors_and_results_that_do_not_fit(published: tuple[Path, Path, ParityCase], tmp_path: Path) -> None:
    _, results, case = published
    torch.save({"eigvec": torch.eye(32)}, tmp_path / "small.pt")
    with pytest.raises(CheckpointError, match="of 32 numbers, those of hub 'published' have 64"):
        open_inverter("factor", hub_of(case), {"factor": str(tmp_path / "small.pt")})(torch.zeros(1, 3, 16, 16))
    with pytest.raises(CheckpointError, match="32 numbers"):
        published_latents(read_inversions(results), torch.eye(32))
    torch.save({"a.png": {"latent": torch.ones(2, 64)}}, tmp_path / "two.pt")
    with pytest.raises(CheckpointError, match="must be \\[1, D\\]"):
        read_inversions(tmp_path / "two.pt")
    torch.save({"state": 1}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no result of inversion"):
        read_inversions(tmp_path / "other.pt")


def test_latents_know_their_hub(published: tuple[Path, Path, ParityCase], tmp_path: Path) -> None:
    from anchor_hub.inversion.latents import LatentFile

    hub = hub_of(published[2])
    file = tmp_path / "w.safetensors"
    record = {"names": ["a"], "hub": "elsewhere", "hub_fingerprint": "1" * 64}
    file.write_bytes(LatentFile(hub.expand(hub.sample(1, seed=0)), record).to_bytes())
    assert torch.equal(read_latents(file).latents, hub.expand(hub.sample(1, seed=0)))
    with pytest.raises(HubMismatchError, match="w.safetensors.*elsewhere"):
        read_latents(file, hub)
