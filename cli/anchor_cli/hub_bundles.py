"""`anchor hubs list | show | verify | export | install | remove`."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import bundles

_JSON = typer.Option(False, "--json", help="Print JSON.")


def list_(as_json: bool = _JSON) -> None:
    """List hubs: the bundled ones, those in your home, and such as plugins offer."""
    bundles.list_bundles("hub", as_json)


def show(name: str = typer.Argument(..., help="Name, or a bundle's folder."), as_json: bool = _JSON) -> None:
    """Print a hub's manifest (architecture, training, licences, metrics) and its card."""
    bundles.show_bundle("hub", name, as_json)


def verify(
    names: list[str] = typer.Argument(None, help="Names or folders; all by default."), as_json: bool = _JSON
) -> None:
    """Check every byte against the manifest; exit 1 where something is wrong."""
    bundles.verify_bundles("hub", names or [], as_json)


def export(
    name: str = typer.Argument(..., help="Name, or a bundle's folder."),
    output: Path = typer.Option(Path("."), "--output", "-o", help="The archive, or a folder for NAME.zip."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace an archive that exists."),
) -> None:
    """Write a hub to one zip archive that `anchor hubs install` takes elsewhere."""
    bundles.export_bundle("hub", name, output, overwrite)


def install(
    source: Path = typer.Argument(..., help="An archive (.zip) or a bundle's folder."),
    name: str = typer.Option(None, "--name", help="Install under this name."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the hub of that name in the home."),
) -> None:
    """Install a hub into the home. Archives hold data only and are checked before anything changes."""
    bundles.install_bundle("hub", source, name, overwrite)


def remove(
    name: str = typer.Argument(..., help="A hub in your home."),
    force: bool = typer.Option(False, "--force", help="Remove it even where installed domains need it."),
) -> None:
    """Remove a hub from the home; what plugins bring stays."""
    bundles.remove_bundle("hub", name, force)
