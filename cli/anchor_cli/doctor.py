"""`anchor doctor`: checks this installation."""

from __future__ import annotations

import typer

from anchor_cli import options


def doctor(as_json: options.AsJson = False) -> None:
    """Check Python, torch, devices, the home, plugins and every bundle. Exit 1 if anything must be mended."""
    from anchor_cli.output import print_json, print_table
    from anchor_hub.doctor import examine

    findings = list(examine())
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        print_table(
            ("CHECK", "STATE", "FOUND"), [(item.check, item.state, item.message) for item in findings]
        )
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(1)
