"""Modalities do not change: the side is an argument, or another object's."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.domains.base import modality_options
from anchor_hub.errors import UsageError
from anchor_hub.evaluation.plan import parse_metrics
from anchor_hub.modality import Modality, Traits, build_modality
from anchor_hub.modality.landmarks import Landmarks
from anchor_hub.training.anchoring.options import settings_row
from tests.modality.strangers import Bare, Corners
from tests.tiny import COMPACT, tiny_domain, tiny_hub

TABLES: list[dict[str, Any]] = [
    {"name": "rgb"},
    {"name": "gray", "fit": "crop"},
    {"name": "segmentation", "classes": 5},
    {"name": "landmarks", "points": 68},
    {"name": "landmarks", "points": 68, "drawn": True, "size": 32},
]


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_nothing_of_it_can_be_set(table: dict[str, Any]) -> None:
    modality = build_modality(table)
    with pytest.raises(AttributeError, match=rf"modality {table['name']}: size cannot be set.* modality.at\(side\)"):
        modality.size = 64
    with pytest.raises(AttributeError, match="fit cannot be set"):
        modality.fit = "crop"
    with pytest.raises(AttributeError, match="fit cannot be deleted"):
        del modality.fit
    for other in (copy.copy(modality), copy.deepcopy(modality), pickle.loads(pickle.dumps(modality)), modality.at(8)):
        with pytest.raises(AttributeError, match="size cannot be set"):
            other.size = 64
    assert {"name": modality.name, **modality.options()} == table


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_at_is_another_one_or_itself(table: dict[str, Any]) -> None:
    modality = build_modality(table)
    size, other = modality.size, modality.at(16)
    assert other.size == 16 and modality.size == size and type(other) is type(modality)
    assert other.at(16) is other and other is not modality
    assert other.at(32).at(16).options() == other.options()
    for wrong in (0, -1, 2.0, True, None):
        with pytest.raises(UsageError, match="is no side of an image"):
            modality.at(wrong)  # type: ignore[arg-type]


def test_manifests_say_the_side_of_landmarks_alone() -> None:
    assert build_modality({"name": "landmarks"}).at(64).options() == {"points": 68, "size": 64}
    assert build_modality({"name": "rgb"}).at(64).options() == {}
    hub = tiny_hub()
    given = build_modality({"name": "landmarks", "points": 68})
    domain = tiny_domain("points", hub)
    assert modality_options(domain.modality) == {"name": "landmarks", "points": 68, "size": hub.size}
    assert given.size is None


def test_a_modality_without_traits_goes_on_working(tmp_path: Path) -> None:
    hub, modality = tiny_hub(), Bare()
    regressor = {"name": "shallow", "options": {"resolutions": [16]}}
    domain = AnchoredDomain.build("bare", modality, hub, encoder=COMPACT, regressor=regressor)
    decoded = domain.modality.from_network(domain.decode(hub.expand(hub.sample(1, seed=0))))
    domain.modality.write(decoded[0], tmp_path / "a.png")
    files = ImageFolder(tmp_path, modality, hub.size)
    assert torch.equal(files[0], decoded[0]) and files.modality.size == hub.size
    assert modality.traits == Traits() and modality.size is None
    assert parse_metrics(None, domain.modality, True) == ("psnr", "l1")
    assert settings_row(domain.modality) == "bare"


def test_private_names_are_the_classs_own() -> None:
    modality = Corners(2)
    modality._cache = 3
    assert modality._cache == 3
    with pytest.raises(AttributeError, match="corners: count cannot be set"):
        modality.count = 3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([".json", ".csv", ".pts"]), st.sampled_from([16, 64, 100]))
def test_the_side_as_an_argument_is_that_of_a_declared_modality(
    tmp_path_factory: pytest.TempPathFactory, seed: int, suffix: str, side: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(2, 68, 2, generator=generator) * side
    heat = torch.randn(2, 68, 8, 8, generator=generator)
    undeclared, elsewhere, declared = Landmarks(), Landmarks(size=7), Landmarks().at(side)
    folder = tmp_path_factory.mktemp("points")
    declared.write(points[0], folder / f"a{suffix}")
    for modality in (undeclared, elsewhere):
        modality.write(points[0], folder / f"b{suffix}", side=side)
        assert (folder / f"a{suffix}").read_bytes() == (folder / f"b{suffix}").read_bytes()
        assert torch.equal(modality.read(folder / f"b{suffix}", side), declared.read(folder / f"a{suffix}", side))
        assert torch.equal(modality.flip(points, side=side), declared.flip(points))
        assert torch.equal(modality.from_network(heat, side=side), declared.from_network(heat))
    one = points[:1]
    assert torch.equal(elsewhere.to_network(one, side=side), declared.to_network(one))
    assert torch.equal(elsewhere.as_input(heat[:1], side=side), declared.as_input(heat[:1]))
    assert torch.equal(elsewhere.preview(points[0], side=side), declared.preview(points[0]))
    loss = elsewhere.reconstruction_loss(heat, points, side=side)
    assert torch.equal(loss, declared.reconstruction_loss(heat, points))


def test_heat_maps_without_a_declared_side_are_as_large_as_their_image() -> None:
    heat = torch.randn(1, 68, 16, 16, generator=torch.Generator().manual_seed(0))
    modality = Landmarks()
    assert torch.equal(modality.from_network(heat), Landmarks(size=16).from_network(heat))
    assert torch.equal(modality.as_input(heat), Landmarks(size=16).as_input(heat))
    assert modality.size is None, "and nothing is remembered of it"
    with pytest.raises(UsageError, match=r"modality.at\(64\)"):
        modality.preview(modality.from_network(heat)[0])


@pytest.fixture(scope="module")
def domain() -> Any:
    return tiny_domain("points", tiny_hub())


def points_file(folder: Path) -> Path:
    Landmarks(size=64).write(torch.rand(68, 2, generator=torch.Generator().manual_seed(1)) * 64, folder / "a.json")
    return folder / "a.json"


def test_reading_at_another_side_changes_no_later_decoding(domain: Any, tmp_path: Path) -> None:
    """Domains are cached: one caller's reading was every other caller's side."""
    path, latents = points_file(tmp_path), domain.hub.expand(domain.hub.sample(1, seed=0))
    before = domain.modality.from_network(domain.decode(latents))
    assert domain.modality.read(path, 256).max() > domain.hub.size, "in pixels of 256"
    after = domain.modality.from_network(domain.decode(latents))
    assert torch.equal(before, after) and domain.modality.size == domain.hub.size
    assert modality_options(domain.modality)["size"] == domain.hub.size


def test_threads_share_a_modality(domain: Any, tmp_path: Path) -> None:
    path, heat = points_file(tmp_path), torch.randn(1, 68, 8, 8, generator=torch.Generator().manual_seed(0))
    modality: Modality = domain.modality
    right, stop, wrong = modality.from_network(heat), threading.Event(), []

    def read() -> None:
        side = 16
        while not stop.is_set():
            side = 272 - side
            if float(modality.read(path, side).max()) > side:
                wrong.append(side)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        if not torch.equal(modality.from_network(heat), right):
            wrong.append(0)
    stop.set()
    reader.join()
    assert wrong == []
