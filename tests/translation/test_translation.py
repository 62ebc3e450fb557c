"""Translating: what goes where in W+, styles, exemplars, and the errors of wrong combinations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import anchor_faces
import anchor_hub as ah
from anchor_hub.domains.anchored import STYLE_CORRECTIONS
from anchor_hub.domains.base import Domain
from anchor_hub.errors import BundleError, HubMismatchError, ImageError, MissingPartError, UsageError
from anchor_hub.translation.anchor import AnchorOptions, AnchorTranslator, translator
from anchor_hub.translation.request import Session, TranslationRequest
from anchor_hub.translation.styles import parse_layers, random_styles
from tests.hubs.test_base import counted_layers
from tests.tiny import SIZE, tiny_domain, tiny_home, tiny_hub, write_sample


@pytest.fixture
def pair():
    hub = tiny_hub()
    return AnchorTranslator(tiny_domain("seg", hub), tiny_domain("face", hub))


def network_input(translator: AnchorTranslator, batch: int = 2) -> torch.Tensor:
    ids = torch.randint(0, 5, (batch, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    return translator.source_modality.to_network(ids.to(torch.uint8))


def test_without_a_style_the_fine_layers_are_the_mean(pair):
    images = network_input(pair)
    expected = pair.hub.image(pair.encode(images))
    assert torch.equal(pair.translate(images), expected)
    assert torch.equal(pair.encode(images)[:, 4:], pair.hub.mean_latent.expand(2, 2, -1))


def test_a_style_fills_the_layers_the_source_leaves_alone(pair):
    images = network_input(pair)
    style = random_styles(pair.hub, 1, seed=3)
    latents = pair.encode(images).clone()
    latents[:, 4:] = style[:, 4:]
    pictures = pair.translate(images, style=style, style_layers=(4, 5))
    assert torch.equal(pictures, pair.hub.image(latents))
    assert torch.equal(pair.translate(images, seed=3, style_layers=(4, 5)), pictures)
    assert not torch.equal(pair.translate(images, seed=4), pair.translate(images, seed=3))


@pytest.mark.parametrize("corrections", [0, 1])
def test_a_style_gives_its_appearance_to_the_layers_of_the_source(pair, monkeypatch, corrections):
    """What the source's images do not say of the style goes with it; its structure stays behind."""
    images = network_input(pair)
    style = random_styles(pair.hub, 1, seed=3)
    with torch.no_grad():
        monkeypatch.setattr(pair.source_domain, "corrections", corrections)
        source, codes = pair.source_domain, pair.encode(images)

        def found(latents):
            return source.codes(source.modality.as_input(source.decode(latents)))

        latents = codes + style - found(style)
        if corrections:  # such codes are read as their own image is
            codes = found(codes)
        mean, whitening = pair.hub.whitening()
        before = ((latents - mean) @ whitening).norm(dim=2, keepdim=True)
        for _ in range(STYLE_CORRECTIONS):  # the style's own structure is taken off again, without going farther
            off = codes - found(latents)
            assert torch.count_nonzero(off[:, 4:]) == 0
            moved = latents + off - mean
            longer = (moved @ whitening).norm(dim=2, keepdim=True) / before
            assert bool((longer[:, :4] > 1).any())
            latents = torch.where(longer > 1, moved / longer, moved) + mean
        expected = pair.hub.image(latents)
    assert torch.allclose(pair.translate(images, style=style), expected, atol=1e-4)
    assert torch.equal(pair.translate(images, style=style), pair.translate(images, seed=3))
    assert torch.count_nonzero(pair.source_domain.appearance(style)[:, 4:]) == 0
    assert torch.count_nonzero(pair.target_domain.appearance(style)) == 0, "its encoder says everything of a picture"


def test_a_style_leaves_its_own_structure_as_it_is(pair):
    """Giving an image's map the appearance of the very latent it was read from gives that latent."""
    style = random_styles(pair.hub, 1, seed=3)
    with torch.no_grad():
        read = pair.source_modality.as_input(pair.source_domain.decode(style))
    assert torch.allclose(pair.translate(read, style=style), pair.hub.image(style), atol=1e-4)


@pytest.mark.parametrize("own", [0, 2])
def test_corrections_override_the_sources_own(own):
    hub = tiny_hub()
    source, target = tiny_domain("seg", hub, corrections=own), tiny_domain("face", hub, corrections=1)
    default = AnchorTranslator(source, target)
    images = network_input(default)
    assert torch.equal(default.encode(images), source.encode(images)) and "corrections" not in default.settings()
    for count in (0, 1, 2):
        between = AnchorTranslator(source, target, AnchorOptions(corrections=count))
        expected = tiny_domain("seg", hub, corrections=count).encode(images)
        assert torch.equal(between.encode(images), expected)
        assert torch.equal(between.translate(images), target.decode(expected))
        assert between.settings()["corrections"] == count
        assert (source.corrections, target.corrections) == (own, 1), "whoever shares the domains keeps theirs"
    for count in (-1, 101, 1.5, "many"):
        with pytest.raises(ValueError, match="corrections"):
            AnchorOptions(corrections=count)


