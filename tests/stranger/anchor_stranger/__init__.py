"""A stranger's backend, domain architecture and checkpoint reader, written with Anchor Hub's public names alone."""
