from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from anchor_hub.bundles import tensorfile
from anchor_hub.errors import BundleError, DataError
from anchor_hub.metrics.extractors import MobileNetExtractor, load_extractor
from anchor_hub.metrics.mobilenet import MobileNetV2, SameConv


@pytest.fixture(scope="module")
def network() -> MobileNetV2:
    torch.manual_seed(0)
    return MobileNetV2().eval()


@pytest.fixture
def weights(network: MobileNetV2, tmp_path: Path) -> Path:
    path = tmp_path / "mobilenet.safetensors"
    path.write_bytes(tensorfile.write(network.state_dict(), path))
    return path


def test_the_published_shapes(network: MobileNetV2) -> None:
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    assert len(shapes) == 2 * 53
    assert shapes["layer00.weight"] == [32, 3, 3, 3]
    assert shapes["layer01.weight"] == [32, 1, 3, 3]  # the first block has no expansion
    assert shapes["layer03.weight"] == [96, 16, 1, 1]
    assert shapes["layer50.weight"] == [320, 960, 1, 1]
    assert shapes["layer52.weight"] == [1001, 1280, 1, 1]


def test_same_padding_of_tensorflow() -> None:
    conv = SameConv(1, 1, 3, 2, bias=False)
    torch.nn.init.ones_(conv.weight)
    # Even side: one row below and right, none above. Sums of rows 0-2, 2-4 (4 is padding) of ones.
    assert conv(torch.ones(1, 1, 4, 4))[0, 0].tolist() == [[9, 6], [6, 4]]
    # Odd side: one row on each side.
    assert conv(torch.ones(1, 1, 5, 5))[0, 0].tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


def test_features_and_logits(network: MobileNetV2) -> None:
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        features, logits = network.features(images), network(images)
    assert features.shape == (2, 1280) and logits.shape == (2, 1001)
    assert bool((features >= 0).all()) and bool((features <= 6).all())
    last = network.get_submodule("layer52")
    assert torch.allclose(logits, F.linear(features, last.weight[:, :, 0, 0], last.bias), atol=1e-5)


def test_an_extractor_from_a_file(weights: Path, network: MobileNetV2) -> None:
    extractor = load_extractor(weights)
    pictures = torch.randint(0, 256, (3, 3, 224, 224), dtype=torch.uint8)
    features = extractor(pictures)
    assert features.shape == (3, 1280) and features.dtype == torch.float32
    with torch.no_grad():
        assert torch.allclose(features, network.features(pictures.float() / 127.5 - 1), atol=1e-4)
    assert not any(parameter.requires_grad for parameter in extractor.network.parameters())
    assert extractor.describe()["metric"] == "fd_mobilenetv2"


def test_pictures_are_never_enlarged(network: MobileNetV2) -> None:
    extractor = MobileNetExtractor(network, sha256="0" * 64)
    small = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    large = torch.randint(0, 256, (1, 3, 320, 320), dtype=torch.uint8)
    reduced = F.interpolate(large.float(), size=(224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        assert torch.allclose(extractor(small), network.features(small.float() / 127.5 - 1), atol=1e-4)
        assert torch.allclose(extractor(large), network.features(reduced / 127.5 - 1), atol=1e-4)


def test_batches_change_nothing(network: MobileNetV2) -> None:
    extractor = MobileNetExtractor(network, sha256="0" * 64)
    pictures = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    whole, parts = extractor.statistics(pictures), extractor.statistics(pictures, batch=2)
    assert whole.count == parts.count == 3
    assert torch.allclose(whole.mean, parts.mean, atol=1e-6)


def test_wrong_pictures(network: MobileNetV2) -> None:
    with pytest.raises(DataError, match="uint8"):
        MobileNetExtractor(network, sha256="0" * 64)(torch.zeros(1, 3, 8, 8))
    with pytest.raises(DataError, match=r"\[1, 1, 8, 8\]"):
        MobileNetExtractor(network, sha256="0" * 64)(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))


def test_wrong_files(weights: Path, network: MobileNetV2, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--extractor"):
        load_extractor(tmp_path / "none.safetensors")
    with pytest.raises(DataError, match="cannot be read"):
        load_extractor(tmp_path)
    other = tmp_path / "other.safetensors"
    other.write_bytes(tensorfile.write({"layer00.weight": torch.zeros(1)}, other))
    with pytest.raises(BundleError, match="lacks layer00.bias"):
        load_extractor(other)
    other.write_text("<html>")
    with pytest.raises(BundleError, match="MobileNetV2"):
        load_extractor(other)
    other.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BundleError):
        load_extractor(other)
