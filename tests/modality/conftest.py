from __future__ import annotations

from collections.abc import Iterator

import pytest

from anchor_hub.plugins.registry import registry
from tests.plugin_makers import install_plugin

PLUGIN = """
    from anchor_hub.hookspecs import hookimpl
    from anchor_hub.specs import ModalitySpec

    @hookimpl
    def anchor_register_modalities(register):
        for name in ("photo", "zones", "corners"):
            register(ModalitySpec(name, target=f"tests.modality.strangers:{name.capitalize()}"))
"""


@pytest.fixture
def strangers(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The modalities of ``strangers.py``, registered by an installed plugin."""
    monkeypatch.syspath_prepend(str(install_plugin(tmp_path_factory.mktemp("site"), PLUGIN)))
    registry.cache_clear()
    yield
    registry.cache_clear()
