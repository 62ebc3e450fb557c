"""Published networks through the public import functions, number by number."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anchor_hub.checkpoints.importing import import_hub
from anchor_hub.checkpoints.raw import load_raw
from anchor_hub.checkpoints.stylegan2_ada import module_state
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.stylegan2 import StyleGAN2Config
from tests.checkpoints.makers import ada_arguments, ada_state, network, nvidia_pickle, parts, rosinality_file
from tests.parity import (
    GOLDEN,
    assert_gradients,
    assert_parity,
    case_names,
    load_case,
    numbered,
    stated,
    stored_part,
)

PICKLES = case_names("stylegan2_ada_pkl")
CHECKPOINTS = case_names("stylegan2_rosinality_ckpt")


def imported(path: Path, tmp_path: Path, **options) -> Hub:
    """Import the file and load the bundle again, as a user would."""
    result = import_hub(path, "imported", output=tmp_path / "bundle", **options)
    hub = Hub.load(result.folder)
    assert hub.fingerprint == result.fingerprint
    return hub


def pickle_of(name: str) -> Path:
    return GOLDEN / name / "network.pkl"


@pytest.mark.parametrize("name", PICKLES)
def test_every_entry_of_the_pickle(name):
    case, raw = load_case(name), load_raw(pickle_of(name))
    assert raw.kind == "pickle" and raw.content["training_set_kwargs"] == case.manifest["training_set_kwargs"]
    found = {f"{key}.{name}": v for key in ("G", "D", "G_ema") for name, v in module_state(raw.content[key]).items()}
    assert list(found) == list(case.state)
    for entry, value in found.items():
        assert torch.equal(value, case.state[entry]), entry
    for key, config in (("G_ema", "G"), ("D", "D")):
        arguments = raw.content[key].state["_init_kwargs"]
        assert arguments == {**case.manifest["config"][config], **case.manifest["config"]["common"]}


@torch.no_grad()
@pytest.mark.parametrize("name", PICKLES)
def test_stylegan2_ada_pkl(name, tmp_path):
    case, hub = load_case(name), imported(pickle_of(name), tmp_path)
    labels = case.inputs.get("c")
    w = hub.generator.mapping(case.inputs["z"], labels)
    assert_parity(hub.image(w), case.expected["G_ema_image"], "image")
    cut = hub.expand(hub.truncate(w, stated(case.manifest, "G_ema_ws_trunc", "truncation_psi=")))
    assert_parity(cut, case.expected["G_ema_ws_trunc"], "truncated latents")
    assert_parity(hub.image(cut), case.expected["G_ema_image_trunc"], "truncated image")
    critic = hub.discriminator().eval()
    assert_parity(critic(case.inputs["image"], labels), case.expected["D_logits"], "logits")


@torch.no_grad()
@pytest.mark.parametrize("name", PICKLES)
def test_the_generator_without_average_is_g(name, tmp_path):
    case, raw = load_case(name), load_raw(pickle_of(name))
    config = {**case.manifest["config"]["G"], **case.manifest["config"]["common"]}
    content = {"G": network("Generator", module_state(raw.content["G"]), config), "D": None, "G_ema": None}
    result = import_hub(nvidia_pickle(tmp_path / "g.pkl", content), "g", output=tmp_path / "g")
    assert any("G was taken" in note for note in result.notes)
    hub = Hub.load(result.folder)
    w = hub.generator.mapping(case.inputs["z"], case.inputs.get("c"))
    assert_parity(hub.image(w), case.expected["G_image"], "image")


@torch.no_grad()
@pytest.mark.parametrize("protocol", [2, 3, 5])
@pytest.mark.parametrize("name", [*case_names("stylegan2_ada_g"), *case_names("stylegan2_ada_g_cond")])
def test_generator(name, protocol, tmp_path):
    case = load_case(name)
    config, told = case.manifest["config"], partial(stated, case.manifest)
    content = {"G_ema": network("Generator", case.state, config)}
    hub = imported(nvidia_pickle(tmp_path / "network.pkl", content, protocol), tmp_path)
    labels = case.inputs.get("c")
    assert (hub.size, hub.latent_dim, len(hub.classes)) == (config["img_resolution"], config["w_dim"], config["c_dim"])
    assert hub.sample_z(2, seed=0).shape == (2, config["z_dim"])
    w = hub.generator.mapping(case.inputs["z"], labels)
    assert_parity(w, case.expected["ws"], "latents")
    if labels is not None:
        assert_parity(hub.generator.mapping(case.inputs["z"], case.inputs["c_soft"]), case.expected["ws_soft_label"])
        first = labels.argmax(dim=1)
        view = hub.of_class(int(first[0]))
        assert_parity(view.map(case.inputs["z"][:1]), case.expected["ws"][:1], "latents of a class")
    cut = hub.expand(hub.truncate(w, told("ws_trunc", "truncation_psi=")))
    assert_parity(cut, case.expected["ws_trunc"], "truncated")
    layers = int(told("ws_trunc_cutoff", "truncation_cutoff="))
    some = torch.cat([cut[:, :layers], hub.expand(w)[:, layers:]], dim=1)
    assert_parity(some, case.expected["ws_trunc_cutoff"], "truncated in part")
    for latents, key in ((w, "image_const"), (case.inputs["w_plus"], "image_wplus"), (cut, "image_trunc")):
        assert_parity(hub.generator.synthesize(latents).image, case.expected[key], key)
    assert_parity(hub.generator.synthesize(some).image, case.expected["image_trunc_cutoff"], "cutoff")
    output = hub.generator.synthesize(w, noise="none", features=True)
    assert_parity(output.image, case.expected["image_none"], "no noise")
    features = hub.generator.synthesize(w, features=True).features
    for key, size in numbered(case, "torgb_in_"):
        assert_parity(stored_part(features[int(size)], case.expected[key]), case.expected[key], key)


@pytest.mark.parametrize("name", [*case_names("stylegan2_ada_d"), *case_names("stylegan2_ada_d_cond")])
def test_discriminator(name, tmp_path):
    """In one file with a generator of as many classes, and as a file of its own."""
    case = load_case(name)
    config = case.manifest["config"]
    critic = network("Discriminator", case.state, config)
    size = config["img_resolution"]
    made = StyleGAN2Config(
        size, latent_dim=8, mapping_layers=2, channels={4 * 2**k: 4 for k in range(9)}, classes=config["c_dim"]
    )
    content = {"G_ema": network("Generator", ada_state(made), ada_arguments(made))}
    one = imported(nvidia_pickle(tmp_path / "one.pkl", {**content, "D": critic}), tmp_path).discriminator().eval()
    alone = nvidia_pickle(tmp_path / "d.pkl", {"D": critic})
    path = nvidia_pickle(tmp_path / "two.pkl", content)
    two = imported(path, tmp_path, discriminator=alone, overwrite=True).discriminator().eval()
    labels = case.inputs.get("c")
    for found in (one, two):
        for key, count in numbered(case, "logits_"):
            rows = None if labels is None else labels[: int(count)]
            assert_parity(found(case.inputs["image"][: int(count)], rows), case.expected[key], key)
    if labels is not None:
        assert_parity(one.label_mapping(labels, len(labels)), case.expected["cmap"], "mapped labels")
    for key, count in numbered(case, "r1_grad_"):
        images = case.inputs["image"][: int(count)].clone().requires_grad_()
        rows = None if labels is None else labels[: int(count)]

        def compute(found: nn.Module, x: Mapping[str, Tensor]) -> dict[str, Tensor]:
            logits = found(x["image"], x.get("c"))
            return {"images": torch.autograd.grad(logits.sum(), x["image"])[0]}

        inputs = {"image": images} if rows is None else {"image": images, "c": rows}
        assert_gradients(one, inputs, {"images": case.expected[key]}, compute)


@torch.no_grad()
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_stylegan2_rosinality_ckpt(name, legacy, tmp_path):
    case = load_case(name)
    path = tmp_path / "550000.pt"
    content = {key: parts(case.state, key) for key in ("g", "d", "g_ema")}
    for key in ("g", "d"):
        parameters = [torch.nn.Parameter(value) for name, value in content[key].items() if "kernel" not in name]
        optimiser = torch.optim.Adam(parameters[:3], betas=(0.0, 0.99))
        optimiser.state[parameters[0]] = {"step": 5, "exp_avg": torch.zeros(3), "exp_avg_sq": torch.ones(3)}
        content[f"{key}_optim"] = optimiser.state_dict()
    content |= {"args": argparse.Namespace(**case.manifest["example_args"]), "ada_aug_p": 0.0}
    content["latent_avg"] = case.state["latent_avg"]
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    hub = imported(path, tmp_path)
    w = hub.map(case.inputs["z"])
    assert_parity(hub.image(w), case.expected["g_ema_image"], "image")
    assert torch.equal(hub.mean_latent, case.state["latent_avg"])
    psi = stated(case.manifest, "g_ema_image_trunc", "psi=")
    assert_parity(hub.image(hub.truncate(w, psi)), case.expected["g_ema_image_trunc"], "truncated")
    assert_parity(hub.discriminator().eval()(case.inputs["image"]), case.expected["d_logits"], "logits")


@torch.no_grad()
def test_without_average_and_latent(tmp_path):
    """An old file: g only, no noise images, no mean latent (computed, the same for the same seed)."""
    case = load_case(CHECKPOINTS[0])
    state = {name: value for name, value in case.state.items() if name.startswith("g.") and "noises" not in name}
    path = rosinality_file(tmp_path / "old.pt", state, d={}, g_ema={})
    first = import_hub(path, "old", output=tmp_path / "a", seed=3)
    second = import_hub(path, "old", output=tmp_path / "b", seed=3)
    other = import_hub(path, "old", output=tmp_path / "c", seed=4)
    assert {word in " ".join(first.notes) for word in ("g was taken", "noise images", "seed 3")} == {True}
    assert first.fingerprint == second.fingerprint == other.fingerprint
    for name in ("generator", "statistics"):
        files = [(result.folder / f"{name}.safetensors").read_bytes() for result in (first, second)]
        assert files[0] == files[1]
    a, c = Hub.load(first.folder), Hub.load(other.folder)
    assert not torch.equal(a.mean_latent, c.mean_latent)
    assert torch.allclose(a.mean_latent, c.mean_latent, atol=0.1)
