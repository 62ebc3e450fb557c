"""`anchor plugins`: which plugins are loaded, from where, and why one is not."""

from __future__ import annotations

from anchor_cli import options


def plugins(as_json: options.AsJson = False) -> None:
    """List plugins: name, distribution, version, state, what each registers, and why one was not loaded.

    Of third-party plugins, ANCHOR_LOAD_PLUGINS=a,b loads only a and b, and an empty ANCHOR_LOAD_PLUGINS loads none.
    """
    from anchor_cli.main import note_commands_left_out
    from anchor_cli.output import print_json, print_table
    from anchor_hub.plugins.registry import registry

    found = registry()
    found.collections()  # names are resolved when first looked at; now, so that shadowed ones are among the notes
    note_commands_left_out()
    described = [plugin.as_dict() for plugin in found.plugins]
    if as_json:
        print_json(described)
        return
    rows = []
    for item in described:
        registers = ", ".join(f"{kind}: {len(names)}" for kind, names in item["registers"].items())
        rows.append(
            (item["name"], item["distribution"], item["version"], item["status"], item["reason"] or registers)
        )
    print_table(("PLUGIN", "DISTRIBUTION", "VERSION", "STATE", "REGISTERS / REASON"), rows)
    for item in described:
        for line in item["notes"]:
            print(f"note: {item['name']}: {line}")
