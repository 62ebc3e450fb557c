"""`anchor domains`: the domains on this machine."""

from __future__ import annotations

import typer

from anchor_cli.lazy import Entry, lazy_group

app = typer.Typer(
    cls=lazy_group(
        {
            "list": Entry(
                "anchor_cli.domain_bundles:list_", "List domains: ready ones and such as can be added."
            ),
            "show": Entry("anchor_cli.domain_bundles:show", "Print a domain's manifest and card."),
            "verify": Entry("anchor_cli.domain_bundles:verify", "Check every byte of domains."),
            "export": Entry("anchor_cli.domain_bundles:export", "Write a domain to a zip archive."),
            "install": Entry(
                "anchor_cli.domain_bundles:install", "Install a domain from an archive or a folder."
            ),
            "import": Entry("anchor_cli.domains_import:import_", "Make a released encoder and regressor a domain."),
            "remove": Entry("anchor_cli.domain_bundles:remove", "Remove a domain from the home."),
        }
    ),
    no_args_is_help=True,
)


@app.callback()
def domains() -> None:
    """Domains: kinds of images, each with its way into and out of a hub's latents."""
