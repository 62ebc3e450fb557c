"""What the parity tests stand on: cases found by kind, settings read from manifests, and comparisons that can fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests import parity
from tests.parity import assert_gradients, case_names, kind_of, load_case, mixed_layers, numbered, stated, stored_part

MANIFEST = {
    "calls": [
        {"what": "Truncation psi=0.7, strength 1e-4", "outputs": ["out/image", "w"]},
        {"what": "for i in latent_mask=[8, 9]: mixed with alpha=-0.35.", "outputs": ["mix"]},
    ]
}


def test_every_kind_has_a_case_and_a_test_that_reads_all_its_cases() -> None:
    assert all(case_names(kind) for kind in parity.KINDS)
    folder = Path(__file__).parent
    text = "".join(path.read_text("utf-8") for path in folder.rglob("test_*.py"))
    assert [kind for kind in parity.KINDS if f'case_names("{kind}")' not in text] == []


def test_a_case_is_found_by_the_beginning_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, kind in (
        ("lsa_encoder", "lsa_encoder"), ("lsa_encoder_w", "lsa_encoder_w"), ("lsa_encoder_wplus", "lsa_encoder_wplus"),
        ("lsa_encoder_64px", "lsa_encoder"), ("lsa_encoder_w_64px", "lsa_encoder_w"), ("lsa_encoders", None),
        ("stylegan2_ada_g_cond_5", "stylegan2_ada_g_cond"), ("stylegan2_ada_g_5", "stylegan2_ada_g"),
    ):  # fmt: skip
        assert kind_of(name) == kind, name
    monkeypatch.setattr(parity, "GOLDEN", tmp_path)
    with pytest.raises(LookupError, match="no case of kind lsa_data"):
        case_names("lsa_data")
    for name in ("lsa_data", "lsa_data_small", "lsa_losses"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps({}))
    assert case_names("lsa_data") == ["lsa_data", "lsa_data_small"]


def test_settings_are_read_from_the_sentence_of_an_output() -> None:
    assert stated(MANIFEST, "image", "psi=") == stated(MANIFEST, "w", "psi=") == 0.7
    assert stated(MANIFEST, "w", "strength ") == 1e-4 and stated(MANIFEST, "mix", "alpha=") == -0.35
    assert mixed_layers(MANIFEST, "mix") == [8, 9]
    with pytest.raises(LookupError, match="does not say 'psi='"):
        stated(MANIFEST, "mix", "psi=")
    with pytest.raises(LookupError, match="no call"):
        stated(MANIFEST, "picture", "psi=")


def test_the_stored_part_of_a_tensor() -> None:
    whole = torch.arange(2 * 8 * 4 * 6).reshape(2, 8, 4, 6)
    assert torch.equal(stored_part(whole, torch.zeros(2, 8, 4, 6)), whole)
    assert torch.equal(stored_part(whole, torch.zeros(1, 4, 2, 6)), whole[:1, ::2, ::2])
    assert torch.equal(stored_part(whole, torch.zeros(1, 4, 4, 6), first_channels=True), whole[:1, :4])
    assert torch.equal(stored_part(whole, torch.zeros(2, 8, 4, 2)), whole[..., ::3])
    # What does not fit keeps a shape that a comparison refuses.
    assert stored_part(whole, torch.zeros(2, 16, 4, 6)).shape[1] == 8
    case = load_case(case_names("biggan_deep_hf")[0])
    found = numbered(case, "image_t")
    assert [f"image_t{number}" for _, number in found] == [key for key, _ in found] and found == sorted(found)
    with pytest.raises(AssertionError, match="no output is named pictureNUMBER"):
        numbered(case, "picture")


class Unit(nn.Module):
    """A linear layer of ones, for networks that say what becomes of its output."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1, bias=False)
        nn.init.ones_(self.layer.weight)


class AtTheKink(Unit):
    """For x = (1, 2) the input of the ReLU is 1e-9 in float64, and 0, on the other side of the kink, in float32."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return torch.relu((y + 1e-9) - 3).sum() + 0.5 * y.sum()


class WrongInFloat32(Unit):
    """No kink: float32 simply computes something else."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return (y if y.dtype == torch.float64 else 1.01 * y).sum()


def gradient(network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    (found,) = torch.autograd.grad(network(inputs["x"]), network.layer.weight)
    return {"weight": found}


def test_gradients_are_compared_in_float32_unless_they_hang_on_rounding() -> None:
    inputs = {"x": torch.tensor([[1.0, 2.0]])}
    double = {"x": inputs["x"].double()}
    kink, wrong = (gradient(network().double(), double)["weight"].float() for network in (AtTheKink, WrongInFloat32))
    assert not torch.allclose(gradient(AtTheKink(), inputs)["weight"], kink, rtol=0.1), "float32 is on the other side"
    assert_gradients(AtTheKink(), inputs, {"weight": kink}, gradient)
    for network, x, stored in (
        (AtTheKink(), inputs, 1.00001 * kink),  # float64's tolerance, not a wider one
        (AtTheKink().double(), double, 1.00001 * kink),
        (WrongInFloat32(), inputs, wrong),
    ):
        with pytest.raises(AssertionError, match="weight: relative error"):
            assert_gradients(network, x, {"weight": stored}, gradient)
    assert_gradients(WrongInFloat32().double(), double, {"weight": wrong}, gradient)
    with pytest.raises(AssertionError, match="no gradients are stored"):
        assert_gradients(AtTheKink(), inputs, {}, gradient)
