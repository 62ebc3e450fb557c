"""Domains that are a layer swap of another one: on disk, in listings, and by the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from anchor_finetune.domain import FineTunedDomain
from anchor_finetune.plugin import anchor_register_architectures
from anchor_finetune.swap import LayerSwap
from anchor_finetune.transformed import TransformedDomain, transform
from anchor_hub.bundles.base import open_bundle, requirement_of
from anchor_hub.domains.loading import clear_cache, load_domain
from anchor_hub.errors import BundleError, UsageError
from anchor_hub.modality import build_modality
from anchor_hub.plugins.registry import registry
from anchor_hub.testing import check_architecture
from tests.cli.running import anchor
from tests.tiny import tiny_generator, tiny_home, tiny_hub, write_sample

RGB = build_modality({"name": "rgb"})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the tiny hub, face, seg, and the fine-tuned domain toon-ft."""
    home = tiny_home(tmp_path, monkeypatch, domains=("face", "seg"))
    monkeypatch.chdir(tmp_path)
    terms = {"weights": "CC0-1.0", "data": "mine"}
    made = FineTunedDomain("toon-ft", RGB, tiny_hub(), tiny_generator(seed=1))
    made.save(home / "domains/toon-ft", license=terms, provenance={"data": "toons", "steps": 3})
    registry.cache_clear()
    return home


def run(*arguments: object, code: int = 0) -> str:
    result = anchor(*(str(argument) for argument in arguments))
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def row(name: str) -> dict[str, str]:
    return next(row for row in json.loads(run("domains", "list", "--json")) if row["name"] == name)


SWAPS = {
    ("--layer-swap", 1): LayerSwap(1),
    ("--layer-swap", 2, "--way", "weights"): LayerSwap(2, "weights"),
    ("--layer-swap", 1, "--way", "weights", "--blend", 1): LayerSwap(1, "weights", 1),
}


@pytest.mark.parametrize("options", SWAPS)
def test_it_decodes_as_the_swapped_domain_does_and_holds_no_weights(home: Path, options: tuple[object, ...]) -> None:
    output = run("domains", "transform", "toon-ft", *options, "--name", "toon-ls")
    assert "toon-ls: layer swap" in output and "of toon-ft" in output
    made = open_bundle(home / "domains/toon-ls")
    assert made.manifest.provenance["data"] == "toons" and "steps" not in made.manifest.provenance
    assert sorted(made.manifest.files) == ["README.md"] and "layer swap of the domain toon-ft" in made.card()
    assert made.manifest.license == {"weights": "CC0-1.0", "data": "mine"}
    loaded = load_domain("toon-ls")
    hub = loaded.hub
    whole = FineTunedDomain("toon-ls", RGB, hub, tiny_generator(seed=1), SWAPS[options])
    latents = hub.sample(2, seed=0)
    torch.testing.assert_close(loaded.decode(latents), whole.decode(latents))
    torch.testing.assert_close(loaded.image_hub.image(latents), whole.decode(latents))  # type: ignore[union-attr]
    # The domain that it is made of is as it was.
    plain = tiny_generator(seed=1).synthesize(latents).image
    assert plain is not None
    torch.testing.assert_close(load_domain("toon-ft").decode(latents), plain)


def test_it_is_a_target_like_any_other(home: Path, tmp_path: Path) -> None:
    run("domains", "transform", "toon-ft", "--layer-swap", 1, "--name", "toon-ls")
    mask = write_sample("seg", tmp_path / "mask.png")
    run("translate", "--from", "seg", "--to", "toon-ls", mask, "-o", tmp_path / "out.png", "--device", "cpu")
    assert (tmp_path / "out.png").is_file()
    assert row("toon-ls")["state"] == "ready"
    assert "toon-ls: ok" in run("domains", "verify")


def test_features_share_the_weights_in_memory(home: Path) -> None:
    run("domains", "transform", "toon-ft", "--layer-swap", 1, "--name", "toon-ls")
    assert load_domain("toon-ls").generator is load_domain("toon-ft").generator  # type: ignore[attr-defined]


