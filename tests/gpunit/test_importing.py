"""Import of the files that GP-UNIT's authors released, made here of the stored weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_gpunit.prior import ContentPrior
from anchor_gpunit.translator import GpUnitTranslator, published_resize
from anchor_hub.bundles.base import open_bundle
from anchor_hub.translation import TranslationRequest
from tests.cli.running import anchor
from tests.gpunit import published
from tests.gpunit.published import case_of, enlarged, part
from tests.parity import assert_parity, case_names, stored_part

(TRANSLATE,) = case_names("gpunit_translate")
(GENERATOR,) = case_names("gpunit_generator")
(ENCODER,) = case_names("gpunit_content_encoder")
(SAMPLER,) = case_names("gpunit_sampler")
(STAGE_ONE,) = case_names("gpunit_distillation")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHOR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*arguments: Any, code: int = 0) -> str:
    done = anchor(*map(str, arguments))
    assert done.exit_code == code, done.output + repr(done.exception)
    return str(done.stdout if code == 0 else done.stderr)


def saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def small_files(folder: Path, task: str = "cat2dog.pt") -> tuple[Path, Path]:
    """Files of the released layout with the stored networks of small width."""
    table = {"g_ema": case_of(GENERATOR).state, "sampler": case_of(SAMPLER).state}
    return saved(table, folder / task), saved(case_of(ENCODER).state, folder / "content_encoder.pt")


def test_a_published_translator_gives_the_stored_pictures(tmp_path: Path) -> None:
    _, state, inputs, expected = case_of(TRANSLATE)
    task = {"g_ema": part(state, "g_ema."), "sampler": part(state, "sampler.")}
    file = saved(task, tmp_path / "cat2dog.pt")
    content = saved(part(state, "content_encoder."), tmp_path / "content_encoder.pt")
    said = run("translators", "import", file, "--content", content, "--name", "cat-dog", "--license", "S-Lab 1.0")
    assert "cat to dog, 49." in said
    session = TranslationRequest(source="cat", target="dog", backend="gp-unit").open("cpu")
    between = session.translator
    assert isinstance(between, GpUnitTranslator) and between.size == 256
    maps = between.encoder(published_resize(inputs["content_loaded"], 256))
    for name, value in zip(("c6", "c5", "c4_sub", "c3_sub", "c2_sub", "c1_sub"), maps, strict=True):
        assert_parity(stored_part(value, expected[name]), expected[name], name)
    kept = between.encode(inputs["content_loaded"])
    for mask, name in ((kept[2], "exemplar/mask1_sub"), (kept[4], "exemplar/mask2_sub")):
        assert_parity(stored_part(mask, expected[name]), expected[name], name)
    code = between.reference_styles(inputs["style_loaded"])
    assert_parity(code, expected["exemplar/style_code"])
    image = between.decode(kept, code)
    assert_parity(image[:, :, ::2, ::2], expected["exemplar/image_sub"])
    with torch.no_grad():
        assert_parity(between.sampler(inputs["noise"]), expected["latent/codes_running_stats"])
    images = between.decode(kept, expected["latent/codes_batch_stats"])
    assert_parity(images[:, :, ::2, ::2], expected["latent/images_batch_stats_sub"])


def test_a_content_encoder_is_a_prior_that_translators_share(tmp_path: Path, home: Path) -> None:
    file, content = small_files(tmp_path)
    run("priors", "import", content, "--name", "published", "--license", "S-Lab 1.0")
    run("translators", "import", file, "--name", "first", "--set", "prior=published")
    rows = {row["name"]: row["state"] for row in json.loads(run("translators", "list", "--json"))}
    assert rows["first"] == "ready"
    own = home / "translators" / "first"
    assert open_bundle(own).parts == ["generator", "sampler"]
    run("translators", "import", file, "--name", "second", "--content", content, "--set", "half=true")
    bundle = open_bundle(home / "translators" / "second")
    assert bundle.parts == ["content", "generator", "sampler"] and bundle.manifest.requires == ()
    _, state, inputs, expected = case_of(ENCODER)
    prior = ContentPrior.load(open_bundle(home / "priors" / "published"))
    assert_parity(prior(inputs["x256"])[0], expected["x256/c6"])
    pictures = TranslationRequest(source="cat", target="dog", translator="first").open("cpu")
    halved = TranslationRequest(source="cat", target="dog", translator="second").open("cpu")
    x = inputs["x256"]
    assert torch.allclose(pictures.translator.translate(x), halved.translator.translate(x), atol=0.05)


def test_a_file_of_stage_one_is_a_prior(tmp_path: Path, home: Path) -> None:
    _, state, inputs, expected = case_of(STAGE_ONE)
    file = saved({"ae_ema": state, "ae_optim": {"state": {}, "param_groups": []}}, tmp_path / "stage1.pt")
    said = json.loads(run("priors", "import", file, "--name", "one", "--json"))
    assert any("6 domains" in note for note in said["notes"])
    prior = ContentPrior.load(open_bundle(home / "priors" / "one"))
    content = prior(enlarged(inputs["imgs64"][:1]))[0]
    assert_parity(content, expected["eval_no_noise/content"])
    translated, _ = small_files(tmp_path)
    run("translators", "import", translated, "--name", "x", "--content", file)


def test_what_does_not_fit_is_told(tmp_path: Path, home: Path) -> None:
    file, content = small_files(tmp_path)
    name = ("--name", "x")
    asked = ("translators", "import", file, *name)
    assert "give --content content_encoder.pt" in run(*asked, code=2)
    assert "Did you mean 'source'" in run(*asked, "--content", content, "--set", "sorce=cat", code=2)
    assert "content encoder of GP-UNIT" in run(*asked, "--content", file, code=1)
    unnamed = shutil.copy(file, tmp_path / "weights.pt")
    message = run("translators", "import", unnamed, *name, "--content", content, code=2)
    assert "--set source=NAME" in message
    run("translators", "import", unnamed, *name, "--content", content, "--set", "source=cat", "--set", "target=dog")
    run("translators", "remove", "x")
    wider = dict(case_of(STAGE_ONE).state)
    lacking: Mapping[str, Tensor] = {key: value for key, value in wider.items() if "contentE.layer6" not in key}
    broken = saved({"ae_ema": lacking}, tmp_path / "broken.pt")
    assert "content encoder" in run(*asked, "--content", broken, code=1)
    generator = case_of(GENERATOR).state | {"model.9.reslayer.conv_0.weight": torch.zeros(1)}
    odd = saved({"g_ema": generator, "sampler": case_of(SAMPLER).state}, tmp_path / "dog2cat.pt")
    message = run("translators", "import", odd, *name, "--content", content, code=1)
    assert "generator" in message and "stages.9" in message
    encoder = published.content_encoder(part(case_of(TRANSLATE).state, "content_encoder."))
    full = saved(part(case_of(TRANSLATE).state, "content_encoder."), tmp_path / "full.pt")
    message = run(*asked, "--content", full, code=2)
    assert f"width {encoder.config.width}" in message and "width 8" in message
    assert not (home / "translators" / "x").exists()
