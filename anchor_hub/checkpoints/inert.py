"""Names of harmless objects in pickles: nothing is imported or run for them."""

from __future__ import annotations

#: Values that people save beside weights. They become records of their arguments, which nothing reads.
INERT = {
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("range", "xrange", "slice", "complex")),
    *(f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
    *(f"numpy.{core}.{name}" for core in ("core", "_core")
      for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")),
    *(f"numpy.{name}" for name in ("ndarray", "dtype", "float64", "float32", "int64", "int32", "bool_")),
    *(f"{module}.{kind}{name}Path" for module in ("pathlib", "pathlib._local") for kind in ("", "Pure")
      for name in ("", "Posix", "Windows")),
    "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "collections.deque", "collections.Counter",
}  # fmt: skip
