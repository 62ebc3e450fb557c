"""What the bundle commands of hubs and domains share: arguments in, lines out."""

from __future__ import annotations

from pathlib import Path

import typer

from anchor_cli.output import note, print_json, print_table, size_text
from anchor_hub import inventory
from anchor_hub.bundles import archive
from anchor_hub.bundles.base import Kind, open_bundle
from anchor_hub.errors import AnchorError
from anchor_hub.system.config import dump_yaml

#: Names of classes that `hubs show` prints.
MOST_CLASSES = 50


def list_bundles(kind: Kind, as_json: bool) -> None:
    rows = inventory.describe_all(kind)
    if as_json:
        print_json(rows)
        return
    columns: tuple[str, ...] = ("name", "state", "source", "summary")
    if kind == "domain":
        columns = ("name", "state", "modality", "hub", "source", "summary")
    print_table([column.upper() for column in columns], [[row[column] for column in columns] for row in rows])
    for row in rows:
        if row["note"]:
            note(f"note: {row['name']}: {row['note']}")
    waiting = [row["name"] for row in rows if row["state"] == "can be added"]
    if waiting:
        note(f"`anchor add-domain {waiting[0]}` trains one that can be added.")


def show_bundle(kind: Kind, name: str, as_json: bool) -> None:
    shown = inventory.show(kind, name)
    if as_json:
        print_json(shown)
        return
    card = shown.pop("card")
    shown["bytes"] = size_text(shown["bytes"])
    if len(shown.get("classes", ())) > MOST_CLASSES:  # --json has them all
        more = len(shown["classes"]) - MOST_CLASSES
        shown["classes"] = [*shown["classes"][:MOST_CLASSES], f"... and {more} more (--json)"]
    print(dump_yaml(shown), end="")
    if card.strip():
        print(f"\n{card.strip()}")


def verify_bundles(kind: Kind, names: list[str], as_json: bool) -> None:
    result = inventory.verify(kind, names)
    if as_json:
        print_json(result)
    else:
        for name, problems in result.items():
            print(f"{name}: {'ok' if not problems else f'{len(problems)} problem(s)'}")
            for problem in problems:
                note(f"error: {problem}")
    if any(result.values()):
        raise typer.Exit(1)


def export_bundle(kind: Kind, name: str, output: Path, overwrite: bool) -> None:
    written = archive.export_bundle(inventory.locate(kind, name).path, output, overwrite=overwrite)
    print(f"{written} ({size_text(written.stat().st_size)})")


def install_bundle(kind: Kind, source: Path, name: str | None, overwrite: bool) -> None:
    folder = archive.install_bundle(source, kind=kind, name=name, overwrite=overwrite)
    print(f"installed {kind} {folder.name} in {folder}")
    manifest = open_bundle(folder).manifest
    if kind == "domain" and not _hub_is_here(manifest.hub_fingerprint):
        hub = manifest.hub or manifest.architecture.get("hub") or "its hub"
        note(
            f"note: its hub {hub} (fingerprint {manifest.hub_fingerprint}) is not on this machine: "
            "install it, too"
        )


def _hub_is_here(fingerprint: str | None) -> bool:
    for name in inventory.names("hub"):
        try:
            if inventory.locate("hub", name).manifest.hub_fingerprint == fingerprint:
                return True
        except AnchorError:
            continue
    return False


def remove_bundle(kind: Kind, name: str, force: bool = False) -> None:
    print(f"removed {kind} {name} from {inventory.remove(kind, name, force=force)}")
