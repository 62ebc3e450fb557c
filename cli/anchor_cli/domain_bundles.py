"""`anchor domains list | show | verify | export | install | remove`."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli import bundles

_JSON = typer.Option(False, "--json", help="Print JSON.")


def list_(as_json: bool = _JSON) -> None:
    """List domains: the bundled ones, those in your home, and such as plugins offer."""
    bundles.list_bundles("domain", as_json)


def show(name: str = typer.Argument(..., help="Name, or a bundle's folder."), as_json: bool = _JSON) -> None:
    """Print a domain's manifest (architecture, training, licences, metrics) and its card."""
    bundles.show_bundle("domain", name, as_json)


def verify(
    names: list[str] = typer.Argument(None, help="Names or folders; all by default."), as_json: bool = _JSON
) -> None:
    """Check every byte against the manifest; exit 1 where something is wrong."""
    bundles.verify_bundles("domain", names or [], as_json)


def export(
    name: str = typer.Argument(..., help="Name, or a bundle's folder."),
    output: Path = typer.Option(Path("."), "--output", "-o", help="The archive, or a folder for NAME.zip."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace an archive that exists."),
) -> None:
    """Write a domain to one zip archive that `anchor domains install` takes elsewhere."""
    bundles.export_bundle("domain", name, output, overwrite)


def install(
    source: Path = typer.Argument(..., help="An archive (.zip) or a bundle's folder."),
    name: str = typer.Option(None, "--name", help="Install under this name."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the domain of that name in the home."),
) -> None:
    """Install a domain into the home. Archives hold data only and are checked before anything changes."""
    bundles.install_bundle("domain", source, name, overwrite)


def remove(
    name: str = typer.Argument(..., help="A domain in your home."),
) -> None:
    """Remove a domain from the home; what plugins bring stays."""
    bundles.remove_bundle("domain", name)
