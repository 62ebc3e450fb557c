"""The base of all networks' configurations, which reads the JSON-able form that a bundle keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

ConfigT = TypeVar("ConfigT", bound="NetworkConfig")


#: The largest whole number in a network's settings: no width, count or side of a network is near it.
MAX_SETTING = 1 << 20


def check_bounded(values: Any, what: str = "settings") -> None:
    """Raise ValueError for a number beyond :data:`MAX_SETTING` anywhere in settings (tables and lists), which come from
    bundles of strangers: a list or a loop of that length would be made before any network."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            check_bounded(value, str(key)[:40])
    elif isinstance(values, (list, tuple)):
        for value in values:
            check_bounded(value, what)
    elif isinstance(values, (int, float)) and not -MAX_SETTING <= values <= MAX_SETTING:
        raise ValueError(f"{what} is {str(values)[:20]}, more than {MAX_SETTING:,}")


class NetworkConfig:
    """Base of the configurations, which are dataclasses with a field ``size``."""

    @classmethod
    def from_dict(cls: type[ConfigT], values: Mapping[str, Any]) -> ConfigT:
        """A configuration from the form that :meth:`to_dict` gives. Raises ValueError for unknown keys, bad values."""
        check_bounded(values)
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"unknown {cls.__name__} settings {unknown}; known: {sorted(known)}")
        if "size" not in values:
            raise ValueError(f"a {cls.__name__} needs 'size'")
        return cls(**values)
