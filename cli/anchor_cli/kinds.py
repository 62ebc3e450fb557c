"""The command groups of hubs, domains, translators and priors: the commands that all have, and those of each."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from anchor_cli.lazy import Entry, lazy_group


def _group(kind: str, text: str, own: Mapping[str, Entry]) -> typer.Typer:
    """The group `anchor <kind>s`: the six commands of every kind of bundle, then `own`, those of this kind."""
    module = f"anchor_cli.bundle_commands:{kind}"
    commands = {
        "list": Entry(f"{module}.list_", f"List {kind}s, ready or not."),
        "show": Entry(f"{module}.show", f"Print a {kind}'s manifest and card."),
        "verify": Entry(f"{module}.verify", f"Check every byte of {kind}s, and what they need."),
        "export": Entry(f"{module}.export", f"Write a {kind} to a zip archive."),
        "install": Entry(f"{module}.install", f"Install a {kind} from an archive or a folder."),
        "remove": Entry(f"{module}.remove", f"Remove a {kind} from the home."),
    }
    app = typer.Typer(cls=lazy_group({**commands, **own}), no_args_is_help=True)
    app.callback(help=text)(lambda: None)
    return app


hubs = _group(
    "hub",
    "Hubs: frozen generators whose latent space is the anchor.",
    {
        "sample": Entry("anchor_cli.hubs_sample:sample", "Make pictures of random latents, to see what a hub can do."),
        "import": Entry("anchor_cli.hubs_import:import_", "Import a published checkpoint as a hub."),
        "export-checkpoint": Entry(
            "anchor_cli.hubs_export_checkpoint:export_checkpoint",
            "Write a hub as a checkpoint that other programs read.",
        ),
        "train": Entry("anchor_cli.hubs_train:train", "Train a hub on a folder of images."),
    },
)
domains = _group(
    "domain",
    "Domains: kinds of images, each encoded into a hub's latents or decoded from them, or both.",
    {"import": Entry("anchor_cli.domains_import:import_", "Import a released encoder and regressor as a domain.")},
)
translators = _group(
    "translator",
    "Translators: trained networks between named kinds of images, each opened by its backend.",
    {
        "import": Entry("anchor_cli.translators_import:import_", "Import a published checkpoint as a translator."),
        "train": Entry("anchor_cli.translators_train:train_translator", "Train a translator."),
    },
)
priors = _group(
    "prior",
    "Priors: trained networks that translators build on.",
    {
        "import": Entry("anchor_cli.priors_import:import_", "Import a published checkpoint as a prior."),
        "train": Entry("anchor_cli.priors_train:train_prior", "Train a prior."),
    },
)
