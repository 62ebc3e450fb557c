from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_hub.errors import DataError
from anchor_hub.metrics import perceptual
from anchor_hub.metrics.perceptual import Perceptual


@pytest.fixture
def trunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with random weights in torchvision's layout of AlexNet, accepted as the published one."""
    models: Any = pytest.importorskip("torchvision.models", exc_type=Exception)
    pytest.importorskip("lpips", exc_type=Exception)
    torch.manual_seed(0)
    draft = tmp_path / "draft.pth"
    torch.save(models.alexnet(weights=None).state_dict(), draft)
    digest = hashlib.sha256(draft.read_bytes()).hexdigest()[:8]
    monkeypatch.setitem(perceptual.TRUNK_FILES, "alex", f"alexnet-owt-{digest}.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    path = tmp_path / "hub" / "checkpoints" / f"alexnet-owt-{digest}.pth"
    path.parent.mkdir(parents=True)
    draft.rename(path)
    return path


def test_distance(trunk: Path) -> None:
    metric = Perceptual()
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=generator)
    second = first.clone()
    second[1] = 255 - second[1]
    distances = metric(first, second)
    assert distances.shape == (2,)
    assert distances[0].item() == pytest.approx(0, abs=1e-7) and distances[1].item() > 1e-4
    assert torch.allclose(distances, metric(first.float() / 127.5 - 1, second.float() / 127.5 - 1), atol=1e-6)


def test_the_weights_of_the_file_are_the_ones_in_use(trunk: Path) -> None:
    stored = torch.load(trunk, weights_only=True)
    used = Perceptual().model.net.state_dict()
    assert torch.equal(used["slice1.0.weight"], stored["features.0.weight"])
    assert torch.equal(used["slice5.10.bias"], stored["features.10.bias"])


def test_it_is_the_lpips_librarys_number(trunk: Path) -> None:
    lpips: Any = pytest.importorskip("lpips", exc_type=Exception)
    theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    stored = torch.load(trunk, weights_only=True)
    theirs.net.load_state_dict({n: stored["features." + n.partition(".")[2]] for n in theirs.net.state_dict()})
    generator = torch.Generator().manual_seed(3)
    one, other = (torch.rand(2, 3, 48, 48, generator=generator) * 2 - 1 for _ in range(2))
    with torch.no_grad():
        wanted, found = theirs(one, other).flatten(), Perceptual()(one, other)
    assert torch.equal(found, wanted) and bool((found > 0).all())
    assert torch.allclose(Perceptual()(other, one), found, rtol=1e-5)  # symmetric


def test_gradients_reach_the_pictures(trunk: Path) -> None:
    first = torch.rand(1, 3, 64, 64, requires_grad=True)
    Perceptual()(first, torch.rand(1, 3, 64, 64)).sum().backward()
    assert first.grad is not None and float(first.grad.abs().sum()) > 0


def test_wrong_pictures(trunk: Path) -> None:
    metric = Perceptual()
    with pytest.raises(DataError, match="32 pixels"):
        metric(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))
    with pytest.raises(DataError, match=r"\[B, 3, H, W\]"):
        metric(torch.zeros(1, 3, 64, 64), torch.zeros(2, 3, 64, 64))


def test_a_missing_file_is_named_and_nothing_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "nowhere"))
    with pytest.raises(DataError) as caught:
        Perceptual("vgg")
    message = str(caught.value)
    assert "vgg16-397923af.pth" in message and str(tmp_path / "nowhere" / "checkpoints") in message
    with pytest.raises(DataError, match="no network 'alexnet'.*alex"):
        Perceptual("alexnet")


def test_another_file_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "alexnet-owt-7be5be79.pth"
    wrong.write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DataError, match="is not torchvision's"):
        Perceptual(weights=wrong)


def test_a_broken_torchvision_is_named(trunk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "lpips"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(DataError, match="importing lpips failed.*torchvision that fits torch"):
        Perceptual()
