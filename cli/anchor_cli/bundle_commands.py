"""The commands `list | show | verify | export | install | remove` of every kind of bundle, made once per kind.

`anchor_cli.bundle_commands:hub.show` is `anchor hubs show`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import typer

from anchor_cli import bundles
from anchor_hub.bundles.base import Kind

_JSON = typer.Option(False, "--json", help="Print JSON.")
_NAME = typer.Argument(..., help="Name, or folder of a bundle.")
_OUTPUT = typer.Option(Path("."), "--output", "-o", help="Archive to write, or folder to put NAME.zip into.")
_REPLACE_ARCHIVE = typer.Option(False, "--overwrite", help="Replace an existing archive.")
_FORCE = typer.Option(False, "--force", help="Remove the bundle even if installed bundles need it.")
_WITH_REQUIRED = typer.Option(
    False, "--with-required", help="Also write archives of the bundles that NAME requires, beside it."
)


def _commands(kind: Kind) -> SimpleNamespace:
    """Typer reads the parameters of these functions; their docstrings, which name the kind, are set at the end."""

    def list_(as_json: bool = _JSON) -> None:
        bundles.list_bundles(kind, as_json)

    def show(name: str = _NAME, as_json: bool = _JSON) -> None:
        bundles.show_bundle(kind, name, as_json)

    def verify(
        names: list[str] = typer.Argument(None, help="Names or folders of bundles [default: all]."),
        as_json: bool = _JSON,
    ) -> None:
        bundles.verify_bundles(kind, names or [], as_json)

    def export_alone(name: str = _NAME, output: Path = _OUTPUT, overwrite: bool = _REPLACE_ARCHIVE) -> None:
        bundles.export_bundle(kind, name, output, overwrite)

    def export(
        name: str = _NAME,
        output: Path = _OUTPUT,
        with_required: bool = _WITH_REQUIRED,
        overwrite: bool = _REPLACE_ARCHIVE,
    ) -> None:
        bundles.export_bundle(kind, name, output, overwrite, with_required)

    def install(
        source: Path = typer.Argument(..., help="An archive (.zip) or a bundle's folder."),
        name: str = typer.Option(None, "--name", help="Name to install under [default: the bundle's own]."),
        overwrite: bool = typer.Option(False, "--overwrite", help=f"Replace the {kind} of that name in the home."),
    ) -> None:
        bundles.install_bundle(kind, source, name, overwrite)

    own = typer.Argument(..., help=f"A {kind} in your home.")

    def remove_unused(name: str = own) -> None:
        bundles.remove_bundle(kind, name)

    def remove(name: str = own, force: bool = _FORCE) -> None:
        bundles.remove_bundle(kind, name, force)

    # Nothing requires a translator, and a hub requires nothing.
    made: dict[str, Callable[..., None]] = {
        "list_": list_,
        "show": show,
        "verify": verify,
        "export": export_alone if kind == "hub" else export,
        "install": install,
        "remove": remove_unused if kind == "translator" else remove,
    }
    for command, text in _HELP.items():
        made[command].__doc__ = text.format(kind=kind)
    return SimpleNamespace(**made)


_HELP = {
    "list_": "List {kind}s: the bundled ones, those in your home, and what plugins offer.",
    "show": "Print a {kind}'s manifest (architecture, training, licences, metrics) and its card.",
    "verify": "Check every byte of bundles, and that what they need is installed. Exit 1 if anything is wrong.",
    "export": "Write a {kind} to one zip archive that `anchor {kind}s install` takes elsewhere.",
    "install": "Install a {kind} into the home. Archives hold data only and are checked before anything changes.",
    "remove": "Remove a {kind} from the home. What plugins bring stays.",
}

hub, domain, translator, prior = _commands("hub"), _commands("domain"), _commands("translator"), _commands("prior")
