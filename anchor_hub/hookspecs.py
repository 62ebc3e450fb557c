"""The plugin contract. A plugin is a module named in the entry-point group `anchor_hub` that implements some of these:

    from anchor_hub import hookimpl
    from anchor_hub.specs import DomainSpec

    @hookimpl
    def anchor_register_domains(register):
        register(DomainSpec("dog", hub="faces-64", modality={"name": "rgb"}, dataset="dogs:train"))

Every hook gets `register`, to be called once per record (`anchor_hub.specs`); the record is checked there and
then. Hooks are called once per process, when the registry is first asked for anything. They only *name*
things: import no torch in the plugin module, give targets as `"module:attribute"`. A module may state the
version of the contract that it was written for, `ANCHOR_API = 1`; a plugin for another version is refused by name
instead of failing later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import pluggy

from anchor_hub.specs import (
    ArchitectureSpec,
    BackendSpec,
    BenchmarkSpec,
    CheckpointSpec,
    CommandSpec,
    DatasetSpec,
    DomainSpec,
    ExtractorSpec,
    HubSpec,
    InverterSpec,
    ModalitySpec,
    PriorSpec,
    RecipeSpec,
    TranslatorSpec,
)

PROJECT = "anchor_hub"
API_VERSION = 1

_F = TypeVar("_F", bound=Callable[..., object])
hookspec = pluggy.HookspecMarker(PROJECT)
# Typed as a plain decorator, so that plugins stay typed under mypy.
hookimpl = cast("Callable[[_F], _F]", pluggy.HookimplMarker(PROJECT))


@hookspec
def anchor_register_hubs(register: Callable[[HubSpec], None]) -> None:
    """Register hubs: frozen generators, trained (with a bundle) or still to be trained."""


@hookspec
def anchor_register_domains(register: Callable[[DomainSpec], None]) -> None:
    """Register domains: trained (with a bundle), or to be trained by `anchor add-domain NAME`."""


@hookspec
def anchor_register_modalities(register: Callable[[ModalitySpec], None]) -> None:
    """Register modalities: how a domain's files become tensors and back (`anchor_hub.modality.Modality`)."""


@hookspec
def anchor_register_backends(register: Callable[[BackendSpec], None]) -> None:
    """Register translator backends (`anchor_hub.translation.Translator`)."""


@hookspec
def anchor_register_translators(register: Callable[[TranslatorSpec], None]) -> None:
    """Register translators: trained (with a bundle), or to be trained by `anchor translators train NAME`."""


@hookspec
def anchor_register_priors(register: Callable[[PriorSpec], None]) -> None:
    """Register priors: trained networks that translators build on."""


@hookspec
def anchor_register_architectures(register: Callable[[ArchitectureSpec], None]) -> None:
    """Register architectures: the classes that load bundles of hubs, domains and priors."""


@hookspec
def anchor_register_checkpoints(register: Callable[[CheckpointSpec], None]) -> None:
    """Register readers of published checkpoints (`anchor_hub.checkpoints.base.CheckpointReader`)."""


@hookspec
def anchor_register_inverters(register: Callable[[InverterSpec], None]) -> None:
    """Register inverters: ways from pictures to latents (`anchor_hub.inversion.Inverter`)."""


@hookspec
def anchor_register_datasets(register: Callable[[DatasetSpec], None]) -> None:
    """Register data sets: functions that return a folder of files, making it if need be."""


@hookspec
def anchor_register_recipes(register: Callable[[RecipeSpec], None]) -> None:
    """Register training recipes (`anchor_hub.training.Recipe`)."""


@hookspec
def anchor_register_extractors(register: Callable[[ExtractorSpec], None]) -> None:
    """Register extractors: networks whose features Fréchet distances compare."""


@hookspec
def anchor_register_benchmarks(register: Callable[[BenchmarkSpec], None]) -> None:
    """Register benchmarks: measurements with samples and truths of their own."""


@hookspec
def anchor_register_commands(register: Callable[[CommandSpec], None]) -> None:
    """Register commands: `anchor NAME` runs a Typer app, imported when called. Built-in names cannot be taken."""
