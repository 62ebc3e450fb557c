"""Published pre- and post-processing, number for number."""

from __future__ import annotations

import re

import pytest
import torch
from PIL import Image

from anchor_hub.errors import ConfigError
from tests.parity import assert_parity, case_names, load_case, stored_part
from tests.witnesses import published_transforms as transforms


@pytest.fixture(scope="module", params=case_names("lsa_data"))
def case(request):
    return load_case(request.param)


def _picture(tensor: torch.Tensor) -> Image.Image:
    return Image.fromarray(tensor.numpy())


def test_pictures_equal_published_numbers(case):
    size = case.manifest["config"]["size"]
    rgb = transforms.published_image(_picture(case.inputs["rgb_u8"]), size=size)
    assert rgb.shape == (3, size, size) and rgb.dtype == torch.float32
    gray = transforms.published_image(_picture(case.inputs["gray_u8"]), channels=1, size=size)
    for name, found in (("rgb_s2", rgb), ("sketch_s2", gray)):
        assert_parity(stored_part(found, case.expected[name]), case.expected[name], name, 1e-6)


def test_label_maps_equal_published_numbers(case):
    size = case.manifest["config"]["size"]
    stored = {key: int(m[1]) for key in case.expected if (m := re.fullmatch(r"seg(\d+)_labels", key))}
    assert stored
    for key, classes in stored.items():
        one_hot = transforms.published_label_map(_picture(case.inputs["seg_u8"]), classes=classes, size=size)
        assert one_hot.shape == (classes, size, size)
        assert torch.equal(one_hot.sum(dim=0), torch.ones(size, size))
        assert torch.equal(one_hot.argmax(dim=0), case.expected[key].long()), key


def test_outputs_equal_published_numbers(case):
    assert torch.equal(transforms.published_picture_bytes(case.inputs["y"]), case.expected["y_uint8"])
    assert torch.equal(transforms.published_map_colours(case.inputs["logits"]), case.expected["map_uint8"])


def test_flip_and_reduction(case):
    picture = _picture(case.inputs["rgb_u8"])
    plain = transforms.published_image(picture, size=32)
    assert torch.equal(transforms.published_image(picture, size=32, flip=True), plain.flip(2))
    coarse = transforms.published_image(picture, size=32, reduction=4)
    assert coarse.shape == plain.shape and coarse.std() < plain.std()
    labels = transforms.published_label_map(_picture(case.inputs["seg_u8"]), size=32)
    flipped = transforms.published_label_map(_picture(case.inputs["seg_u8"]), size=32, flip=True)
    assert torch.equal(flipped, labels.flip(2))


def test_merging_covers_every_class_once():
    for merged in transforms.MERGED_CLASSES.values():
        assert sorted(index for originals in merged.values() for index in originals) == list(range(19))
    assert len(transforms.COLOURS) == 19


def test_bad_arguments_are_refused(case):
    label_map = _picture(case.inputs["seg_u8"])
    with pytest.raises(ConfigError, match="choose one of"):
        transforms.published_label_map(label_map, classes=4)
    with pytest.raises(ConfigError, match="class 255"):
        transforms.published_label_map(Image.new("L", (8, 8), 255))
    with pytest.raises(ConfigError):
        transforms.published_image(label_map, channels=4)
    with pytest.raises(ConfigError):
        transforms.published_image(label_map, reduction=0)
