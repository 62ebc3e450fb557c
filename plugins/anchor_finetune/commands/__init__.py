"""The commands that this package adds to `anchor`. Nothing heavy is imported here: `anchor --help` stays fast."""
