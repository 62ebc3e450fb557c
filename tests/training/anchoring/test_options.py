"""Options of anchoring: defaults, tables of plugins, wrong names and values."""

from __future__ import annotations

import json

import pytest

from anchor_hub.errors import NotFoundError, UsageError
from anchor_hub.training.anchoring.options import ALIGNED_WEIGHTS, AlignedWeights, AnchorOptions, aligned_weights
from anchor_hub.training.anchoring.presets import published_preset
from anchor_hub.training.anchoring.published_objective import published_weights


def test_a_table_round_trips_through_json():
    options = AnchorOptions.from_dict(
        {
            "objective": "published",
            "encoder": {"name": "psp", "head": "dense"},
            "resolutions": [8, 16],
            "codes": 3,
            "weights": {"reconstruction": 2.0},
        }
    )
    assert options.resolutions == (8, 16)
    table = json.loads(json.dumps(options.to_dict()))
    assert AnchorOptions.from_dict(table) == options
    assert AnchorOptions.from_dict(AnchorOptions().to_dict()) == AnchorOptions()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"learning-rate": 1e-3}, "no option 'learning-rate'. Did you mean 'learning_rate'"),
        ({"objective": "publishd"}, "no objective 'publishd'. Did you mean 'published'"),
        ({"encoder": "compact"}, "encoder must be a table with a name"),
        ({"regressor": {"width": 3}}, "regressor must be a table with a name"),
        ({"codes": 0}, "codes must be a whole number of at least 1"),
        ({"codes": True}, "codes must be a whole number"),
        ({"structure_layers": 2.5}, "structure_layers must be a whole number"),
        ({"learning_rate": 0.0}, "learning_rate must lie above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must lie above 0"),
        ({"learning_rate": "fast"}, "learning_rate must lie above 0"),
    ],
)
def test_wrong_options_are_named(table, message):
    with pytest.raises(UsageError, match=message):
        AnchorOptions.from_dict(table)


def test_weights_start_from_the_modalitys_own():
    assert aligned_weights("gray", {}) == ALIGNED_WEIGHTS["gray"]
    assert aligned_weights("somebodys", {}) == AlignedWeights()
    changed = aligned_weights("segmentation", {"edges": 2.0, "adversarial": 0})
    assert (changed.edges, changed.adversarial, changed.regions) == (2.0, 0, ALIGNED_WEIGHTS["segmentation"].regions)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"edge": 1.0}, "aligned objective has no term 'edge'. Did you mean 'edges'"),
        ({"edges": -1.0}, "weight of 'edges' must be a number of at least 0"),
        ({"edges": float("nan")}, "weight of 'edges' must be"),
        ({"edges": float("inf")}, "weight of 'edges' must be"),
        ({"regions": 0.5}, "'regions' needs label maps"),
        ({"sampled_regions": 0.5}, "'sampled_regions' needs label maps"),
        ({"dice": 0.5}, "'dice' needs label maps"),
    ],
)
def test_wrong_weights_are_named(overrides, message):
    with pytest.raises(UsageError, match=message):
        aligned_weights("gray", overrides)


def test_published_weights_come_from_the_published_table():
    assert published_weights("segmentation", {}) == published_preset("segmentation").weights
    changed = published_weights("gray", {"latent_adversarial": 0.5})
    assert changed == {**published_preset("gray").weights, "latent_adversarial": 0.5}
    assert published_preset("gray").weights["latent_adversarial"] == 0.0, "the table itself must not change"
    with pytest.raises(UsageError, match="published objective has no term 'edges'"):
        published_weights("gray", {"edges": 1.0})
    with pytest.raises(NotFoundError, match="no published settings for modality 'grey'"):
        published_weights("grey", {})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": "published", "optimizer": "adm"}, "no optimizer 'adm'. Did you mean 'adam'"),
        ({"optimizer": "ranger"}, "Ranger is for --objective published"),
    ],
)
def test_wrong_optimizers_are_refused(values, message):
    with pytest.raises(UsageError, match=message):
        AnchorOptions(**values)


def test_an_optimizer_that_was_not_chosen_is_not_recorded():
    """Runs from before there was a choice have no such option, and go on."""
    assert "optimizer" not in AnchorOptions(objective="published").to_dict()
    assert AnchorOptions(objective="published", optimizer="adam").to_dict()["optimizer"] == "adam"
    assert AnchorOptions.from_dict(AnchorOptions(optimizer="adam").to_dict()).optimizer == "adam"
