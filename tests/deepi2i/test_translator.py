"""Trained and translated by the command line: one class, all classes, styles; and the translator's contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from anchor_deepi2i.translator import DeepI2ITranslator, load_networks
from anchor_hub import testing
from anchor_hub.bundles.base import Bundle, open_bundle
from anchor_hub.errors import BundleError, TranslatorNotFoundError
from anchor_hub.networks.biggan_layers import SpectralWeight
from anchor_hub.translation.base import TranslatorOptions
from anchor_hub.translation.request import TranslationRequest
from tests.cli.running import anchor
from tests.deepi2i.tiny import CLASSES, FAST, FUSION, class_folders, home_with_zoo
from tests.training.tiny import pictures


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the hub `zoo`, the translator `animals` trained on it, and the data beside it."""
    tmp_path = tmp_path_factory.mktemp("deepi2i")
    with pytest.MonkeyPatch.context() as patch:
        home = home_with_zoo(tmp_path, patch)
        data = class_folders(tmp_path / "data")
        result = anchor(
            "translators", "train", "animals", "--backend", "deepi2i", "--hub", "zoo", "--data", str(data), "--batch",
            "8", "--images", "24", "--set", f"fusion={FUSION}", "--set", "first_phase=8", *FAST,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
    return home


@pytest.fixture
def home(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHOR_HOME", str(trained))
    return trained


def bundle(home: Path) -> Bundle:
    return open_bundle(home / "translators" / "animals", "translator")


def opened(home: Path, target: str = "dog") -> DeepI2ITranslator:
    options = TranslatorOptions()
    return DeepI2ITranslator.open("cat", target, bundle=bundle(home), options=options, device="cpu")


def picture(home: Path) -> str:
    return str(home.parent / "data" / "cat" / "0.png")


def test_the_bundle_names_its_classes_and_stands_alone(home: Path) -> None:
    manifest = bundle(home).manifest
    assert [end["name"] for end in manifest.targets] == list(CLASSES) and manifest.source is None
    assert manifest.architecture["name"] == "deepi2i" and not manifest.requires
    assert manifest.provenance["hub"]["name"] == "zoo" and manifest.provenance["images_seen"] == 24
    held = {part: bundle(home).tensors(part) for part in bundle(home).parts}
    assert set(held) == {"encoder", "adaptors", "generator"}
    assert not any(name.endswith(".u") for values in held.values() for name in values), "power iterations are folded"


def test_it_keeps_the_contract_of_translators(home: Path) -> None:
    testing.check_translator(opened(home), pictures(3))


def test_one_class_all_classes_and_styles(home: Path, tmp_path: Path) -> None:
    result = anchor(
        "translate", "--backend", "deepi2i", "--from", "cat", "--to", "dog", picture(home), "-o", str(tmp_path / "one")
    )
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["0.png"]
    result = anchor(
        "translate", "--translator", "animals", "--to-all", picture(home), "-o", str(tmp_path / "all"), "--grid",
        str(tmp_path / "all.png"),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [f"0-{name}.png" for name in CLASSES]
    one, same = (Image.open(path).tobytes() for path in (tmp_path / "one" / "0.png", tmp_path / "all" / "0-dog.png"))
    assert one == same, "a translation does not depend on what else is asked for"
    result = anchor(
        "translate", "--translator", "animals", "--to-all", "--styles", "2", picture(home), "-o", str(tmp_path / "s")
    )
    assert result.exit_code == 0, result.output
    assert "0-hen-2.png" in {path.name for path in (tmp_path / "s").iterdir()}
    result = anchor(
        "translate", "--translator", "animals", "--from", "cat", "--to", "hen", picture(home), "--styles", "4", "-o",
        str(tmp_path / "four"),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "four").iterdir())
    assert len(files) == 4 and len({Image.open(path).tobytes() for path in files}) == 4


def test_an_image_is_encoded_once_for_all_classes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = TranslationRequest(translator="animals", every=True).open("cpu")
    calls: list[int] = []
    original = DeepI2ITranslator.encode
    monkeypatch.setattr(DeepI2ITranslator, "encode", lambda self, x: calls.append(len(x)) or original(self, x))
    outputs = session(pictures(2), [0, 1])
    assert calls == [2] and len(outputs) == 3 == session.outputs
    assert session.labels == list(CLASSES)
    translator = opened(home)
    towards = [translator.towards(name) for name in CLASSES]
    assert len({id(aimed.networks) for aimed in towards}) == 1, "classes share one network"


def test_what_cannot_be_translated_is_said(home: Path) -> None:
    for arguments, message in (
        (("--translator", "animals", "--from", "cat", "--to", "dgo"), "'animals' has no such name. Did you mean 'dog'"),
        (("--translator", "animals", "--from", "cow", "--to", "dog"), "--from cow: the translator 'animals' has no"),
        (("--translator", "animals", "--to", "dog", "--to-all"), "give one of --to NAME and --to-all"),
        (("--translator", "animals"), "say what to translate to: --to NAME"),
        (("--backend", "anchor", "--to", "dog"), "--from NAME is missing: the backend 'anchor' translates between two"),
        (("--translator", "animals", "--to", "dog", "--style-from", picture(home)), "takes no reference styles"),
    ):  # fmt: skip
        result = anchor("translate", picture(home), "-o", "out", *arguments)
        assert result.exit_code and message in " ".join(result.output.split()), result.output
    with pytest.raises(TranslatorNotFoundError, match="--to dgo: no such class. Did you mean 'dog'"):
        opened(home, "dgo")


def test_a_damaged_architecture_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = bundle(home)
    good = dict(held.manifest.architecture)
    changes: tuple[dict[str, Any], ...] = (
        {"family": "gan"}, {"fusion": {"4": 0.0}}, {"fusion": {"64": 1.0}}, {"fusion": None},
        {"generator": {"size": 16}}, {"generator": {**good["generator"], "classes": 4}},
    )  # fmt: skip
    for change in changes:
        monkeypatch.setitem(held.manifest.__dict__, "architecture", {**good, **change})
        with pytest.raises(BundleError, match="bad translator architecture"):
            load_networks(held)


def test_opened_networks_are_folded_and_compute_no_gradients(home: Path) -> None:
    networks = opened(home).networks
    layers = [module for module in networks.modules() if isinstance(module, SpectralWeight)]
    assert layers and all(layer.folded for layer in layers)
    assert not any(weight.requires_grad for weight in networks.parameters())
    style = opened(home).random_styles(2, seed=3, truncation=0.5)
    assert torch.allclose(style, 0.5 * opened(home).random_styles(2, seed=3))
