"""Instance norm and projection in one: the same numbers and gradients as one after the other."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from anchor_hub.networks.normalised_projection import normalised_projection


def _case(dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    maps = (3 * torch.randn(3, 5, 6, 4) + 2).to(dtype, memory_format=torch.channels_last)
    return maps, torch.randn(7, 5, 1, 1, dtype=dtype), torch.randn(7, dtype=dtype)


@pytest.mark.parametrize("learned", [True, False], ids=["maps learn", "maps are fixed"])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_it_equals_norm_and_convolution_and_so_do_its_gradients(layout, learned):
    results = []
    for project in (normalised_projection, lambda maps, *rest: F.conv2d(F.instance_norm(maps), *rest)):
        maps, weight, bias = _case(torch.float64)
        maps = maps.contiguous(memory_format=layout).requires_grad_(learned)
        inputs = [maps, weight.requires_grad_(), bias.requires_grad_()]
        output = project(*inputs)
        wanted = inputs if learned else inputs[1:]
        results.append([output, *torch.autograd.grad(output.sin().sum(), wanted)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gradients_agree_with_finite_differences():
    maps, weight, bias = (value.requires_grad_() for value in _case(torch.float64))
    assert torch.autograd.gradcheck(normalised_projection, (maps, weight, bias))


def test_an_image_is_normalised_alone_and_keeps_its_layout():
    maps, weight, bias = _case(torch.float32)
    output = normalised_projection(maps, weight, bias)
    torch.testing.assert_close(normalised_projection(maps[1:2], weight, bias), output[1:2])
    assert output.is_contiguous(memory_format=torch.channels_last)


def test_bfloat16_keeps_channels_whose_mean_is_large():
    maps, weight, bias = _case(torch.float32)
    exact = normalised_projection(maps + 20, weight, bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = normalised_projection((maps + 20).bfloat16(), weight, bias)
    assert rounded.dtype == torch.bfloat16
    assert float((rounded - exact).abs().max()) < 0.15 * float(exact.abs().max())
