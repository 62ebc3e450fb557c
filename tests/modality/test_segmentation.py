from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anchor_hub.errors import ConfigError, DataError, ImageError
from anchor_hub.modality import build_modality
from anchor_hub.modality.merging import load_merge_table
from anchor_hub.modality.palettes import CELEBAMASK_HQ, numbered_palette, resolve_palette
from anchor_hub.modality.segmentation import Segmentation

FACES = {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"}
COARSE = {"background": ["background", "*"], "face": ["skin", "nose", 4, 5], "hair": ["hair", "hat"]}


def random_ids(classes: int, size: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, (1, size, size), generator=generator).to(
        torch.uint8 if classes <= 256 else torch.int16
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 1024), st.integers(0, 99))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, classes: int, seed: int):
    path = tmp_path_factory.mktemp("ids") / "a.png"
    modality, sample = Segmentation(classes), random_ids(classes, seed=seed)
    modality.write(sample, path)
    found = modality.read(path, 12)
    assert found.dtype == sample.dtype and torch.equal(found, sample)


def test_files_are_palette_pngs_with_the_published_colours(tmp_path: Path):
    modality, sample = build_modality(FACES), random_ids(19)
    modality.write(sample, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P" and np.array_equal(np.asarray(image), sample[0].numpy())
        shown = np.asarray(image.convert("RGB"))
    assert np.array_equal(shown, modality.preview(sample).permute(1, 2, 0).numpy())
    assert CELEBAMASK_HQ.names[13] == "hair" and CELEBAMASK_HQ.colours[13] == (0, 0, 204)


@pytest.mark.parametrize("mode", ["L", "I;16", "palette", "RGB", "RGBA", "gray RGB", "LA"])
def test_every_way_to_write_ids_reads_the_same(tmp_path: Path, mode: str):
    modality, sample = Segmentation(palette="celebamask-hq"), random_ids(19)
    ids = sample[0].numpy()
    coloured = Image.fromarray(modality.preview(sample).permute(1, 2, 0).numpy())
    if mode == "I;16":
        image = Image.fromarray(ids.astype(np.uint16))
    elif mode in ("RGB", "RGBA"):
        image = coloured.convert(mode)
    elif mode == "gray RGB":
        image = Image.fromarray(ids).convert("RGB")
    elif mode == "palette":  # somebody else's palette: indices count
        image = Image.fromarray(ids)
        image.putpalette(bytes(range(256)) * 3)
    else:
        image = Image.fromarray(ids).convert(mode)
    image.save(tmp_path / "a.png")
    assert torch.equal(modality.read(tmp_path / "a.png", 12), sample)


def test_a_palette_in_another_order_is_read_by_its_colours(tmp_path: Path):
    modality, sample = Segmentation(palette="celebamask-hq"), random_ids(19)
    image = Image.fromarray((18 - sample[0].numpy()).astype(np.uint8))
    image.putpalette(bytes(part for colour in reversed(CELEBAMASK_HQ.colours) for part in colour))
    image.save(tmp_path / "a.png")
    assert torch.equal(modality.read(tmp_path / "a.png", 12), sample)


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_ids_beyond_the_classes_are_refused_even_where_eight_bits_would_clip(tmp_path: Path, mode: str):
    high = 200 if mode == "L" else 4000
    Image.fromarray(np.full((4, 4), high, np.uint8 if mode == "L" else np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=rf"a\.png: holds class id {high}, but there are 19 classes"):
        build_modality(FACES).read(tmp_path / "a.png", 4)


def test_sixteen_bit_ids_survive(tmp_path: Path):
    Image.fromarray(np.array([[0, 255, 256, 999]] * 4, np.uint16)).save(tmp_path / "a.png")
    assert Segmentation(1000).read(tmp_path / "a.png", 4)[0, 0].tolist() == [0, 255, 256, 999]


def test_jpeg_and_smoothed_label_maps_are_refused(tmp_path: Path):
    modality = build_modality(FACES)
    picture = Image.fromarray(modality.preview(random_ids(19)).permute(1, 2, 0).numpy())
    picture.save(tmp_path / "a.jpg")
    picture.resize((15, 15), Image.Resampling.BILINEAR).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"a\.jpg: is a JPEG.*PNG"):
        modality.read(tmp_path / "a.jpg", 12)
    with pytest.raises(ImageError, match=r"a\.png: .*% of its pixels have colours that are no class's"):
        modality.read(tmp_path / "a.png", 12)
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: holds fractions, no class ids"):
        modality.read(tmp_path / "a.tif", 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.integers(0, 99))
def test_resizing_only_copies_ids(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, size: int, seed: int
):
    if max(width, height) > 32 * min(width, height):
        return
    ids = np.random.default_rng(seed).integers(0, 19, (height, width)).astype(np.uint8)
    path = tmp_path_factory.mktemp("resize") / "a.png"
    Image.fromarray(ids).save(path)
    found = build_modality(FACES).read(path, size)
    assert found.shape == (1, size, size)
    assert set(found.unique().tolist()) <= set(np.unique(ids).tolist())
    if size % width == 0 and size % height == 0:
        enlarged = ids.repeat(size // height, 0).repeat(size // width, 1)
        assert np.array_equal(found[0].numpy(), enlarged)


def test_networks_see_one_hot_maps_and_their_argmax_is_the_sample():
    modality = build_modality(FACES)
    samples = torch.stack([random_ids(19), random_ids(19, seed=1)])
    images = modality.to_network(samples)
    assert images.shape == (2, 19, 12, 12) and images.dtype == torch.float32
    assert torch.equal(images.sum(1), torch.ones(2, 12, 12)) and set(images.unique().tolist()) == {0, 1}
    assert torch.equal(modality.from_network(images * 5 - 2), samples)


def test_the_loss_is_the_cross_entropy_also_of_bfloat16_logits():
    modality, samples = build_modality(FACES), random_ids(19)[None]
    flat = torch.zeros(1, 19, 12, 12)
    assert modality.reconstruction_loss(flat, samples) == pytest.approx(math.log(19), abs=1e-5)
    loss = modality.reconstruction_loss(flat.bfloat16(), samples)
    assert loss.dtype == torch.float32 and loss == pytest.approx(math.log(19), abs=1e-5)
    assert modality.reconstruction_loss(modality.to_network(samples) * 50, samples) < 1e-6


def test_as_input_is_one_hot_with_the_gradient_of_the_softmax():
    modality = build_modality(FACES)
    logits = torch.randn(1, 19, 4, 4, requires_grad=True)
    shown = modality.as_input(logits)
    assert torch.equal(shown.round(), modality.to_network(modality.from_network(logits)))
    (gradient,) = torch.autograd.grad(shown[0, 3].sum(), logits)
    (soft,) = torch.autograd.grad(logits.softmax(1)[0, 3].sum(), logits)
    assert torch.allclose(gradient, soft)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999))
