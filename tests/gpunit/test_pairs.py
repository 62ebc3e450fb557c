"""Pairs that a hub draws of one latent, and the shapes of their pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from anchor_gpunit.pairs import PairSource
from anchor_gpunit.shapes import AnchoredShapes, Change, Drawing, ShapeReader
from anchor_hub.domains.loading import clear_cache
from anchor_hub.errors import MissingPartError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.hubs.classes import with_classes
from anchor_hub.modality.palettes import resolve_palette
from tests.tiny import tiny_biggan, tiny_domain, tiny_hub

LABELS = {"name": "segmentation", "classes": 3}
MASK = {"modality": LABELS, "encoder": None, "regressor": {"name": "compact", "options": {"resolutions": [8, 16]}}}


def test_a_pair_is_one_latent_in_two_classes() -> None:
    hub = tiny_biggan()
    torch.manual_seed(3)
    pairs = PairSource(hub).draw(5)
    first, second = pairs.labels.view(2, 5)
    assert len(pairs) == 5 and bool((first != second).all())
    latents = pairs.output.latents
    torch.testing.assert_close(latents[:5], latents[5:], rtol=0, atol=0)
    for row in (0, 7):
        alone = hub.of_class(int(pairs.labels[row])).image(latents[row : row + 1]).clamp(-1, 1)
        torch.testing.assert_close(pairs.images[row : row + 1], alone, rtol=0, atol=1e-5)


def test_truncation_pulls_latents_together() -> None:
    torch.manual_seed(0)
    plain = PairSource(tiny_biggan()).draw(50).output.latents
    torch.manual_seed(0)
    near = PairSource(tiny_biggan(), truncation=0.3).draw(50).output.latents
    assert near.std() < 0.4 * plain.std()


class Bright(nn.Module):
    """Likes bright pictures."""

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return images.mean((1, 2, 3))[:, None]


def test_the_discriminator_leaves_the_better_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = tiny_biggan()
    monkeypatch.setattr(Hub, "discriminator", lambda self: Bright())
    source = PairSource(hub, kept=0.25)
    torch.manual_seed(0)
    drawn = source._drawn(32, ())  # what `draw` chooses from
    torch.manual_seed(0)
    kept = source.draw(8)
    worse, chosen = source._worse(drawn), source._worse(kept)
    assert len(kept) == 8
    torch.testing.assert_close(chosen.sort().values, worse.sort().values[-8:])


def test_hubs_that_give_no_pairs() -> None:
    with pytest.raises(UsageError, match="has no classes, so one latent gives no pair"):
        PairSource(tiny_hub())
    with pytest.raises(MissingPartError, match="without its discriminator.*kept=1"):
        PairSource(tiny_biggan(), kept=0.5)


def test_a_class_for_each_picture() -> None:
    hub = tiny_biggan()
    view = with_classes(hub, torch.tensor([2, 0]))
    z = hub.sample(2, seed=0)
    torch.testing.assert_close(view.image(z)[1:], hub.of_class(0).image(z[1:]), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="3 pictures do not fit the 2 classes"):
        view.labels(3)
    with pytest.raises(UsageError, match="say of which"):
        hub.labels(1)


def test_domains_of_label_maps_read_their_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, hub = tmp_path / "home", tiny_biggan()
    hub.save(home / "hubs" / "zoo")
    domain = tiny_domain("dog-mask", hub.of_class("dog"), **MASK)
    domain.save(home / "domains" / "dog-mask")
    monkeypatch.setenv("ANCHOR_HOME", str(home))
    clear_cache()
    shapes = AnchoredShapes.of_hub(hub)
    assert list(shapes.domains) == [1]
    torch.manual_seed(0)
    pairs = PairSource(hub).draw(6, shapes.features)
    drawn, known = shapes.read(pairs)
    torch.testing.assert_close(known, pairs.labels == 1)
    rows = known.nonzero().flatten()
    assert len(rows)
    wanted = domain.modality.from_network(domain.decode(pairs.output.latents[rows]))
    torch.testing.assert_close(drawn[rows], ((wanted > 0).float() * 2 - 1).expand(-1, 3, -1, -1))
    assert not drawn[~known].any()


def test_drawings() -> None:
    palette = resolve_palette("celebamask-hq", None)
    ids = torch.tensor([[0, 1], [palette.names.index("l_eye"), palette.names.index("r_eye")]])[None]
    plain, parts = Drawing(palette)(ids)[0], Drawing(palette, parts=True)(ids)[0]
    torch.testing.assert_close(plain[0], torch.tensor([[-1.0, 1.0], [1.0, 1.0]]))
    assert torch.equal(parts[:, 1, 0], parts[:, 1, 1]), "a mirror exchanges the eyes, so they have one colour"
    assert not torch.equal(parts[:, 0, 1], parts[:, 1, 1])


def test_pictures_of_a_pair_change_alike() -> None:
    images = torch.rand(4, 3, 8, 8)
    torch.manual_seed(1)
    change = Change(4, 1.2)
    both = change(torch.cat((images, images)), 8)
    torch.testing.assert_close(both[:4], both[4:])
    assert (both[:4] - images).abs().amax((1, 2, 3)).min() > 0.01
    torch.manual_seed(1)
    flipped = Change(4, 1.0)(images, 8)
    mirrored = [torch.equal(one, other.flip(-1)) for one, other in zip(flipped, images, strict=True)]
    same = [torch.equal(one, other) for one, other in zip(flipped, images, strict=True)]
    assert any(mirrored) and any(same) and all(a != b for a, b in zip(mirrored, same, strict=True))
    assert Change(4, 1.0)(images, 16).shape == (4, 3, 16, 16)


def test_the_reader_of_shapes_keeps_the_side() -> None:
    assert ShapeReader(5, width=4)(torch.zeros(2, 3, 16, 24)).shape == (2, 5, 16, 24)
