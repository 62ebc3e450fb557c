"""Released domains of latent-space anchoring through the public import functions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from anchor_hub.checkpoints.importing import import_hub
from anchor_hub.checkpoints.importing_domains import import_domain
from anchor_hub.checkpoints.stylegan2_rosinality import to_theirs
from anchor_hub.domains.base import Needs
from anchor_hub.domains.decoding import decode_all
from anchor_hub.domains.loading import load_domain
from anchor_hub.domains.published import PublishedDomain
from anchor_hub.errors import AnchorError, CheckpointError, HubMismatchError, MissingPartError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.published_anchor import PUBLISHED_SIZE
from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config
from tests.checkpoints.makers import parts
from tests.parity import ParityCase, assert_parity, case_names, load_case, mixed_layers, numbered, stated, stored_part


def release(path: Path, state: dict[str, torch.Tensor], key: str = "translator", **extra: object) -> Path:
    torch.save({key: state, "opts": {"output_size": 256}, **extra}, path)
    return path


def imported(folder: Path, path: Path, name: str, **options: object) -> tuple[Hub, PublishedDomain]:
    """The release's generator as a hub, and itself as a domain of it, loaded from their bundles."""
    hub = Hub.load(import_hub(path, f"{name}-hub", output=folder / f"{name}-hub").folder)
    result = import_domain(path, name, hub, output=folder / name, **options)
    domain = load_domain(result.folder, hub)
    assert isinstance(domain, PublishedDomain) and domain.hub_fingerprint == hub.fingerprint
    return hub, domain


def check(case: ParityCase, key_start: str, found: torch.Tensor) -> None:
    """Compare with what is stored of it, whose name is ``key_start`` and a stride."""
    ((key, _),) = numbered(case, key_start)
    assert_parity(stored_part(found, case.expected[key]), case.expected[key], key)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_translator"))
def test_lsa_translator(name, tmp_path):
    case = load_case(name)
    config, mean = case.manifest["config"], case.inputs["latent_avg_A"]
    path = release(tmp_path / "seg2ffhq.pt", parts(case.state, "A"), latent_avg=mean)
    hub, source = imported(tmp_path, path, "seg")
    path.unlink()
    other = release(tmp_path / "sketch2ffhq.pt", parts(case.state, "B"), "state_dict")
    _, target = imported(tmp_path, other, "sketch")
    kinds = {1: "gray", 3: "rgb"}
    assert source.modality.name == kinds.get(config["A"]["label_nc"], "segmentation")
    assert target.modality.name == kinds.get(config["B"]["label_nc"], "segmentation")
    one_hot = F.one_hot(case.inputs["labels"].long(), config["A"]["input_nc"]).permute(0, 3, 1, 2).float()
    codes = source.encode(one_hot)
    assert_parity(codes, case.expected["AA/codes"], "codes")
    check(case, "AA/x_hat_s", source.decode(codes))
    check(case, "AA/y_hat_highres_s", hub.image(codes))
    # Of larger hubs the published picture is the mean of pixels.
    check(case, "AA/y_hat_s", F.adaptive_avg_pool2d(hub.image(codes), PUBLISHED_SIZE))
    mixed = hub.merge(codes, case.inputs["inject_latent"], mixed_layers(case.manifest, "mix/latent"))
    assert_parity(mixed, case.expected["mix/latent"], "mixed")
    check(case, "mix/x_hat_s", source.decode(mixed))
    w = hub.map(stated(case.manifest, "sample/w", "mapping_A(") * case.inputs["z_sample"])
    assert_parity(w, case.expected["sample/w"], "sampled latents")
    check(case, "sample/x_hat_s", source.decode(w))
    check(case, "AB/x_hat_s", target.decode(codes))
    check(case, "AB/y_hat_s", F.adaptive_avg_pool2d(target.hub.image(codes), PUBLISHED_SIZE))
    with pytest.raises(MissingPartError):
        target.encode(one_hot)


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", case_names("lsa_translator_freezeg"))
def test_lsa_translator_freezeg(name, tmp_path):
    case = load_case(name)
    path = release(tmp_path / "cat2dog.pt", case.state, latent_avg=case.inputs["latent_avg"])
    hub, domain = imported(tmp_path, path, "cat")
    assert domain.domain_generator is not None and domain.modality.name == "rgb"
    codes = domain.encode(case.inputs["x"])
    assert_parity(codes, case.expected["codes"].reshape(codes.shape) if codes.numel() == case.expected["codes"].numel()
                  else case.expected["codes"][:, None].expand_as(codes), "codes")  # fmt: skip
    check(case, "x_hat_s", domain.decode(codes))
    check(case, "y_hat_s", F.adaptive_avg_pool2d(hub.image(codes), PUBLISHED_SIZE))


