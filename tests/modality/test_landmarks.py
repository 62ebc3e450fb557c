from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anchor_hub.errors import ConfigError, DataError, ImageError, UsageError
from anchor_hub.modality.landmark_drawing import LINES, MIRRORED_68, draw, expected_points
from anchor_hub.modality.landmarks import Landmarks


def face(seed: int = 0, size: float = 64) -> torch.Tensor:
    return torch.rand(68, 2, generator=torch.Generator().manual_seed(seed)) * size


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([".json", ".csv"]), st.sampled_from([16, 64, 100]))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, seed: int, suffix: str, size: int
):
    path = tmp_path_factory.mktemp("points") / f"a{suffix}"
    modality, points = Landmarks(size=size), face(seed, size)
    modality.write(points, path)
    assert torch.equal(modality.read(path, size), points)


def test_pts_files_count_pixel_centres_from_one(tmp_path: Path):
    (tmp_path / "a.pts").write_text("version: 1\nn_points: 2\n{\n1.0 1.0\n32 64\n}\n")
    assert Landmarks(2).read(tmp_path / "a.pts", 64).tolist() == [[0.5, 0.5], [31.5, 63.5]]
    modality, points = Landmarks(size=64), face()
    modality.write(points, tmp_path / "b.pts")
    assert torch.allclose(modality.read(tmp_path / "b.pts", 64), points, atol=1e-5)


def test_points_are_scaled_from_the_size_in_the_file_to_the_size_asked_for(tmp_path: Path):
    (tmp_path / "a.json").write_text('{"size": [100, 50], "points": [[50, 25], [100, 0]]}')
    assert Landmarks(2).read(tmp_path / "a.json", 64).tolist() == [[32, 32], [64, 0]]
    # crop: the middle 50 x 50, so that x = 50 is still the centre and 100 lies outside
    assert Landmarks(2, fit="crop").read(tmp_path / "a.json", 64).tolist() == [[32, 32], [96, 0]]


def test_a_photograph_is_no_drawing_of_landmarks(tmp_path: Path):
    """It would be read as one, and translated into a face of nowhere."""
    Image.new("RGB", (8, 8), (200, 120, 90)).save(tmp_path / "photo.png")
    with pytest.raises(ImageError, match="photo.png: is a coloured picture, not drawn landmarks"):
        Landmarks(68).read(tmp_path / "photo.png", 8)
    Image.new("RGB", (8, 8), (200, 200, 200)).save(tmp_path / "drawing.jpg")
    assert Landmarks(68).read(tmp_path / "drawing.jpg", 8).shape == (1, 8, 8)


