"""The factor table: names, ranges, frequencies, and that a sample's factors are its own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchor_faces.rendering import (
    FACTOR_NAMES,
    FACTOR_TABLE,
    HAIR_STYLES,
    factor_table_markdown,
    sample_factors,
)
from anchor_faces.rendering.factors import Flag, Normal, Sometimes, Uniform
from anchor_hub.errors import UsageError

SAMPLES = [sample_factors(3, index) for index in range(2000)]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**40), index=st.integers(0, 10**6))
def test_a_sample_has_every_factor_in_its_range(seed: int, index: int) -> None:
    factors = sample_factors(seed, index)
    assert tuple(factors) == FACTOR_NAMES
    assert factors == sample_factors(seed, index)
    for factor in FACTOR_TABLE:
        value, distribution = factors[factor.name], factor.distribution
        if isinstance(distribution, Uniform):
            assert distribution.low <= value <= distribution.high
        elif isinstance(distribution, Normal):
            shift = max(abs(distribution.feminine), abs(distribution.masculine))
            assert abs(value - distribution.mean) <= distribution.deviation * distribution.limit + shift + 1e-9
            assert distribution.low <= value <= distribution.high
        elif isinstance(distribution, Flag):
            assert value in (0, 1)
        elif isinstance(distribution, Sometimes):
            assert value == 0 or distribution.low <= value <= distribution.high
    assert factors["hair_style"] in HAIR_STYLES


def test_names_are_unique_and_can_stand_in_a_filter() -> None:
    assert len(set(FACTOR_NAMES)) == len(FACTOR_NAMES)
    assert all(name.isidentifier() for name in FACTOR_NAMES)
    assert {"smile", "mouth_open", "yaw", "glasses", "hat", "hair_style", "beard", "feminine"} <= set(FACTOR_NAMES)


def test_other_seeds_and_indices_give_other_factors() -> None:
    assert len({factors["yaw"] for factors in SAMPLES}) > 1800  # some are cut at the limits
    assert sample_factors(0, 5) != sample_factors(1, 5)
    # (seed, index) must not be mixed up with (index, seed)
    assert sample_factors(1, 2) != sample_factors(2, 1)


def test_frequencies_are_those_of_the_table() -> None:
    count = len(SAMPLES)

    def share(name: str) -> float:
        return sum(bool(factors[name]) for factors in SAMPLES) / count

    for name, probability in (
        ("feminine", 0.5),
        ("glasses", 0.22),
        ("hat", 0.07),
        ("mouth_open", 0.42),
        ("makeup", 0.225),
    ):
        assert abs(share(name) - probability) < 4 * math.sqrt(probability * (1 - probability) / count), name
    assert {factors["hair_style"] for factors in SAMPLES} == set(HAIR_STYLES)
    assert abs(sum(factors["yaw"] for factors in SAMPLES) / count) < 4 * 16 / math.sqrt(count)
    winks = sum(factors["left_eye_open"] != factors["right_eye_open"] for factors in SAMPLES) / count
    blinks = sum(not factors["left_eye_open"] and not factors["right_eye_open"] for factors in SAMPLES) / count
    assert 0.01 < winks < 0.06 and 0.02 < blinks < 0.08


def test_what_only_some_wear_only_they_wear() -> None:
    for factors in SAMPLES:
        absent = ("beard", "stubble", "moustache") if factors["feminine"] else ("makeup", "earrings", "necklace")
        assert not any(factors[name] for name in absent)


def test_the_table_documents_every_factor() -> None:
    lines = factor_table_markdown().splitlines()
    assert len(lines) == 2 + len(FACTOR_TABLE)
    for line, factor in zip(lines[2:], FACTOR_TABLE, strict=True):
        assert line.count("|") == 4 and f"`{factor.name}`" in line
        assert "object at" not in line and factor.meaning in line


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_numbers_are_refused(seed: int, index: int) -> None:
    with pytest.raises(UsageError, match="at least 0"):
        sample_factors(seed, index)


def test_the_page_of_the_docs_shows_this_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "rendered-faces.md"
    assert factor_table_markdown() in page.read_text(encoding="utf-8"), "run python docs/make_rendered_faces.py"
