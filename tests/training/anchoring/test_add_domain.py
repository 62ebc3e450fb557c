"""What `anchor add-domain` is going to do, before anything is loaded or rendered."""

from __future__ import annotations

from typing import Any

import pytest

from anchor_hub.errors import UsageError
from anchor_hub.training.anchoring.add_domain import option_table, plan_domain


def options(modality: str, **given: Any) -> dict[str, Any]:
    table = option_table(objective="published", **given)
    return plan_domain("mine", hub="h", data="files", modality={"name": modality}, options=table).options


@pytest.mark.parametrize(
    ("modality", "regressor"), [("segmentation", "deeper"), ("gray", "deeper"), ("rgb", "shallow")]
)
def test_the_published_objective_brings_the_published_networks(modality: str, regressor: str) -> None:
    found = options(modality)
    assert (found["encoder"], found["regressor"]) == ({"name": "psp"}, {"name": regressor})


def test_networks_that_are_named_stay() -> None:
    found = options("gray", encoder="compact", regressor="attention", optimizer="adam")
    assert (found["encoder"], found["regressor"]) == ({"name": "compact"}, {"name": "attention"})
    assert found["optimizer"] == "adam"
    plain = plan_domain("mine", hub="h", data="files", modality={"name": "gray"}).options
    assert "encoder" not in plain and "regressor" not in plain


def test_a_registered_domain_keeps_its_own_regressor() -> None:
    found = plan_domain("face", options=option_table(objective="published")).options
    assert found["regressor"] == {"name": "hub"} and found["encoder"] == {"name": "psp"}


@pytest.mark.parametrize("kind", ["encoder", "regressor"])
def test_networks_nobody_knows_are_refused(kind: str) -> None:
    with pytest.raises(UsageError, match=f"--{kind}: there is no {kind} 'typo'. Known: .*compact"):
        option_table(**{kind: "typo"})  # type: ignore[arg-type]
