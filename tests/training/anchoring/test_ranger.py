"""Ranger: published numbers, and exact resume."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from anchor_hub.errors import ConfigError
from anchor_hub.training.anchoring.ranger import Ranger
from tests.parity import assert_parity, case_names, load_case


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case_name", case_names("lsa_ranger"))
def test_published_trajectory(case_name, dtype):
    case = load_case(case_name, dtype)
    start = {key.removeprefix("param/"): value for key, value in case.inputs.items() if key.startswith("param/")}
    parameters = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    steps = max(int(key.split("/")[1]) for key in case.inputs if key.startswith("grad/"))
    optimiser = Ranger(parameters.values(), lr=case.manifest["config"]["lr"])
    compared = 0
    for step in range(1, steps + 1):
        for name, parameter in parameters.items():
            parameter.grad = case.inputs[f"grad/{step}/{name}"].clone()
        optimiser.step()
        for name, parameter in parameters.items():
            expected = case.expected.get(f"after{step}/{name}")
            if expected is not None:
                assert_parity(parameter, expected, f"{name} after step {step}")
                compared += 1
    # From step 6 on the rectified branch is taken and the slow copy follows.
    assert compared == len(case.expected) and steps > 6


def _run(optimiser: Ranger, model: nn.Module, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        loss = model(torch.randn(4, 3, 5, 5)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))


@pytest.mark.parametrize("stop", [3, 6, 8])
def test_resumes_bit_for_bit(stop):
    whole = _model()
    _run(Ranger(whole.parameters(), 1e-2), whole, range(14))

    first = _model()
    optimiser = Ranger(first.parameters(), 1e-2)
    _run(optimiser, first, range(stop))
    file = io.BytesIO()
    torch.save({"model": first.state_dict(), "optimiser": optimiser.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)

    second = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
    second.load_state_dict(saved["model"])
    resumed = Ranger(second.parameters(), 1e-2)
    resumed.load_state_dict(saved["optimiser"])
    _run(resumed, second, range(stop, 14))
    for name, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


def test_parameters_without_gradient_stay():
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimiser = Ranger([used, unused], 0.1)
    used.square().sum().backward()
    optimiser.step()
    assert torch.equal(unused, torch.ones(2)) and not torch.equal(used, torch.ones(2))


def test_closure_returns_its_loss():
    parameter = nn.Parameter(torch.ones(2))
    optimiser = Ranger([parameter], 0.1)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert optimiser.step(closure).item() == 2


@pytest.mark.parametrize(
    "options", [{"lr": -1.0}, {"alpha": 2.0}, {"k": 0}, {"eps": 0.0}, {"betas": (1.0, 0.9)}], ids=str
)
def test_bad_options_are_refused(options):
    with pytest.raises(ConfigError):
        Ranger([nn.Parameter(torch.ones(1))], **options)