def test_corrections_of_a_domain_that_has_none(pair):
    class Plain(type(pair.source_domain)):
        corrected = Domain.corrected

    pair.source_domain.__class__ = Plain
    AnchorTranslator(pair.source_domain, pair.target_domain, AnchorOptions(corrections=0))
    with pytest.raises(UsageError, match="'seg' does not correct its codes; leave the option corrections out"):
        AnchorTranslator(pair.source_domain, pair.target_domain, AnchorOptions(corrections=1))


def test_style_layers_choose_where_a_style_goes(pair):
    images = network_input(pair)
    style = random_styles(pair.hub, 1, seed=3)
    everything = pair.translate(images, style=style, style_layers=range(6))
    assert torch.allclose(everything, pair.hub.image(style).expand_as(everything), atol=1e-5)
    latents = pair.encode(images).clone()
    latents[:, 5] = style[:, 5]
    assert torch.equal(pair.translate(images, style=style[:, 0], style_layers=[5]), pair.hub.image(latents))


def test_truncation_acts_on_the_style_and_not_on_the_structure(pair):
    images = network_input(pair)
    layers = (4, 5)
    none = pair.translate(images, seed=3, truncation=0.0, style_layers=layers)
    assert torch.allclose(none, pair.translate(images), atol=1e-5)
    mean = pair.translate(images, style=pair.hub.mean_latent)
    assert torch.allclose(pair.translate(images, seed=3, truncation=0.0), mean, atol=1e-5)


def test_random_styles_depend_on_their_number_alone(pair):
    styles = random_styles(pair.hub, 5, seed=1)
    assert torch.allclose(styles[3:], random_styles(pair.hub, 2, seed=1, start=3), atol=1e-6)
    assert torch.equal(styles[:, :1].expand_as(styles), styles), "one code in all layers"


def test_styles_of_a_session(pair):
    def session(**asked):
        return Session(pair, TranslationRequest(source="seg", target="face", styles=2, seed=1, **asked))

    shared = session().styles([0, 1, 2])
    assert [tuple(style.shape) for style in shared] == [(1, 6, 16)] * 2
    own = session(vary=True).styles([0, 1, 2])
    assert [tuple(style.shape) for style in own] == [(3, 6, 16)] * 2
    assert len({tuple(row.flatten().tolist()) for style in own for row in style}) == 6
    again = session(vary=True).styles([2])
    assert torch.allclose(again[1][0], own[1][2], atol=1e-6), "whatever the batch"


@pytest.mark.parametrize(
    ("text", "layers"),
    [("2-4", (2, 3, 4)), ("5", (5,)), ("0, 3-4", (0, 3, 4)), ("4-", (4, 5)), ("3,3", (3,))],
)
def test_layers_as_text(text, layers):
    assert parse_layers(text, 6) == layers


@pytest.mark.parametrize("text", ["", "a", "4-2", "6", "2-6", "-3", "1;2", "1..2"])
def test_bad_layers(text):
    with pytest.raises(UsageError, match="style layers"):
        parse_layers(text, 6)


def test_a_style_takes_the_last_layers_of_a_source_that_drives_all_of_them():
    hub = tiny_hub()
    faces = AnchorTranslator(tiny_domain("face", hub), tiny_domain("face", hub))
    images = torch.randn(2, 3, SIZE, SIZE)
    assert faces.style_layers == (4, 5)
    torch.testing.assert_close(
        faces.translate(images, seed=1), faces.translate(images, seed=1, style_layers=[4, 5])
    )
    assert not torch.equal(faces.translate(images, seed=1), faces.translate(images))


def test_only_what_the_target_reads_is_computed():
    hub = tiny_hub()
    pair = AnchorTranslator(tiny_domain("seg", hub), tiny_domain("sketch", hub))
    ran = counted_layers(hub)
    pair.translate(network_input(pair))
    assert max(ran) == 8


