"""Pieces of work of inversion: one step of the method `factor`, its plain formulation, and the hub's passes alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.measuring import Piece
from benchmarks.pieces import FACES, plain_hub

#: In the middle of the published 1,000 steps: full step size.
STEP, STEPS, LR = 400, 1000, 0.1


def _parts(count: int) -> tuple[Any, Tensor, Any]:
    """The hub, pictures of it, and the inverter; pixels alone compare, as perceptual networks differ by machine."""
    from anchor_hub.hubs.loading import load_hub
    from anchor_hub.inversion import open_inverter

    hub = load_hub(FACES, "cpu")
    images = hub.image(hub.sample(count, seed=3)).detach()
    return hub, images, open_inverter("factor", hub, {"perceptual": "none", "steps": STEPS})


def step(count: int, as_plain: bool = False) -> Callable[[Path], Piece]:
    """A step on ``count`` pictures at once; plain: one picture after the other, as published code inverts them."""

    def build(cache: Path) -> Piece:
        hub, images, inverter = _parts(count)
        if as_plain:
            call, gradient = _plain(hub, images, inverter.factor.vectors.float())
        else:
            descent = inverter.descent(images)

            def call() -> None:
                descent.step(STEP)

            def gradient() -> Tensor:
                fresh = inverter.descent(images)
                fresh.step(STEP)
                return fresh.codes.grad[:, 0]

        return Piece([(1, call)], count, "fp32", True, output=gradient, note=f"batch {count}")

    return build


def _plain(hub: Any, images: Tensor, vectors: Tensor) -> tuple[Callable[[], None], Callable[[], Tensor]]:
    """One step on each picture alone with the plain generator, and the gradients of v ``[count, D]``."""
    generator = plain_hub(hub)
    begin = torch.linalg.solve(vectors.T.double(), hub.mean_latent.double()).float()

    def fresh() -> list[tuple[Tensor, Any]]:
        codes = [begin.clone().requires_grad_(True) for _ in images]
        return [(v, torch.optim.Adam([v], lr=LR, foreach=False)) for v in codes]

    def move(state: list[tuple[Tensor, Any]]) -> None:
        with torch.enable_grad():
            for (v, adam), image in zip(state, images, strict=True):
                adam.zero_grad()
                (generator.image((v @ vectors)[None]) - image[None]).abs().mean().backward()
                adam.step()

    def gradient() -> Tensor:
        state = fresh()
        move(state)
        return torch.stack([v.grad for v, _ in state if v.grad is not None])

    kept = fresh()
    return lambda: move(kept), gradient


def passes(count: int) -> Callable[[Path], Piece]:
    """The hub's forward pass and its backward pass to the latents, and nothing else."""

    def build(cache: Path) -> Piece:
        hub, images, _ = _parts(count)
        latents = hub.mean_latent.expand(count, 1, -1).clone().requires_grad_(True)

        def call() -> None:
            latents.grad = None
            with torch.enable_grad():
                picture = hub.image(hub.expand(latents))
                picture.backward(torch.ones_like(picture))

        return Piece([(1, call)], count, "fp32", True, note=f"batch {count}")

    return build
