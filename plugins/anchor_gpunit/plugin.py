"""What this package registers: the backend `gp-unit`, its prior, and the readers of published files."""

from __future__ import annotations

from collections.abc import Callable

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import ArchitectureSpec, BackendSpec, CheckpointSpec, RecipeSpec


@hookimpl
def anchor_register_backends(register: Callable[[BackendSpec], None]) -> None:
    register(
        BackendSpec(
            "gp-unit",
            target="anchor_gpunit.translator:GpUnitTranslator",
            recipes=("distill", "gp-unit"),
            summary="content distilled from a class-conditional GAN, in the style of the target",
        )
    )


@hookimpl
def anchor_register_architectures(register: Callable[[ArchitectureSpec], None]) -> None:
    register(
        ArchitectureSpec(
            "gp-unit-content",
            kind="prior",
            target="anchor_gpunit.prior:ContentPrior",
            summary="a content encoder that GP-UNIT's stage I distilled",
        )
    )


@hookimpl
def anchor_register_checkpoints(register: Callable[[CheckpointSpec], None]) -> None:
    register(
        CheckpointSpec(
            "gp-unit",
            target="anchor_gpunit.importing:TRANSLATORS",
            summary="translators that GP-UNIT's authors released",
        )
    )
    register(
        CheckpointSpec(
            "gp-unit-content", target="anchor_gpunit.importing:PRIORS", summary="content encoders of GP-UNIT"
        )
    )


@hookimpl
def anchor_register_recipes(register: Callable[[RecipeSpec], None]) -> None:
    register(
        RecipeSpec(
            "distill",
            target="anchor_gpunit.distilling:DistillRecipe",
            kind="prior",
            summary="GP-UNIT's stage I: distil the content that a class-conditional hub draws alike in all its classes",
        )
    )
    register(
        RecipeSpec(
            "gp-unit",
            target="anchor_gpunit.translating:TranslateRecipe",
            kind="translator",
            summary="GP-UNIT's stage II: translate between two sets of pictures on a content prior",
        )
    )
