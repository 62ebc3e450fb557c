"""Recorded distance functions give what the functions themselves give, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_faces.rendering import HAIR_STYLES, sample_factors
from anchor_faces.rendering.cat_geometry import cat_parameters
from anchor_faces.rendering.cat_scene import CatScene
from anchor_faces.rendering.parameters import Parameters
from anchor_faces.rendering.person_geometry import person_parameters
from anchor_faces.rendering.recording import record
from anchor_faces.rendering.scene import LANES, Layout, PersonScene, Scene


def people() -> list[Parameters]:
    """One person per hair style, every second with a hat, and more with glasses and jewellery."""
    worn = [{"hat": i % 2, "hat_shape": i % 4 / 4, "glasses": i % 3 == 0, "necklace": i % 5 == 0} for i in range(13)]
    return [
        person_parameters({**sample_factors(2, i), **worn[i], "earrings": i % 4 == 0, "hair_style": style}, False)
        for i, style in enumerate(HAIR_STYLES)
    ]


def stacked(p: Parameters) -> Parameters:
    """Floats as tensors, as a distance function of tensors takes them."""
    values = {name: value for name, value in vars(p).items() if name != "socket_bump"}
    number = {name: torch.tensor([[v]]) for name, v in values.items() if isinstance(v, (int, float))}
    vector = {
        name: torch.tensor(v).view(3, 1, 1)
        for name, v in values.items()
        if isinstance(v, tuple) and len(v) == 3 and not isinstance(v[0], tuple)
    }
    return Parameters(**{**vars(p), **number, **vector})


def directly(scene: Scene, x: Tensor, y: Tensor, z: Tensor, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    p = stacked(scene.samples[number])
    bodies: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for layer in scene.layers:
        if layer.samples[number]:
            more, its_parts = layer.draw(*layer.arguments, p, x, y, z, *(parts[name] for name in layer.needs))
            bodies |= more
            parts |= its_parts
    return bodies, parts


@pytest.mark.parametrize("kind", ["person", "cat"])
def test_a_scene_gives_what_its_functions_give(kind: str) -> None:
    scene: Scene = PersonScene(people()) if kind == "person" else CatScene(
        [cat_parameters(sample_factors(2, i)) for i in range(6)]
    )  # fmt: skip
    samples = len(scene.samples)
    layout = Layout(torch.arange(samples).repeat_interleave(3))
    points = torch.randn(3, samples * 3, LANES, generator=torch.Generator().manual_seed(1)) * 0.8
    x, y, z = points
    near = scene.distance(lambda part: (x[part], y[part], z[part]), layout)
    bodies, parts = scene.everything(lambda part: (x[part], y[part], z[part]), layout)
    for number in range(samples):
        own = slice(3 * number, 3 * number + 3)
        expected, expected_parts = directly(scene, x[own], y[own], z[own], number)
        assert torch.equal(near[own], torch.stack(list(expected.values())).amin(0) * scene.shrink)
        for name, distance in zip(scene.bodies, bodies, strict=True):
            if name in expected:
                assert torch.equal(distance[own], expected[name]), (number, name)
            else:
                assert bool((distance[own] > 8).all()), (number, name)
        for name, distance in expected_parts.items():
            assert torch.equal(parts[name][own], distance), (number, name)


def test_a_program_does_nothing_twice_and_reuses_memory() -> None:
    def function(p: Any, x: Any, y: Any) -> list[Any]:
        unused = (x * y).sin()
        del unused
        return [(x - p.a * 2).square_().add_((y * p.b[1]).square_()).sqrt_() - (x - p.a * 2).abs(), y]

    program = record(function, ("x", "y"), {})
    x, y = torch.randn(2, 4, LANES)
    samples = [Parameters(a=0.5, b=(1.0, 3.0, 0.0)), Parameters(a=-1.0, b=(0.0, 0.25, 0.0))]
    rows = program.prepare(samples)
    assert rows.shape == (2, 2) and program.registers <= 3
    result, copy = torch.empty(4, LANES), torch.empty(4, LANES)
    which = torch.tensor([0, 1, 1, 0])
    work = [torch.empty(4, LANES) for _ in range(program.registers)]
    before = x.clone(), y.clone()
    program.run((x, y), rows[:, which, None].unbind(0), (result, copy), work)
    a, b = torch.tensor([0.5, -1.0])[which, None], torch.tensor([3.0, 0.25])[which, None]
    away = x - a * 2
    assert torch.equal(result, (away * away + (y * b) * (y * b)).sqrt() - away.abs())
    assert torch.equal(copy, y) and torch.equal(x, before[0]) and torch.equal(y, before[1])