def test_bare_points_take_the_size_of_an_image_beside_them(tmp_path: Path):
    (tmp_path / "a.json").write_text("[[5, 5]]")
    assert Landmarks(1).read(tmp_path / "a.json", 10).tolist() == [[5, 5]]
    Image.new("L", (20, 40)).save(tmp_path / "a.png")
    assert Landmarks(1).read(tmp_path / "a.json", 10).tolist() == [[2.5, 1.25]]
    (tmp_path / "b.json").write_text('{"landmarks": [[1, 2]]}')
    assert Landmarks(1).read(tmp_path / "b.json", 10).tolist() == [[1, 2]]
    (tmp_path / "c.csv").write_text("x,y\n1.5,2\n")
    assert Landmarks(1).read(tmp_path / "c.csv", 10).tolist() == [[1.5, 2]]


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.json", "[[1, 2], [3, 4]]", "holds 2 points, not 1"),
        ("a.json", "[[NaN, 2]]", "point 0 is nan"),
        ("a.json", "[[1e999, 2]]", "point 0 is inf"),
        ("a.json", "[[900, 2]]", 'far outside its image; write {"size"'),
        ("a.json", '{"size": [9, 9], "points": [[900, 2]]}', 'check the "size"'),
        ("a.json", '{"size": [0, 9], "points": [[1, 2]]}', "size must be"),
        ("a.json", '{"size": [9], "points": [[1, 2]]}', "no x, y pair"),
        ("a.json", '{"point": [[1, 2]]}', "no list of points"),
        ("a.json", '[["x", 2]]', "no list of points"),
        ("a.json", "[[true, 2]]", "no list of points"),
        ("a.json", "[" * 100_000, "no list of points"),
        ("a.json", "hello", "no list of points"),
        ("a.json", "", "is empty"),
        ("a.csv", "1,2,3\n", "no x, y pair"),
        ("a.csv", "a,b\n1,2\n", "no list of points"),
        ("a.pts", "1 2\n", "braces"),
        ("a.pts", "{\n1 two\n}", "no list of points"),
    ],
)
def test_bad_files_are_named_with_the_reason(tmp_path: Path, name: str, text: str, message: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(ImageError) as caught:
        Landmarks(1).read(tmp_path / name, 64)
    assert message in str(caught.value) and str(caught.value).startswith(str(tmp_path / name))


def test_bytes_that_are_no_text(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ImageError, match="is not text"):
        Landmarks(1).read(tmp_path / "a.json", 64)


def test_mirroring_is_dlibs_order_and_its_own_inverse():
    assert sorted(MIRRORED_68) == list(range(68))
    assert [MIRRORED_68[index] for index in MIRRORED_68] == list(range(68))
    # outer corner of one eye to the other's, mouth corners, chin, brows' inner ends
    for first, second in ((36, 45), (39, 42), (48, 54), (60, 64), (8, 8), (21, 22), (0, 16), (31, 35), (30, 30)):
        assert MIRRORED_68[first] == second
    # each line is mirrored onto a line
    drawn = {frozenset(range(first, last + 1)) for first, last, _ in LINES}
    assert {frozenset(MIRRORED_68[index] for index in line) for line in drawn} == drawn


def test_flipped_points_draw_the_flipped_picture():
    modality, batch = Landmarks(size=64), face(size=16)[None] + 20  # lines as short as a face's
    flipped = modality.flip(batch)
    assert torch.allclose(modality.to_network(flipped), modality.to_network(batch).flip(-1), atol=0.01)
    assert torch.allclose(modality.flip(flipped), batch, atol=1e-5)
    drawing = torch.randint(0, 256, (1, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(modality.flip(drawing), drawing.flip(-1))
    with pytest.raises(UsageError, match="which of 5 points"):
        Landmarks(5, size=64).flip(torch.zeros(1, 5, 2))


def test_lines_are_drawn_where_they_are():
    # One dot in the middle of pixel (3, 5), and nothing elsewhere.
    picture = draw(torch.tensor([[[3.5, 5.5]]]), 16)[0, 0]
    assert picture[5, 3] == 1 and picture[5, 8] == 0 and picture[8, 3] == 0
    # The jaw alone, level with row 10; all other points lie outside.
    points = torch.full((68, 2), -1000.0)
    points[:17, 0], points[:17, 1] = torch.linspace(2, 14, 17), 10.5
    picture = draw(points[None], 16)[0, 0]
    assert bool((picture[10, 2:14] > 0.8).all()) and picture[:8].max() == 0 and picture[13:].max() == 0


def test_drawing_is_differentiable_in_the_points():
    points = torch.tensor([[[5.2, 5.7]]], dtype=torch.float32, requires_grad=True)
    target = draw(torch.tensor([[[6.0, 5.0]]]), 12)
    optimizer = torch.optim.SGD([points], lr=0.05)
    for _ in range(100):
        loss = (draw(points, 12) - target).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.allclose(points, torch.tensor([[[6.0, 5.0]]]), atol=0.05)


def test_sharp_heat_maps_give_their_points_back():
    x, y = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="xy")
    points = face(3, 40) + 12
    logits = -((x - points[:, 0, None, None]) ** 2 + (y - points[:, 1, None, None]) ** 2) / 2
    assert torch.allclose(expected_points(logits[None], 64)[0], points, atol=1e-3)
    # The same maps of a hub with images twice as large.
    assert torch.allclose(expected_points(logits[None], 128)[0], 2 * points, atol=2e-3)
    modality = Landmarks(size=64)
    assert torch.allclose(modality.from_network(logits[None])[0], points, atol=1e-3)
    assert modality.reconstruction_loss(logits[None], points[None]) == pytest.approx(0, abs=2e-3)
    shown = modality.as_input(logits[None])
    assert torch.allclose(shown, modality.to_network(points[None]), atol=0.03)


def test_the_loss_falls_to_the_points_by_descent():
    modality, samples = Landmarks(points=3, size=16), torch.tensor([[[4.0, 4.0], [12.5, 3.0], [8.0, 30.0]]])
    logits = torch.zeros(1, 3, 16, 16, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    first = modality.reconstruction_loss(logits, samples).item()
    for _ in range(150):
        loss = modality.reconstruction_loss(logits, samples)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = modality.from_network(logits)[0]
    assert loss.item() < first / 3 and torch.allclose(found[:2], samples[0, :2], atol=0.25)
    # A point below the picture ends at its edge.
    assert found[2, 1] > 14.5


def test_the_published_variant_draws_one_channel(tmp_path: Path):
    modality = Landmarks(drawn=True, size=32)
    assert modality.output_channels == 1 and modality.output_suffix == ".png"
    samples = face(0, 32)[None]
    picture = modality.to_network(samples)
    assert picture.shape == (1, 1, 32, 32) and modality.reconstruction_loss(picture, samples) == 0
    sample = modality.from_network(picture)[0]
    modality.write(sample, tmp_path / "a.png")
    assert torch.equal(modality.read(tmp_path / "a.png", 32), sample)
    assert modality.preview(sample).shape == (3, 32, 32)
    with pytest.raises(DataError, match="write them as .png"):
        modality.write(sample, tmp_path / "a.json")


def test_heat_maps_cannot_be_learned_from_drawings():
    with pytest.raises(UsageError, match="learned from points"):
        Landmarks(size=8).reconstruction_loss(torch.zeros(1, 68, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8))


def test_files_say_the_size_of_their_image(tmp_path: Path):
    Landmarks(size=64).write(face(), tmp_path / "a.json")
    stored = json.loads((tmp_path / "a.json").read_text())
    assert stored["size"] == [64, 64] and len(stored["points"]) == 68
    assert torch.allclose(Landmarks().read(tmp_path / "a.json", 128), 2 * face())


def test_points_without_a_size_are_refused():
    with pytest.raises(UsageError, match="size=64"):
        Landmarks().to_network(face()[None])


@pytest.mark.parametrize("options", [{"points": 0}, {"points": 1.5}, {"sigma": 0.0}, {"fit": "no"}])
def test_wrong_options(options: dict[str, object]):
    with pytest.raises(ConfigError, match="modality landmarks"):
        Landmarks(**options)  # type: ignore[arg-type]
