"""Measuring translations: the run over a set of pairs, its records, and their comparison."""