def test_flipping_twice_changes_nothing(seed: int):
    modality, batch = build_modality(FACES), random_ids(19, seed=seed)[None]
    assert torch.equal(modality.flip(modality.flip(batch)), batch)


def test_flipping_exchanges_left_and_right_and_nothing_else():
    names = list(CELEBAMASK_HQ.names)
    expected = {"l_eye": "r_eye", "l_brow": "r_brow", "l_ear": "r_ear"}
    expected |= {right: left for left, right in expected.items()}
    batch = torch.arange(19, dtype=torch.uint8).reshape(1, 1, 1, 19)
    flipped = build_modality(FACES).flip(batch)[0, 0, 0].flip(0)
    assert [names[index] for index in flipped.tolist()] == [expected.get(name, name) for name in names]


def test_merging_reads_finer_files_as_coarser_classes(tmp_path: Path):
    every = torch.arange(19, dtype=torch.uint8).reshape(1, 1, 19).expand(1, 19, 19)
    build_modality(FACES).write(every, tmp_path / "a.png")
    modality = build_modality({**FACES, "merge": COARSE})
    assert isinstance(modality, Segmentation)
    assert modality.classes == modality.input_channels == modality.output_channels == 3
    row = modality.read(tmp_path / "a.png", 19)[0, 0].tolist()
    assert row == [2 if index in (13, 14) else 1 if index in (1, 2, 4, 5) else 0 for index in range(19)]