CONFIG = StyleGAN2Config(256, latent_dim=8, mapping_layers=1, channels={4 * 2**k: 2 for k in range(7)})


@pytest.fixture(scope="module")
def made() -> dict[str, torch.Tensor]:
    """The entries of a decode-only release with a narrow generator of 256 px."""
    from anchor_hub.networks.regressors import build_regressor

    torch.manual_seed(0)
    state = {f"decoder.{k}": v for k, v in to_theirs(Generator(CONFIG).state_dict(), CONFIG).items()}
    regressor = build_regressor("shallow", {256: 4}, (256,), 5).state_dict()
    for name, value in regressor.items():
        first, rest = name.split(".", 1)
        if first == "head":
            state[f"regressor.layers.6.{rest}"] = value
        else:
            block, kind, leaf = rest.split(".")
            state[f"regressor.layers.{3 * int(block) + (2 if kind == 'norm' else 0)}.{leaf}"] = value
    return state


@torch.no_grad()
def test_a_small_release(made, tmp_path):
    hub, domain = imported(tmp_path, release(tmp_path / "a.pt", made), "seg", license="MIT")
    assert domain.modality.name == "segmentation" and domain.modality.output_channels == 5
    assert domain.can_decode and not domain.can_encode and domain.needs == Needs()
    w = hub.sample(2, seed=0)
    output = domain.decode(w)
    assert output.shape == (2, 5, 256, 256)
    (samples,) = decode_all([domain], w)
    assert torch.equal(samples, domain.modality.from_network(output))
    again = load_domain(domain.save(tmp_path / "again"), hub)
    assert torch.equal(again.decode(w), output)


def test_refusals(made, tmp_path):
    path = release(tmp_path / "a.pt", made)
    hub = Hub.from_generator(Generator(CONFIG), "other", samples=100)
    with pytest.raises(HubMismatchError, match="is not hub 'other'.*weights differ"):
        import_domain(path, "seg", hub, output=tmp_path / "x")
    small = Hub.from_generator(Generator(StyleGAN2Config(8, latent_dim=8)), "small", samples=100)
    with pytest.raises(HubMismatchError, match="256 px, 8 numbers"):
        import_domain(path, "seg", small, output=tmp_path / "x")
    hub = Hub.load(import_hub(path, "hub", output=tmp_path / "hub").folder)
    for change, kind, match in (
        ({"regressor.layers.0.weight": torch.zeros(128, 3, 1, 1)}, CheckpointError, "reads 3 channels"),
        ({"regressor.layers.0.weight": torch.zeros(128)}, CheckpointError, "impossible|fit"),
        ({"regressor.layers.6.bias": torch.full((5,), torch.nan)}, CheckpointError, "NaN"),
        ({"regressor.other": torch.zeros(1)}, CheckpointError, "not one of the published"),
        ({"encoder.other": torch.zeros(1)}, CheckpointError, "encoder entry"),
    ):
        path = release(tmp_path / "b.pt", {**made, **change})
        with pytest.raises(kind, match=match) as caught:
            import_domain(path, "seg", hub, output=tmp_path / "x")
        assert str(caught.value).startswith(str(path))
    with pytest.raises(UsageError, match="has 5 channels, modality rgb has 3"):
        import_domain(tmp_path / "a.pt", "seg", hub, modality={"name": "rgb"}, output=tmp_path / "x")
    with pytest.raises(AnchorError, match="name"):
        import_domain(tmp_path / "a.pt", "../seg", hub)
    assert not (tmp_path / "x").exists()


def test_other_noise_images_are_told(made, tmp_path):
    hub = Hub.load(import_hub(release(tmp_path / "a.pt", made), "hub", output=tmp_path / "hub").folder)
    changed = {**made, "decoder.noises.noise_3": made["decoder.noises.noise_3"] + 1}
    result = import_domain(release(tmp_path / "b.pt", changed), "seg", hub, output=tmp_path / "seg")
    assert any("noise images differ" in note for note in result.notes)
    bare = {name: value for name, value in made.items() if not name.startswith("decoder.")}
    result = import_domain(release(tmp_path / "c.pt", bare), "seg", hub, output=tmp_path / "seg2")
    assert any("not checked that it belongs to this hub" in note for note in result.notes)
