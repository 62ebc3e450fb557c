"""Class-conditional hubs on the command line: add-domain --class, translate, synthesize, hubs show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.domains.loading import clear_cache, load_domain
from anchor_hub.hubs.loading import load_hub
from anchor_hub.modality import build_modality
from tests.cli.running import anchor
from tests.tiny import CLASSES, COMPACT, SIZE, tiny_biggan, write_sample

TRAINING = ("--images", "16", "--batch", "8", "--processes", "1", "--device", "cpu", "--precision", "fp32", "--quiet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with hub "zoo", the domain "dog" (its own pictures) and a folder of label maps."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    monkeypatch.setenv("ANCHOR_HOME", str(home))
    clear_cache()
    hub = tiny_biggan()
    hub.save(home / "hubs" / "zoo")
    torch.manual_seed(0)
    dog = AnchoredDomain.build("dog", build_modality({"name": "rgb"}), hub.of_class("dog"), regressor="hub")
    dog.save(home / "domains" / "dog")
    for index in range(3):
        write_sample("seg", tmp_path / "masks" / f"{index}.png", seed=index, size=SIZE)
    return home


def add(name: str, *arguments: str, code: int = 0, modality: str = "segmentation") -> str:
    chosen = ("--classes", str(CLASSES)) if modality == "segmentation" else ()
    result = anchor(
        "add-domain", name, "--hub", "zoo", "--modality", modality, *chosen, "--data", "masks", *TRAINING, *arguments
    )
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output + str(result.exception or "")


def test_a_mask_domain_of_one_class_translates_to_another(home: Path, tmp_path: Path) -> None:
    add("cat-mask", "--class", "cat")
    manifest = json.loads(anchor("domains", "show", "cat-mask", "--json").stdout)
    assert (manifest["architecture"]["class"], manifest["architecture"]["class_index"]) == ("cat", 0)
    assert manifest["provenance"]["hub_class"] == "cat"
    domain = load_domain("cat-mask")
    assert isinstance(domain, AnchoredDomain)
    assert domain.hub is load_hub("zoo").of_class("cat") and domain.structure_layers == 2
    assert domain.encoder is not None and domain.encoder.num_codes == 2, "a code for every chunk it drives"

    arguments = ("--from", "cat-mask", "--to", "dog", "--device", "cpu", "-o", "out", "--quiet")
    result = anchor("translate", "masks", *arguments)
    assert result.exit_code == 0, result.output + str(result.exception)
    pictures = sorted(Path("out").glob("*.png"))
    assert len(pictures) == 3 and Image.open(pictures[0]).size == (SIZE, SIZE)
    # The target's class is what is drawn: the same latents through the dog's view of the hub.
    sample = domain.modality.read(tmp_path / "masks" / "0.png", SIZE)
    latents = domain.encode(domain.modality.to_network(domain.modality.collate([sample])))
    expected = load_hub("zoo").of_class("dog").image(latents)
    dog = build_modality({"name": "rgb"})
    assert torch.equal(dog.read(pictures[0], SIZE), dog.from_network(expected)[0])

    styled = anchor("translate", "masks", *arguments[:-2], "styles", "--quiet", "--styles", "2", "--seed", "1")
    assert styled.exit_code == 0 and len(list(Path("styles").rglob("*.png"))) == 6, styled.output


def test_the_hubs_own_pictures_of_a_class_are_a_target_without_training(home: Path) -> None:
    own = ("--hub", "zoo", "--class", "cat", "--encoder", "none")
    result = anchor("add-domain", "cat", *own, "--regressor", "hub", "--license", "MIT", "--device", "cpu")
    assert result.exit_code == 0 and "a target only" in result.output, result.output + str(result.exception)
    manifest = json.loads(anchor("domains", "show", "cat", "--json").stdout)
    assert manifest["architecture"]["class"] == "cat" and manifest["license"]["weights"] == "MIT"
    domain = load_domain("cat")
    assert domain.can_decode and not domain.can_encode and not (home / "runs").exists()
    again = anchor("add-domain", "cat", *own, "--regressor", "hub", "--device", "cpu")
    assert again.exit_code == 2 and "--overwrite" in again.output + str(again.exception)
    other = anchor("add-domain", "kitten", *own, "--device", "cpu")
    assert other.exit_code == 2 and "--regressor hub" in other.output + str(other.exception)


def test_synthesize_shows_one_latent_in_every_domains_class(home: Path, tmp_path: Path) -> None:
    add("cat-mask", "--class", "0")
    result = anchor("synthesize", "--domains", "cat-mask,dog", "-n", "3", "-o", "set", "--grid", "g.png", "--seed", "4")
    assert result.exit_code == 0, result.output + str(result.exception)
    from safetensors.torch import load_file

    latents = load_file("set/latents.safetensors")["z"]
    assert latents.shape == (3, 3, 4)
    rgb = build_modality({"name": "rgb"})
    expected = rgb.from_network(load_hub("zoo").of_class("dog").image(latents))
    assert torch.equal(rgb.read(Path("set/dog/000002.png"), SIZE), expected[2])
    text = Path("set/dataset.yaml").read_text()
    assert "class: cat" in text and "class: dog" in text


def test_a_missing_or_misspelt_class_is_told(home: Path) -> None:
    assert "say of which domain 'x' is: --class NAME (cat, dog, hen)" in add("x", code=2)
    assert "Did you mean 'cat'" in add("x", "--class", "catt", code=2)


def test_resuming_with_another_class_is_refused(home: Path) -> None:
    add("x", "--class", "cat")
    assert "class was 0, now 1" in add("x", "--class", "dog", "--resume", "--overwrite", code=2)


def test_hubs_show_lists_the_classes(home: Path) -> None:
    shown = anchor("hubs", "show", "zoo")
    assert "classes:\n- cat\n- dog\n- hen" in shown.stdout
    assert json.loads(anchor("hubs", "show", "zoo", "--json").stdout)["classes"] == ["cat", "dog", "hen"]


@pytest.mark.parametrize("objective", ["published", "aligned"])
def test_both_objectives_and_the_published_encoder_train(home: Path, objective: str) -> None:
    """The published pooled head gives one z, which is cut into the chunks."""
    weights = ("--weight", "latent_adversarial=0.01") if objective == "published" else ()
    add("x", "--class", "hen", "--objective", objective, "--encoder", "psp", "--regressor", "shallow", "--layers", "16",
        "--codes", "1", *weights)  # fmt: skip
    domain = load_domain("x")
    assert isinstance(domain, AnchoredDomain) and domain.encoder is not None
    assert domain.encoder.linear.weight.shape[0] == 12  # type: ignore[union-attr]
    codes = domain.encode(torch.rand(2, CLASSES, SIZE, SIZE))
    assert codes.shape == (2, 3, 4) and not torch.equal(codes[:, 0], codes[:, 1])


def test_train_on_class_folders(home: Path) -> None:
    for kind in ("cat", "dog"):
        for index in range(4):
            write_sample("face", Path("photos") / kind / f"{index}.png", seed=index)
    common = ("--arch", "biggan", "--size", "16", "--channels", "4:8,8:8,16:8", "--images", "8", "--batch", "4",
              "--processes", "1", "--device", "cpu", "--precision", "fp32", "--augment", "all")  # fmt: skip
    result = anchor("hubs", "train", "pets", "--data", "photos", *common, "--keep-discriminator")
    assert result.exit_code == 0, result.output + str(result.exception)
    hub = load_hub("pets")
    assert hub.classes == ("cat", "dog") and hub.discriminator() is not None
    assert list((home / "runs" / "pets" / "samples").glob("*.png"))


def test_encoders_with_labels_get_the_class() -> None:
    hub = tiny_biggan()
    table = {"name": "psp", "options": {"label_dim": 3}}
    torch.manual_seed(0)
    domain = AnchoredDomain.build("m", build_modality({"name": "gray"}), hub.of_class(2), encoder=table).eval()
    images = torch.rand(2, 1, SIZE, SIZE)
    expected = domain.encoder(images, torch.tensor([[0.0, 0, 1]] * 2))  # type: ignore[misc]
    assert torch.equal(domain.encode(images), expected.reshape(2, 3, 4))
    assert COMPACT["name"] == "compact"