def test_merged_files_feed_the_coarse_and_the_fine_domain(tmp_path: Path):
    coarse, fine = build_modality({**FACES, "merge": COARSE}), build_modality(FACES)
    sample = random_ids(3)
    coarse.write(sample, tmp_path / "a.png")
    assert torch.equal(coarse.read(tmp_path / "a.png", 12), sample)
    assert torch.equal(fine.read(tmp_path / "a.png", 12), torch.tensor([0, 1, 13], dtype=torch.uint8)[sample.long()])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_partition_merges_and_its_files_are_read_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    classes = data.draw(st.integers(2, 30))
    groups = data.draw(st.integers(2, classes))
    # Every group gets one class for certain, the others fall anywhere.
    home = [*range(groups), *(data.draw(st.integers(0, groups - 1)) for _ in range(classes - groups))]
    home = data.draw(st.permutations(home))
    merge = {f"g{new}": [old for old in range(classes) if home[old] == new] for new in range(groups)}
    modality = Segmentation(classes, merge=merge)
    sample = random_ids(classes, 20, seed=classes)
    path = tmp_path_factory.mktemp("merge") / "a.png"
    Segmentation(classes).write(sample, path)
    merged = modality.read(path, 20)
    assert torch.equal(merged, torch.tensor(home)[sample.long()].to(torch.uint8))
    modality.write(merged, path)
    assert torch.equal(modality.read(path, 20), merged)


@pytest.mark.parametrize(
    "merge, message",
    [
        ({"a": ["skin"], "b": ["hare", "*"]}, "no class 'hare'. Did you mean 'hair'"),
        ({"a": ["skin"], "b": ["skin", "*"]}, "'skin' stands in two groups"),
        ({"a": [1], "b": [19, "*"]}, "no class 19"),
        ({"a": ["*"], "b": ["*"]}, "'\\*' stands in two groups"),
        ({"a": ["skin"], "b": ["hair"]}, "in no group"),
        ({"a": ["*"]}, "keep at least two"),
    ],
)
def test_wrong_merges_say_what_is_wrong(merge: dict[str, list[object]], message: str):
    with pytest.raises(ConfigError, match=message):
        build_modality({**FACES, "merge": merge})


def test_merge_files(tmp_path: Path):
    path = tmp_path / "merge.yaml"
    path.write_text("background: ['*']\nface: [skin, 2]\nhair: hair\n")
    assert load_merge_table(path) == {"background": ["*"], "face": ["skin", 2], "hair": ["hair"]}
    for text in ("", "- a\n", "a: {b: 1}\n", "a: [1.5]\n", "a: [true]\n"):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"merge\.yaml"):
            load_merge_table(path)


def test_palettes_from_files_travel_in_the_options(tmp_path: Path):
    colours = tmp_path / "colours.yaml"
    colours.write_text("ground: [0, 0, 0]\nl_paw: [9, 9, 9]\nr_paw: [8, 8, 8]\n")
    modality = Segmentation(palette=str(colours))
    colours.unlink()
    again = build_modality({"name": "segmentation", **json.loads(json.dumps(modality.options()))})
    assert isinstance(again, Segmentation) and again.palette == modality.palette
    assert again.palette.mirrored() == [0, 2, 1]
    ids = tmp_path / "labels.json"
    ids.write_text('{"hair": 1, "background": 0, "skin": 2}')
    assert resolve_palette(str(ids), None).names == ("background", "hair", "skin")


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "number of classes"),
        ({"classes": 1}, "must be 2 to 1024"),
        ({"classes": 2.5}, "whole number"),
        ({"classes": 7, "palette": "celebamask-hq"}, "has 19 classes, but classes is 7"),
        ({"palette": "celeba"}, "no palette 'celeba'.*celebamask-hq"),
        ({"palette": {"a": 0, "b": 2}}, "not 0 to 1"),
        ({"palette": {"a": [0, 0, 0], "b": [0, 0, 256]}}, "colour of 'b'"),
        ({"palette": ["a", "b"]}, "class 0"),
    ],
)
def test_wrong_options_say_what_is_wrong(options: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        build_modality({"name": "segmentation", **options})


def test_numbered_palettes_have_distinct_colours():
    assert len(set(numbered_palette([str(index) for index in range(1024)]).colours)) == 1024


def test_only_png_keeps_ids(tmp_path: Path):
    with pytest.raises(DataError, match="written as PNG"):
        build_modality(FACES).write(random_ids(19), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []
