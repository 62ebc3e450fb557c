"""The command line: a Typer app, one module per command or group, imported when called."""
