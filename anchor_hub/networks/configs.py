"""The base of all networks' configurations, which reads the JSON-able form that a bundle keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

ConfigT = TypeVar("ConfigT", bound="NetworkConfig")


class NetworkConfig:
    """Base of the configurations, which are dataclasses with a field ``size``."""

    @classmethod
    def from_dict(cls: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
        """A configuration from the form that :meth:`to_dict` gives. Raises ValueError for unknown keys, bad values."""
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown {cls.__name__} settings {unknown}; known: {sorted(known)}")
        if "size" not in values:
            raise ValueError(f"a {cls.__name__} needs 'size'")
        return cls(**values)
