"""What this package registers: the architectures of fine-tuned and transformed domains, and the recipe `finetune`."""

from __future__ import annotations

from collections.abc import Callable

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import ArchitectureSpec, CommandSpec, RecipeSpec


@hookimpl
def anchor_register_architectures(register: Callable[[ArchitectureSpec], None]) -> None:
    register(
        ArchitectureSpec(
            "fine-tuned",
            target="anchor_finetune.domain:FineTunedDomain",
            summary="a transformed copy of the hub's generator",
        )
    )
    register(
        ArchitectureSpec(
            "transformed",
            target="anchor_finetune.transformed:TransformedDomain",
            summary="a layer swap of another fine-tuned domain",
        )
    )


@hookimpl
def anchor_register_commands(register: Callable[[CommandSpec], None]) -> None:
    register(
        CommandSpec(
            "transform",
            target="anchor_finetune.commands.transform:transform",
            group="domains",
            help="Swap layers of a fine-tuned domain with the hub's.",
        )
    )


@hookimpl
def anchor_register_recipes(register: Callable[[RecipeSpec], None]) -> None:
    register(
        RecipeSpec(
            "finetune",
            target="anchor_finetune.recipe:FineTuneRecipe",
            kind="domain",
            summary="fine-tune a copy of the hub's generator on one domain's pictures",
        )
    )
