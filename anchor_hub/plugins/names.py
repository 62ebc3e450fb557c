"""Records that plugins and the home register, found by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from anchor_hub.errors import NotFoundError, PluginError, did_you_mean
from anchor_hub.specs import Spec

if TYPE_CHECKING:
    from anchor_hub.bundles.base import BundleManifest

SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True)
class Registered(Generic[SpecT]):
    """A record and where it comes from: `source` is "home", "first-party" or "third-party".

    manifest: the manifest of its bundle, if finding the record read it.
    """

    spec: SpecT
    plugin: str
    source: str
    distribution: str = ""
    note: str = field(default="", compare=False)
    manifest: BundleManifest | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.spec.key

    @property
    def bundle(self) -> Path | None:
        """The folder of its bundle; None if there is none on this machine."""
        path = getattr(self.spec, "bundle", None)
        return Path(path) if path and Path(path, "bundle.yaml").is_file() else None

    @property
    def label(self) -> str:
        return f"{self.plugin} ({self.distribution})" if self.distribution else self.plugin


class Names(Mapping[str, Registered[SpecT]]):
    """Records of one kind by name. A missing name raises the kind's NotFoundError, suggesting the nearest."""

    def __init__(self, kind: str, hint: str = "", not_found: type[NotFoundError] = NotFoundError) -> None:
        self._kind, self._hint, self._not_found = kind, hint, not_found
        self._records: dict[str, list[Registered[SpecT]]] = {}
        self._lazy: dict[str, Callable[[], Registered[SpecT]]] = {}

    def first(self, name: str) -> Registered[SpecT] | None:
        """The record added first under that name; None if there is none."""
        records = self._records.get(name)
        return records[0] if records else None

    def add(self, record: Registered[SpecT]) -> None:
        """Add a record. Two records of one name raise an error when the name is looked up."""
        self._records.setdefault(record.name, []).append(record)

    def defer(self, name: str, read: Callable[[], Registered[SpecT]]) -> None:
        """Let ``read`` give the record of that name at every look-up, in place of what was added."""
        self._lazy[name] = read

    def __getitem__(self, name: str) -> Registered[SpecT]:
        if name in self._lazy:
            return self._lazy[name]()
        records = self._records.get(name)
        if not records:
            raise self._not_found(
                f"no {self._kind} is named {str(name)[:80]!r}.{did_you_mean(name, self)}{self._hint}"
            )
        if len(records) > 1:
            first, second = records[0], records[1]
            raise PluginError(
                f"the {self._kind} {name!r} is registered by two plugins, {first.label} and "
                f"{second.label}: uninstall one, "
                "or choose with ANCHOR_LOAD_PLUGINS"
            )
        return records[0]

    def in_order(self) -> Iterator[str]:
        """The names in the order of registration: this project's first, then others' plugin by plugin."""
        return iter(list(self._records))

    def __contains__(self, name: object) -> bool:
        return name in self._lazy or name in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._records, *self._lazy}))

    def __len__(self) -> int:
        return len({*self._records, *self._lazy})