def test_a_swap_of_a_swap_is_one_of_the_domain_behind_it(home: Path) -> None:
    transform("toon-ft", LayerSwap(2, "weights"), "two")
    transform("two", LayerSwap(1), "one")
    clear_cache()
    manifest = open_bundle(home / "domains/one").manifest
    assert [needed.name for needed in manifest.requires] == ["toon-ft"]
    latents = tiny_hub().sample(1, seed=3)
    transform("toon-ft", LayerSwap(1), "direct")
    torch.testing.assert_close(load_domain("one").decode(latents), load_domain("direct").decode(latents))


def test_a_folder_of_ones_own(home: Path, tmp_path: Path) -> None:
    run("domains", "transform", home / "domains/toon-ft", "--layer-swap", 1, "--name", "ls", "-o", tmp_path / "mine")
    latents = tiny_hub().sample(1, seed=3)
    assert load_domain(tmp_path / "mine").decode(latents).shape == (1, 3, 16, 16)
    said = run("domains", "transform", "toon-ft", "--layer-swap", 1, "--name", "ls", "-o", tmp_path / "mine", code=2)
    assert "exists already" in said
    data = json.loads(run("domains", "transform", "toon-ft", "--layer-swap", 1, "--name", "b", "--json"))
    assert data["of"] == "toon-ft" and data["swap"] == {"layers": 1, "way": "features"} and data["notes"] == []


def test_what_cannot_be_transformed_is_said(home: Path) -> None:
    def said(*arguments: object, code: int = 2) -> str:
        return run("domains", "transform", *arguments, "--name", "x", code=code)

    assert "layer swap 5 reaches 128 px; a hub of 16 px has layers 0 to 2" in said("toon-ft", "--layer-swap", 5)
    assert "is no fine-tuned one" in said("seg", "--layer-swap", 1)
    assert "the way is one of features, weights" in said("toon-ft", "--layer-swap", 1, "--way", "colour")
    assert "only weights can be blended" in said("toon-ft", "--layer-swap", 1, "--blend", 1)
    assert "Did you mean 'toon-ft'" in said("toon-fr", "--layer-swap", 1)
    assert not (home / "domains/x").exists()
    with pytest.raises(UsageError, match="made of"):
        transform("toon-ft", LayerSwap(1), "toon-ft", overwrite=True)
    with pytest.raises(UsageError, match="swaps nothing"):
        transform("toon-ft", LayerSwap(0), "x")


def test_a_missing_domain_is_named_everywhere(home: Path, tmp_path: Path) -> None:
    run("domains", "transform", "toon-ft", "--layer-swap", 1, "--name", "toon-ls")
    used = "the domain 'toon-ft' is used by the domains toon-ls: remove them first, or pass --force"
    assert used in run("domains", "remove", "toon-ft", code=2)
    run("domains", "export", "toon-ls", "-o", tmp_path / "ls.zip")
    run("domains", "remove", "toon-ft", "--force")
    clear_cache()
    missing = "its domain toon-ft (fingerprint"
    assert row("toon-ls")["state"] == "needs domain toon-ft" and missing in row("toon-ls")["note"]
    assert missing in run("domains", "verify", "toon-ls", code=1)
    assert missing in run("domains", "install", tmp_path / "ls.zip", "--name", "again")
    assert missing in run("doctor", code=1)
    mask = write_sample("seg", tmp_path / "mask.png")
    assert missing in run("translate", "--from", "seg", "--to", "toon-ls", mask, "-o", "out.png", code=1)
    assert missing in run("domains", "transform", "toon-ls", "--layer-swap", 2, "--name", "x", code=1)


def test_another_domain_of_the_same_name_is_not_the_one(home: Path) -> None:
    run("domains", "transform", "toon-ft", "--layer-swap", 1, "--name", "toon-ls")
    FineTunedDomain("toon-ft", RGB, tiny_hub(), tiny_generator(seed=2)).save(home / "domains/toon-ft", overwrite=True)
    clear_cache()
    assert "the domain toon-ft that is here is another one" in row("toon-ls")["note"]
    with pytest.raises(BundleError, match="is another one"):
        load_domain("toon-ls")