def test_translating_leaves_the_hub_and_the_random_state_alone(pair):
    state = torch.get_rng_state()
    pair.translate(network_input(pair), seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert pair.hub.current_fingerprint() == pair.hub.fingerprint


def test_what_a_broken_decoder_returns_is_refused(pair, monkeypatch):
    images = network_input(pair)
    monkeypatch.setattr(pair.target_domain, "decode", lambda latents: torch.full((2, 3, SIZE, SIZE), torch.nan))
    with pytest.raises(BundleError, match="'face'.*NaN"):
        pair.translate(images)
    monkeypatch.setattr(pair.target_domain, "decode", lambda latents: torch.zeros(2, 4, SIZE, SIZE))
    with pytest.raises(BundleError, match=r"returned \[2, 4, 16, 16\]"):
        pair.translate(images)


def test_wrong_pairs():
    hub, other = tiny_hub(), tiny_hub(seed=1, name="other")
    with pytest.raises(HubMismatchError, match="'tiny'.*'other'"):
        AnchorTranslator(tiny_domain("seg", hub), tiny_domain("face", other))
    with pytest.raises(MissingPartError, match="has no encoder"):
        AnchorTranslator(tiny_domain("decode-only", hub), tiny_domain("face", hub))
    with pytest.raises(MissingPartError, match="has no decoder"):
        AnchorTranslator(tiny_domain("seg", hub), tiny_domain("encode-only", hub))


def test_hubs_are_compared_before_any_weight_is_read(tmp_path, monkeypatch):
    home = tiny_home(tmp_path, monkeypatch, domains=("seg",))
    other = tiny_hub(seed=1, name="other")
    folder = tiny_domain("face", other).save(home / "domains" / "face")
    (folder / "encoder.safetensors").unlink()
    with pytest.raises(HubMismatchError, match="'seg'.*'tiny'.*'face'.*'other'"):
        translator("seg", "face")


def test_python_interface(tmp_path, monkeypatch):
    tiny_home(tmp_path, monkeypatch)
    path = write_sample("seg", tmp_path / "in" / "a.png", size=48)
    write_sample("seg", tmp_path / "in" / "b.png", seed=1)
    images = ah.translate(tmp_path / "in", source="seg", target="face", styles=2, seed=0, device="cpu")
    assert [(item.source.name, item.style) for item in images] == [
        ("a.png", 0),
        ("a.png", 1),
        ("b.png", 0),
        ("b.png", 1),
    ]
    assert images[0].image.size == (SIZE, SIZE)
    images[0].save(tmp_path / "out.png")
    assert (tmp_path / "out.png").is_file()
    samples = [item.input_sample for item in images[::2]]
    again = ah.translate(samples, source="seg", target="face", styles=2, seed=0, device="cpu")
    assert all(torch.equal(a.sample, b.sample) for a, b in zip(images, again, strict=True))
    assert path.is_file()
    with pytest.raises(ImageError, match="missing.png"):
        ah.translate(tmp_path / "missing.png", source="seg", target="face", device="cpu")


def test_merge_tables_by_name_take_the_palette_that_has_the_names(tmp_path):
    from anchor_hub.errors import ConfigError
    from anchor_hub.translation.merging import merged

    coarse = tiny_domain("seg", tiny_hub(), modality={"name": "segmentation", "classes": 2})
    table = tmp_path / "merge.yaml"
    table.write_text("head: [skin, hair, nose]\nrest: ['*']\n")
    reading = merged(coarse, table)
    assert reading.options()["palette"] == "celebamask-hq" and reading.input_channels == 2
    table.write_text("head: [skin, hare]\nrest: ['*']\n")
    with pytest.raises(ConfigError, match="hare"):
        merged(coarse, table)
    own = {"name": "segmentation", "palette": [{"name": n, "colour": [i, 0, 0]} for i, n in enumerate("abcd")]}
    fine = tiny_domain("seg", tiny_hub(), modality={**own, "merge": {"x": ["a"], "y": ["*"]}})
    table.write_text("x: [a, b]\ny: [c, d]\n")
    assert merged(fine, table).options()["merge"] == {"x": ["a", "b"], "y": ["c", "d"]}


def test_a_style_keeps_the_structure_of_the_input():
    """On the bundled domain the map read again in a random style is nearer to the input for the correction."""
    seg = ah.load_domain("seg")
    names = sorted((Path(anchor_faces.__file__).parent / "samples" / "seg").glob("*.png"))[:4]
    samples = seg.modality.collate([seg.modality.read(name, seg.hub.size) for name in names])
    styles = random_styles(seg.hub, len(names), seed=1)
    with torch.no_grad():
        codes = seg.encode(seg.modality.to_network(samples))

        def wrong(latents):
            return float((seg.modality.from_network(seg.decode(latents)) != samples).float().mean())

        plain = seg.hub.merge(codes + seg.appearance(styles), styles, range(seg.structure_layers, seg.hub.num_latents))
        worn = seg.with_style(codes, styles)
    assert wrong(worn) < 0.9 * wrong(plain)
    assert torch.equal(worn[:, seg.structure_layers :], styles[:, seg.structure_layers :])
