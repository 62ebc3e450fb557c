from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anchor_hub.errors import ImageError
from anchor_hub.images import reading
from anchor_hub.images.reading import open_image, resize_nearest, resize_smooth, to_gray, to_rgb
from tests.images.bad_images import BAD, GOOD, encoded, picture, png_of_zeros


@pytest.mark.parametrize("name", BAD)
def test_every_bad_file_is_one_line_with_its_name(tmp_path: Path, name: str) -> None:
    content, word = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    with warnings.catch_warnings():
        # Pillow's own warning would be a second line about the same file.
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        with pytest.raises(ImageError) as caught:
            open_image(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and word in message and "\n" not in message
    assert "BytesIO" not in message, "a detail of this program"
    assert caught.value.exit_code == 1


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        open_image(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="is a folder"):
        open_image(tmp_path)
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(ImageError, match=r"loop\.png: cannot be opened"):
        open_image(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a regular file"):
        open_image(tmp_path / "pipe.png")  # must not wait for a writer
    with pytest.raises(ImageError, match="cannot be opened"):
        open_image("nul\0byte.png")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(GOOD)

    def refuse(*_: Any, **__: Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)  # the tests may run as root, whom no mode stops
    with pytest.raises(ImageError, match="Permission denied.*permissions"):
        open_image(path)


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(GOOD)

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdopen", fail)
    with pytest.raises(ImageError, match="Input/output error"):
        open_image(path)


def test_a_file_too_long_to_be_an_image(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    with open(path, "wb") as stream:
        stream.truncate(reading.MAX_FILE_BYTES + 1)  # a hole: takes no space
    with pytest.raises(ImageError, match="the limit is 512 MB"):
        open_image(path)


@pytest.mark.parametrize("name", ["line\nbreak.png", "smile-\U0001f600.png", "space and 'quote'.png"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD)
    assert open_image(path).size == (20, 20)
    path.write_bytes(b"")
    with pytest.raises(ImageError) as caught:
        open_image(path)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    try:
        with open(path, "wb") as stream:
            stream.write(b"")
    except OSError:
        pytest.skip("this file system refuses such names")
    with pytest.raises(ImageError) as caught:
        open_image(os.fsdecode(path))
    str(caught.value).encode("utf-8")  # printable anywhere


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF"])
def test_every_format_whatever_the_suffix(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(encoded(picture(), kind))
    image = open_image(path)
    assert image.size == (20, 20) and to_rgb(image, path).mode == "RGB"


def test_only_listed_formats_are_tried(tmp_path: Path) -> None:
    # Pillow itself opens these; some of its other readers run programs.
    for kind in ("TGA", "ICO", "PCX"):
        path = tmp_path / "image.png"
        path.write_bytes(encoded(picture(), kind))
        Image.open(path).load()
        with pytest.raises(ImageError, match="no image of a known format"):
            open_image(path)


def test_smallest_images(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for width, height in ((1, 1), (1, 32), (32, 1)):
        path.write_bytes(png_of_zeros(width, height))
        image = to_rgb(open_image(path), path)
        assert image.size == (width, height) and resize_smooth(image, 8, "stretch").size == (8, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation(tmp_path: Path, orientation: int, kind: str) -> None:
    upright = Image.new("L", (32, 16), 0)
    upright.paste(255, (0, 0, 16, 8))  # white is top left
    # What a camera stores for each orientation: the inverse of what showing it takes.
    stored = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a"
    image = (upright if stored is None else upright.transpose(stored)).convert("RGB")
    path.write_bytes(encoded(image, kind, exif=exif))
    values = np.asarray(to_gray(open_image(path), path)).astype(int)
    assert values.shape == (16, 32)
    assert values[4, 8] > 200 and values[4, 24] < 50 and values[12, 8] < 50 and values[12, 24] < 50


def test_damaged_orientation_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert open_image(path).size == (20, 20)


def save(tmp_path: Path, image: Image.Image, kind: str = "PNG", **options: Any) -> Path:
    path = tmp_path / "a"
    path.write_bytes(encoded(image, kind, **options))
    return path


def rgb_of(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(to_rgb(open_image(path), path))


def gray_of(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(to_gray(open_image(path), path))


def test_sixteen_bits_become_eight_by_scaling_not_by_clipping(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257, 32896, 65535]], dtype=np.uint16)
    path = save(tmp_path, Image.fromarray(deep))
    assert gray_of(path).tolist() == [[0, 0, 1, 1, 128, 255]]
    assert rgb_of(path)[0, :, 1].tolist() == [0, 0, 1, 1, 128, 255]
    path = save(tmp_path, Image.fromarray(deep.astype(np.int32)), "TIFF")
    assert gray_of(path).tolist() == [[0, 0, 1, 1, 128, 255]]


def test_thirty_two_bits_beyond_sixteen_are_refused(tmp_path: Path) -> None:
    for low, high in ((-1, 5), (0, 70000)):
        path = save(tmp_path, Image.fromarray(np.array([[low, high]], dtype=np.int32)), "TIFF")
        with pytest.raises(ImageError, match=f"from {low} to {high}"):
            gray_of(path)


def test_floating_values(tmp_path: Path) -> None:
    def tiff(*values: float) -> Path:
        return save(tmp_path, Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")

    assert gray_of(tiff(0, 0.5, 1)).tolist() == [[0, 128, 255]]
    assert gray_of(tiff(0, 2, 254.6)).tolist() == [[0, 2, 255]]
    for wrong, message in (((0, np.nan), "NaN"), ((0, np.inf), "NaN or infinity"), ((-1, 1), "-1"), ((0, 300), "300")):
        with pytest.raises(ImageError, match=message):
            gray_of(tiff(*wrong))


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    clear = np.zeros((1, 3, 4), dtype=np.uint8)
    clear[0, :, 3] = (0, 255, 51)  # black: invisible, opaque, a fifth visible
    path = save(tmp_path, Image.fromarray(clear))
    assert rgb_of(path)[0].tolist() == [[255] * 3, [0] * 3, [204] * 3]
    assert gray_of(path).tolist() == [[255, 0, 204]]
    path = save(tmp_path, Image.fromarray(clear).convert("LA"))
    assert gray_of(path).tolist() == [[255, 0, 204]]
    indexed = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="P")
    indexed.putpalette([10, 20, 30, 40, 50, 60])
    path = save(tmp_path, indexed, transparency=0)
    assert rgb_of(path)[0].tolist() == [[255] * 3, [40, 50, 60]]


def test_other_modes(tmp_path: Path) -> None:
    black_white = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    assert gray_of(save(tmp_path, black_white)).tolist() == [[0, 255]]
    indexed = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="P")
    indexed.putpalette([255, 0, 0, 0, 0, 255])
    assert rgb_of(save(tmp_path, indexed))[0].tolist() == [[255, 0, 0], [0, 0, 255]]
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(rgb_of(save(tmp_path, ink, "TIFF"))[0, 0].astype(int) - [255, 0, 0]).max() < 30
    assert rgb_of(save(tmp_path, ink, "JPEG"))[0, 0, 0] > 200


def test_lab(tmp_path: Path) -> None:
    lab = Image.new("LAB", (4, 4), (255, 128, 128))  # L 100 %, a and b neutral
    values = rgb_of(save(tmp_path, lab, "TIFF"))
    assert values.min() >= 253


def test_colours_become_gray_by_luma(tmp_path: Path) -> None:
    path = save(tmp_path, Image.new("RGB", (1, 1), (255, 0, 0)))
    assert gray_of(path).tolist() == [[76]]  # 0.299 * 255


def test_draft_decoding_stays_close_and_above_the_size(tmp_path: Path) -> None:
    smooth = picture((8, 8)).resize((512, 512), Image.Resampling.BICUBIC)
    path = save(tmp_path, smooth, "JPEG", quality=95)
    whole, draft = open_image(path), open_image(path, draft=128)
    assert min(draft.size) >= 128 and draft.size != whole.size
    one, other = (np.asarray(resize_smooth(image, 64, "stretch")).astype(int) for image in (whole, draft))
    assert np.abs(one - other).max() <= 8


def test_resizing_is_the_published_one() -> None:
    image = picture((37, 23))
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(np.asarray(resize_smooth(image, 16, "stretch")), expected)


def test_cropping_takes_the_middle() -> None:
    image = Image.new("L", (48, 16), 0)
    image.paste(255, (16, 0, 32, 16))
    assert np.asarray(resize_smooth(image, 16, "crop")).min() == 255
    assert resize_nearest(np.asarray(image), 8, "crop").min() == 255
    assert np.asarray(resize_smooth(image, 16, "stretch")).min() == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.sampled_from(["stretch", "crop"]))
def test_nearest_resizing_invents_no_values(height: int, width: int, size: int, fit: str) -> None:
    values = np.random.default_rng(height * 31 + width).integers(0, 1000, (height, width))
    found = resize_nearest(values, size, fit)
    assert found.shape == (size, size) and np.isin(found, values).all()
    if height == width and size % height == 0:
        assert np.array_equal(found, np.kron(values, np.ones((size // height, size // height), int)))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF"]), st.data())
def test_any_damage_is_an_image_error_or_an_image(kind: str, data: st.DataObject) -> None:
    content = bytearray(encoded(picture(), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        image = reading.decode_image(bytes(content[:cut]), "a.img")
        assert to_rgb(image, "a.img").mode == "RGB"
    except ImageError as error:
        assert str(error).startswith("a.img: ")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_one_flipped_bit_of_a_png_is_found(place: int, bit: int) -> None:
    content = bytearray(GOOD)
    content[place % len(content)] ^= 1 << bit
    with pytest.raises(ImageError):
        reading.decode_image(bytes(content), "a.png")
