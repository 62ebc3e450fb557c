"""Published files become translators that translate, without running any code of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_deepi2i import published_stylegan
from anchor_deepi2i.networks import StyleGANNetworks
from anchor_deepi2i.stylegan import StyleGANConfig, StyleGANDiscriminator, StyleGANGenerator
from anchor_hub.checkpoints.importing_translators import import_parts
from anchor_hub.errors import CheckpointError, UsageError
from anchor_hub.translation.request import TranslationRequest
from tests.cli.running import anchor
from tests.deepi2i.test_biggan_parity import NAME, table
from tests.parity import ParityCase, assert_parity, load_case


@pytest.fixture(scope="module")
def case() -> ParityCase:
    return load_case(NAME)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def folder(case: ParityCase, where: Path, *names: str) -> Path:
    where.mkdir(exist_ok=True)
    for name in names or ("G", "D", "E1", "A1"):
        torch.save(table(case, name), where / f"{name}.pth")
    return where


def test_a_published_folder_translates_as_its_own_code_does(case: ParityCase, home: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join("dog cat hen yak cow pig emu".split()))
    files = folder(case, tmp_path / "files")
    result = anchor(
        "translators",
        "import",
        str(files / "G.pth"),
        "--name",
        "animal-faces",
        "--license",
        "unknown",
        "--set",
        f"classes={names}",
    )
    assert result.exit_code == 0, result.output
    session = TranslationRequest(translator="animal-faces", target="pig").open("cpu")
    assert session.translator.targets == ("dog", "cat", "hen", "yak", "cow", "pig", "emu")
    inputs = case.inputs
    translator: Any = session.translator
    shape = translator.networks.code_shape
    with torch.no_grad():
        content = translator.encode(inputs["source"])
        for index, label in enumerate(inputs["target_class"].tolist()):
            aimed = translator.towards(translator.targets[label])
            image = aimed.decode(content, inputs["z"].unflatten(1, shape)[index : index + 1])
            assert_parity(image[index], case.expected["image"][index], "image")


def test_one_file_of_all_three_and_half_precision(case: ParityCase, home: Path, tmp_path: Path) -> None:
    torch.save({name: table(case, name) for name in ("G", "E1", "A1")}, tmp_path / "deepi2i.pth")
    made = import_parts("translator", tmp_path / "deepi2i.pth", "animals", options={"half": True, "classes": 3})
    whole = import_parts("translator", tmp_path / "deepi2i.pth", "whole")
    sizes = [sum(file.stat().st_size for file in found.folder.glob("*.safetensors")) for found in (made, whole)]
    assert sizes[0] < 0.55 * sizes[1]
    session = TranslationRequest(translator="animals", every=True).open("cpu")
    assert session.labels == ["0", "1", "2"]
    outputs = session(torch.zeros(1, 3, 128, 128, dtype=torch.uint8), [0])
    assert len(outputs) == 3 and not torch.equal(outputs[0], outputs[1])


def test_what_cannot_be_imported_is_said(case: ParityCase, home: Path, tmp_path: Path) -> None:
    def refused(path: Path, message: str, error: type[Exception] = CheckpointError, **options: Any) -> None:
        with pytest.raises(error, match=message):
            import_parts("translator", path, "animals", **options)

    refused(folder(case, tmp_path / "lone", "G") / "G.pth", r"G.pth: lacks E1.pth beside it; put it there, or")
    files = folder(case, tmp_path / "files")
    refused(files / "G.pth", "names 8 classes, the file has rows for 1 to 7", UsageError, options={"classes": 8})
    refused(files / "G.pth", "is a second A1.pth", others=[files / "A1.pth", files / "A1.pth"])
    # An encoder of another network: its maps do not fit the adaptors.
    other = {name: value for name, value in table(case, "E1").items()}
    for name, value in list(other.items()):
        if name.startswith("blocks.3.") and value.ndim == 4 and value.shape[0] == 64:
            other[name] = value[:48, : 48 if "conv2" in name else None]
        elif name.startswith("blocks.3.") and value.shape[-1] == 64:
            other[name] = value[..., :48]
        elif name.startswith("blocks.4.") and ("conv1.weight" in name or "conv_sc.weight" in name):
            other[name] = value[:, :48]
    torch.save(other, files / "E1.pth")
    refused(files / "G.pth", "its adaptor does not fit the other networks: .*size mismatch")


CONFIG = StyleGANConfig(128, code_dim=8, mapping_layers=2, channels={4: 8, 8: 8, 16: 8, 32: 8, 64: 8, 128: 8})


def stylegan_tables() -> tuple[StyleGANNetworks, dict[str, dict[str, Tensor]]]:
    """Networks with random weights, and the file that they would be published in."""
    torch.manual_seed(0)
    networks = StyleGANNetworks(
        StyleGANDiscriminator(CONFIG), StyleGANGenerator(CONFIG), {4: 0.1, 8: 0.1, 16: 0.1, 32: 0.1}
    )
    named = {
        "generator": (networks.generator, published_stylegan.generator_names(CONFIG)),
        "encoder": (networks.encoder, published_stylegan.discriminator_names(CONFIG)),
        "align": (networks.adaptors, published_stylegan.adaptor_names(networks)),
    }
    tables = {
        name: {names[ours]: value for ours, value in network.state_dict().items()}
        for name, (network, names) in named.items()
    }
    return networks, tables


def test_a_published_stylegan_translates(home: Path, tmp_path: Path) -> None:
    networks, tables = stylegan_tables()
    torch.save(tables, tmp_path / "train_step-000500.model")
    options = {"size": 128, "source": "dog", "target": "cat"}
    import_parts("translator", tmp_path / "train_step-000500.model", "dog2cat", options=options)
    session = TranslationRequest(source="dog", target="cat", backend="deepi2i").open("cpu")
    images, z = torch.rand(2, 3, 128, 128) * 2 - 1, torch.randn(2, 8)
    translator: Any = session.translator
    with torch.no_grad():
        found = translator.decode(translator.encode(images), translator.networks.styles(z))
        expected = networks.eval()(images, z, None).clamp(-1, 1)
    assert torch.allclose(found, expected, atol=1e-4)
    codes = translator.random_styles(5, seed=0)
    alone = [translator.random_styles(1, seed=0, start=number) for number in range(5)]
    assert torch.equal(codes, torch.cat(alone)), "a style is the same in any batch"
    assert translator.random_styles(0, seed=0).shape == (0, 8)
    del tables["align"]
    torch.save(tables, tmp_path / "train_step-1.model")
    with pytest.raises(CheckpointError, match="lacks the table align: it was written where the training changed"):
        import_parts("translator", tmp_path / "train_step-1.model", "other", options=options)


def test_code_in_a_file_is_refused(home: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"G": {}, "E1": {}, "A1": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError):
        import_parts("translator", tmp_path / "bomb.pth", "bomb")
    assert not (tmp_path / "ran").exists()
