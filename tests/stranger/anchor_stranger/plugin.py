"""What this package brings; nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import ArchitectureSpec, BackendSpec, CheckpointSpec, RecipeSpec

ANCHOR_API = 1


@hookimpl
def anchor_register_backends(register: Callable[[BackendSpec], None]) -> None:
    register(
        BackendSpec(
            "tint",
            target="anchor_stranger.translator:TintTranslator",
            recipes=("tint",),
            summary="keeps the shapes of a picture and gives it the colours of another domain",
        )
    )


@hookimpl
def anchor_register_recipes(register: Callable[[RecipeSpec], None]) -> None:
    register(
        RecipeSpec("tint", target="anchor_stranger.recipe:TintRecipe", kind="translator", summary="learn the colours")
    )
    register(
        RecipeSpec("wash", target="anchor_stranger.domain:WashRecipe", kind="domain", summary="recolours the hub")
    )


@hookimpl
def anchor_register_architectures(register: Callable[[ArchitectureSpec], None]) -> None:
    register(
        ArchitectureSpec("washed", target="anchor_stranger.domain:WashedDomain", summary="the hub's image, recoloured")
    )
    register(
        ArchitectureSpec("ramp", kind="hub", target="anchor_stranger.hub:RampHub", summary="draws ramps of colour")
    )


@hookimpl
def anchor_register_checkpoints(register: Callable[[CheckpointSpec], None]) -> None:
    register(CheckpointSpec("ramp", target="anchor_stranger.hub", summary="a generator of colour ramps"))
    register(CheckpointSpec("plain", target="anchor_stranger.reader", summary="a StyleGAN2 as one plain table"))
