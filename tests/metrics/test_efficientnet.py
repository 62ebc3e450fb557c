"""The weights of EfficientNet-Lite0: where they are looked for, and that no other file passes."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch

from anchor_hub.errors import DataError
from anchor_hub.metrics import efficientnet
from tests.networks.test_efficientnet_lite import published_state


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with random weights that pass as the published ones."""
    folder = tmp_path / "site" / efficientnet.PACKAGE
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('this package is never imported')\n")
    file = folder / "models" / efficientnet.FILE
    torch.save(published_state(), file)
    monkeypatch.setattr(efficientnet, "SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return file


def test_the_package_holds_the_weights_and_no_code_of_it_runs(package: Path) -> None:
    assert efficientnet.find_efficientnet() == package
    network = efficientnet.load_efficientnet()
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    assert float(network(torch.zeros(1, 3, 32, 32)).abs().sum()) > 0


def test_another_file_is_refused(package: Path) -> None:
    package.write_bytes(package.read_bytes() + b"0")
    with pytest.raises(DataError, match="SHA-256 differs"):
        efficientnet.load_efficientnet()
    with pytest.raises(DataError, match="cannot be read"):
        efficientnet.load_efficientnet(package.with_name("nothing.pth"))


def test_the_way_out_is_named_where_there_are_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_of_weights")
    assert efficientnet.find_efficientnet() is None
    with pytest.raises(DataError, match="anchor-hub\\[perceptual\\]"):
        efficientnet.load_efficientnet()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / efficientnet.FILE).touch()
    assert efficientnet.find_efficientnet() == tmp_path / "checkpoints" / efficientnet.FILE
