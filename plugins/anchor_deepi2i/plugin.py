"""What this package registers: the backend and recipe `deepi2i`, and readers of both published layouts."""

from __future__ import annotations

from collections.abc import Callable

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import BackendSpec, CheckpointSpec, RecipeSpec


@hookimpl
def anchor_register_backends(register: Callable[[BackendSpec], None]) -> None:
    register(
        BackendSpec(
            "deepi2i",
            target="anchor_deepi2i.translator:DeepI2ITranslator",
            recipes=("deepi2i",),
            summary="between many classes in one network, transferred from a hub's generator and discriminator",
        )
    )


@hookimpl
def anchor_register_recipes(register: Callable[[RecipeSpec], None]) -> None:
    register(
        RecipeSpec(
            "deepi2i",
            target="anchor_deepi2i.recipe:DeepI2IRecipe",
            kind="translator",
            summary="train adaptors, then the generator, on folders of classes",
        )
    )


@hookimpl
def anchor_register_checkpoints(register: Callable[[CheckpointSpec], None]) -> None:
    register(
        CheckpointSpec(
            "deepi2i-biggan", target="anchor_deepi2i.published_biggan", summary="a published DeepI2I of the BigGAN kind"
        )
    )
    register(
        CheckpointSpec(
            "deepi2i-stylegan",
            target="anchor_deepi2i.published_stylegan",
            summary="a published DeepI2I of the StyleGAN kind",
        )
    )