def test_a_damaged_domain_is_said(home: Path) -> None:
    run("domains", "transform", "toon-ft", "--layer-swap", 1, "--name", "toon-ls")
    clear_cache()
    weights = home / "domains/toon-ft/generator.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BundleError, match="toon-ft.*is damaged"):
        load_domain("toon-ls")
    (home / "domains/toon-ft/bundle.yaml").write_text("kind: [")
    assert "the domain toon-ft that is here is damaged" in row("toon-ls")["note"]


def test_archives_with_what_they_require_and_other_names(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("domains", "transform", "toon-ft", "--layer-swap", 1, "--name", "toon-ls")
    latents = tiny_hub().sample(1, seed=3)
    expected = load_domain("toon-ls").decode(latents)
    (tmp_path / "out").mkdir()
    run("domains", "export", "toon-ls", "-o", tmp_path / "out", "--with-required")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tiny.zip", "toon-ft.zip", "toon-ls.zip"]
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "elsewhere"))
    registry.cache_clear()
    clear_cache()
    run("hubs", "install", tmp_path / "out/tiny.zip")
    run("domains", "install", tmp_path / "out/toon-ft.zip", "--name", "called-otherwise")
    run("domains", "install", tmp_path / "out/toon-ls.zip")
    torch.testing.assert_close(load_domain("toon-ls").decode(latents), expected)


def test_the_identity_of_a_domain_is_what_it_computes_with(home: Path, tmp_path: Path) -> None:
    own = open_bundle(home / "domains/toon-ft").manifest
    hub = tiny_hub()
    same = FineTunedDomain("other-name", RGB, hub, tiny_generator(seed=1)).save(tmp_path / "a", card="another card")
    half = FineTunedDomain("toon-ft", RGB, hub, tiny_generator(seed=1)).save(tmp_path / "b", half=True)
    swapped = FineTunedDomain("toon-ft", RGB, hub, tiny_generator(seed=1), LayerSwap(1)).save(tmp_path / "c")
    assert open_bundle(same).manifest.identity == own.identity
    assert len({own.identity, open_bundle(half).manifest.identity, open_bundle(swapped).manifest.identity}) == 3
    needed = requirement_of(open_bundle(home / "domains/toon-ft"))
    assert needed.kind == "domain" and needed.fingerprint == own.identity


def test_only_what_requires_a_domain_is_of_version_3(home: Path) -> None:
    transform("toon-ft", LayerSwap(1), "toon-ls")
    versions = {name: open_bundle(home / "domains" / name).manifest.format_version for name in ("toon-ft", "toon-ls")}
    assert versions == {"toon-ft": 1, "toon-ls": 3}


def test_it_keeps_the_contract_of_architectures(home: Path) -> None:
    transform("toon-ft", LayerSwap(1), "toon-ls")
    specs: list[object] = []
    anchor_register_architectures(specs.append)
    made = load_domain("toon-ls")
    assert isinstance(made, TransformedDomain)
    check_architecture(next(spec for spec in specs if spec.name == "transformed"), made)  # type: ignore[attr-defined,arg-type]


def test_a_manifest_of_somebody_elses_making(home: Path) -> None:
    transform("toon-ft", LayerSwap(1), "toon-ls")
    path = home / "domains/toon-ls/bundle.yaml"
    text = path.read_text()
    for old, new, message in (
        ("layers: 1", "layers: 9", "layer swap 9 reaches"),
        ("layers: 1", "depth: 1", "bad domain architecture"),
        ("  of: ", "  of: 0", "does not require"),
    ):
        path.write_text(text.replace(old, new, 1))
        clear_cache()
        with pytest.raises(BundleError, match=message):
            load_domain("toon-ls")
    shutil.rmtree(home / "hubs/tiny")
    clear_cache()
    assert row("toon-ls")["state"] == "needs hub tiny"
