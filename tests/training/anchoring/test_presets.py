"""The table of published settings is complete and consistent with what can be built."""

from __future__ import annotations

import pytest

from anchor_hub.errors import NotFoundError
from anchor_hub.networks.encoders import ENCODERS
from anchor_hub.networks.regressors import REGRESSORS
from anchor_hub.training.anchoring.presets import PUBLISHED, published_preset


def test_every_modality_has_both_sources():
    modalities = {"rgb", "gray", "segmentation", "landmarks"}
    assert set(PUBLISHED) == {(source, name) for source in ("paper", "code") for name in modalities}


@pytest.mark.parametrize(("key", "preset"), PUBLISHED.items(), ids=str)
def test_rows_name_what_exists(key, preset):
    assert (preset.source, preset.modality) == key
    assert preset.encoder in ENCODERS and preset.regressor in REGRESSORS
    assert preset.learning_rate == 1e-4 and preset.batch == 4 and preset.image_size == 256
    assert preset.steps == {"paper": 200_000, "code": 300_000}[preset.source]
    assert preset.optimiser == {"paper": "adam", "code": "ranger"}[preset.source]


def test_the_papers_weights():
    assert published_preset("segmentation", "paper").weights["reconstruction"] == 1
    for modality in ("gray", "landmarks"):
        weights = published_preset(modality, "paper").weights
        assert (weights["reconstruction"], weights["latent_norm"], weights["image_adversarial"]) == (
            10,
            0.005,
            0.01,
        )


def test_unknown_modality():
    with pytest.raises(NotFoundError, match="segmentation"):
        published_preset("segmentaton")
