"""`anchor hubs`: the hubs on this machine."""

from __future__ import annotations

import typer

from anchor_cli.lazy import Entry, lazy_group

app = typer.Typer(
    cls=lazy_group(
        {
            "list": Entry("anchor_cli.hub_bundles:list_", "List hubs."),
            "show": Entry("anchor_cli.hub_bundles:show", "Print a hub's manifest and card."),
            "verify": Entry("anchor_cli.hub_bundles:verify", "Check every byte of hubs."),
            "export": Entry("anchor_cli.hub_bundles:export", "Write a hub to a zip archive."),
            "install": Entry("anchor_cli.hub_bundles:install", "Install a hub from an archive or a folder."),
            "import": Entry("anchor_cli.hubs_import:import_", "Make a published checkpoint a hub."),
            "remove": Entry("anchor_cli.hub_bundles:remove", "Remove a hub from the home."),
            "train": Entry("anchor_cli.hubs_train:train", "Train a hub on a folder of images."),
        }
    ),
    no_args_is_help=True,
)


@app.callback()
def hubs() -> None:
    """Hubs: frozen generators whose latent space is the anchor."""
