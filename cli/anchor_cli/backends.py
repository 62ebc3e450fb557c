"""`anchor backends`: the ways to translate, and the options of one."""

from __future__ import annotations

import typer

from anchor_cli import options


def backends(
    name: str | None = typer.Argument(None, help="Show the styles and options of this backend [default: list all]."),
    as_json: options.AsJson = False,
) -> None:
    """List the translator backends, or show what one of them takes with --set."""
    from anchor_cli.output import print_json, print_table, printable
    from anchor_hub.plugins.registry import registry

    known = registry().backends
    if name is None:
        rows = [
            {
                "name": key,
                "source": known[key].plugin,
                "recipes": list(known[key].spec.recipes),
                "summary": known[key].spec.summary,
            }
            for key in known
        ]
        if as_json:
            print_json(rows)
            return
        print_table(
            ("NAME", "SOURCE", "TRAINED BY", "SUMMARY"),
            [(row["name"], row["source"], ", ".join(row["recipes"]) or "-", row["summary"]) for row in rows],
        )
        return
    from anchor_hub.translation.backends import describe_backend

    described = describe_backend(name)
    if as_json:
        print_json(described)
        return
    for key in ("name", "summary", "styles", "recipes"):
        value = described[key]
        typer.echo(f"{key}: {printable(', '.join(value) if isinstance(value, list) else value) or '-'}")
    if described["options"]:
        typer.echo()
        print_table(
            ("OPTION", "TYPE", "DEFAULT", "WHAT IT DOES"),
            [
                (item["name"], item["type"], "-" if item["default"] is None else item["default"], item["help"])
                for item in described["options"]
            ],
        )
