"""The commands that this package adds to `anchor`. As on every command's way to `--help`, nothing heavy is imported."""
