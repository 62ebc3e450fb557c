"""Several domains from one pass of the hub: what runs, and which domains go together."""

from __future__ import annotations

import pytest
import torch

from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.domains.base import Needs, hub_pass
from anchor_hub.domains.decoding import decode_all, load_domains
from anchor_hub.errors import HubMismatchError, MissingPartError, UsageError
from anchor_hub.translation.synthesis import synthesize_set
from tests.hubs.test_base import counted_layers
from tests.tiny import tiny_domain, tiny_home, tiny_hub


def test_needs_add_up() -> None:
    assert not Needs()
    assert Needs((8,)) | Needs((4, 8), image=True) == Needs((4, 8), image=True)


def test_what_nobody_needs_does_not_run() -> None:
    hub = tiny_hub()
    ran = counted_layers(hub)
    output = hub_pass(hub, hub.sample(2, seed=0), Needs())
    assert not ran and output.image is None and output.latents.shape == (2, hub.num_latents, hub.latent_dim)


def test_together_is_as_alone_and_the_hub_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = tiny_hub()
    domains = [tiny_domain(name, hub) for name in ("seg", "face", "sketch", "points")]
    latents = hub.sample(3, seed=0)
    alone = [decode_all([domain], latents)[0] for domain in domains]
    passes: list[tuple[int, ...]] = []
    synthesize = type(hub).synthesize

    def counting(self, codes, **options):
        passes.append(tuple(options["features"]))
        return synthesize(self, codes, **options)

    monkeypatch.setattr(type(hub), "synthesize", counting)
    together = decode_all(domains, latents)
    assert passes == [(8, 16)]
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_objects_and_names_go_together(tmp_path, monkeypatch) -> None:
    tiny_home(tmp_path, monkeypatch)
    face = load_domains(["face"], "cpu")[0]
    loaded = load_domains([face, "seg"], "cpu")
    assert loaded[0] is face and [domain.name for domain in loaded] == ["face", "seg"]
    folder = synthesize_set([face, "seg"], 2, tmp_path / "set", device="cpu")
    assert sorted(item.name for item in folder.iterdir() if item.is_dir()) == ["face", "seg"]
    with pytest.raises(UsageError, match="'face' is named twice"):
        synthesize_set([face, "seg", tiny_domain("face", face.hub)], 2, tmp_path / "twice", device="cpu")
    stranger = tiny_domain("sketch", tiny_hub(seed=1, name="other"))
    with pytest.raises(HubMismatchError, match="'tiny'.*'other'"):
        synthesize_set([face, stranger], 2, tmp_path / "mixed", device="cpu")
    with pytest.raises(MissingPartError, match="'encode-only' cannot be synthesised"):
        synthesize_set([face, tiny_domain("encode-only", face.hub)], 2, tmp_path / "half", device="cpu")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["home", "set"]


def test_an_object_brings_its_hub(tmp_path, monkeypatch) -> None:
    """Names are loaded beside an object on its own hub, which need not be the installed one's object."""
    tiny_home(tmp_path, monkeypatch)
    face = tiny_domain("face", tiny_hub())
    assert isinstance(face, AnchoredDomain)
    _, seg = load_domains([face, "seg"], "cpu")
    assert seg.hub.base is face.hub.base
