"""What this package registers: the backend `gp-unit`, its prior, and the readers of published files."""

from __future__ import annotations

from collections.abc import Callable

from anchor_hub.hookspecs import hookimpl
from anchor_hub.specs import ArchitectureSpec, BackendSpec, CheckpointSpec


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
            "gp-unit", target="anchor_gpunit.importing:TRANSLATORS", summary="translators that GP-UNIT's authors released"
        )
    )
    register(
        CheckpointSpec(
            "gp-unit-content", target="anchor_gpunit.importing:PRIORS", summary="content encoders of GP-UNIT"
        )
    )
