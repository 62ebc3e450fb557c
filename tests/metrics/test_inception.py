from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from anchor_hub.errors import DataError, UsageError
from anchor_hub.metrics import inception
from anchor_hub.metrics.extractors import load_extractor

FILES = inception.FILES


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of random weights in torch-fidelity's layout, accepted as the published one while this module runs."""
    fidelity: Any = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", exc_type=Exception)
    pytest.importorskip("torchmetrics.image.fid", exc_type=Exception)
    patch = pytest.MonkeyPatch()
    with patch.context() as during, torch.random.fork_rng():
        torch.manual_seed(0)
        during.setattr(fidelity, "load_state_dict_from_url", lambda *args, **options: {})
        during.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = fidelity.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    path = tmp_path_factory.mktemp("cache") / "hub" / "checkpoints" / FILES[1]
    path.parent.mkdir(parents=True)
    torch.save(network.state_dict(), path)
    patch.setattr(inception, "DIGEST", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    patch.setattr(torch.hub, "get_dir", lambda: str(path.parents[1]))
    yield path
    patch.undo()


@pytest.fixture
def pictures() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("resize", ["tensorflow", "antialias"])
def test_features_are_the_libraries(weights: Path, pictures: torch.Tensor, resize: str) -> None:
    extractor = load_extractor(None, resize=resize)
    assert (extractor.name, extractor.short, extractor.dimensions) == ("inception", "inception", 2048)
    assert extractor.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert extractor.resize == inception.RESIZES[resize]
    if resize == "tensorflow":
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        theirs = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))(pictures)[0]
    else:
        from torchmetrics.image.fid import FrechetInceptionDistance

        theirs = FrechetInceptionDistance(feature_extractor_weights_path=str(weights)).inception(pictures)
    found = extractor(pictures)
    assert found.shape == (2, 2048) and float(found.std()) > 0
    assert torch.allclose(found, theirs, rtol=1e-4, atol=1e-6)


def test_both_resizes_differ(weights: Path) -> None:
    large = torch.randint(0, 256, (1, 3, 700, 700), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    one, other = (load_extractor("inception", resize=resize)(large) for resize in ("tensorflow", "antialias"))
    assert not torch.allclose(one, other, rtol=1e-3)


def test_a_file_by_path(weights: Path, tmp_path: Path) -> None:
    assert load_extractor(weights).name == "inception"
    other = tmp_path / "other.pth"
    other.write_bytes(b"<html>quota exceeded</html>")
    with pytest.raises(DataError, match=f"is not FID's {FILES[0]}"):
        load_extractor(other)
    with pytest.raises(DataError, match="cannot be read"):
        load_extractor(tmp_path / "none.pth")
    with pytest.raises(UsageError, match="no resize 'bicubic'.*antialias"):
        load_extractor(weights, resize="bicubic")


def test_missing_weights_are_named_and_nothing_takes_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "nowhere"))
    with pytest.raises(DataError) as caught:
        load_extractor()
    message = str(caught.value)
    assert FILES[0] in message and str(tmp_path / "nowhere" / "checkpoints") in message and "--extractor" in message


def test_a_name_that_nobody_registered() -> None:
    with pytest.raises(UsageError, match="Did you mean 'inception'"):
        load_extractor("inceptoin")
