"""Old module names that still import: each gives the module under its new name, with a warning."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

#: old name -> new name, both below ``anchor_hub``
MOVED = {
    "archive": "bundles.archive",
    "builtin": "plugins.builtin",
    "bundle": "bundles.base",
    "data.grid": "images.grid",
    "data.reading": "images.reading",
    "data.writing": "images.writing",
    "domain": "domains.base",
    "home": "system.home",
    "hub": "hubs.base",
    "inference": "translation.running",
    "registry": "plugins.registry",
    "synthesis": "translation.synthesis",
    "training.add_domain": "training.anchoring.add_domain",
    "training.anchor_presets": "training.anchoring.presets",
    "training.hub_recipe": "training.generators.stylegan2_recipe",
    "training.recipe": "training.base",
    "training.trainer": "training.engine.trainer",
    "translation.inversion": "inversion",
}


class _Finder:
    """A finder and a loader, without their base classes, whose import would cost more than all the rest."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.removeprefix("anchor_hub.") in MOVED and fullname.startswith("anchor_hub."):
            return ModuleSpec(fullname, self)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        import warnings

        new = f"anchor_hub.{MOVED[module.__name__.removeprefix('anchor_hub.')]}"
        warnings.warn(f"{module.__name__} is now {new}: import it from there", DeprecationWarning, stacklevel=2)
        found = importlib.import_module(new)
        module.__dict__.update({key: value for key, value in vars(found).items() if not key.startswith("__")})
        # The new module makes some of its names on first use.
        if hasattr(found, "__getattr__"):
            module.__dict__["__getattr__"] = found.__getattr__


def install() -> None:
    """Let the old names be imported; later calls do nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())  # type: ignore[arg-type]
