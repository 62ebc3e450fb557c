"""The work of the bundle commands, the same for every kind: calls the library and prints its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from anchor_cli.output import note, print_json, print_table, size_text
from anchor_hub import inventory
from anchor_hub.bundles.base import Kind, open_bundle
from anchor_hub.plugins.finding import how_to_train
from anchor_hub.plugins.usable import lacks
from anchor_hub.system.config import dump_yaml

#: Names of classes that `hubs show` prints.
MOST_CLASSES = 50
#: Names of targets that `translators list` prints.
MOST_TARGETS = 3
_COLUMNS: dict[Kind, tuple[str, ...]] = {
    "hub": ("architecture", "px", "latent", "classes"),
    "domain": ("modality", "hub"),
    "translator": ("from", "to", "backend"),
}


def list_bundles(kind: Kind, as_json: bool) -> None:
    rows = inventory.describe_all(kind)
    if as_json:
        print_json(rows)
        return
    columns = ("name", "state", *_COLUMNS.get(kind, ()), "source", "summary")
    print_table([column.upper() for column in columns], [[_cell(row[column]) for column in columns] for row in rows])
    for row in rows:
        if row["note"]:
            note(f"note: {row['name']}: {row['note']}")
    waiting = [row["name"] for row in rows if row["state"] in ("can be added", "can be trained")]
    if waiting:
        note(f"`{how_to_train(kind, waiting[0])}` trains one that {inventory.UNTRAINED[kind]}.")


def _cell(value: Any) -> str:
    """A table cell: of a list of names, the first few."""
    if not isinstance(value, list):
        return str(value)
    more = f" and {len(value) - MOST_TARGETS} more" if len(value) > MOST_TARGETS else ""
    return ", ".join(value[:MOST_TARGETS]) + more


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


def export_bundle(kind: Kind, name: str, output: Path, overwrite: bool, with_required: bool = False) -> None:
    written, left_out = inventory.export(kind, name, output, with_required=with_required, overwrite=overwrite)
    for path in written:
        print(f"{path} ({size_text(path.stat().st_size)})")
    for needed in left_out:
        note(f"note: the archive lacks the {needed.kind} {needed.name}, which {name} requires; --with-required adds it")


def install_bundle(kind: Kind, source: Path, name: str | None, overwrite: bool) -> None:
    folder = inventory.install(kind, source, name=name, overwrite=overwrite)
    print(f"installed {kind} {folder.name} in {folder}")
    for lack in lacks(open_bundle(folder).manifest):
        note(f"note: {lack.message}")


def remove_bundle(kind: Kind, name: str, force: bool = False) -> None:
    print(f"removed {kind} {name} from {inventory.remove(kind, name, force=force)}")
