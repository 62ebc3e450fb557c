"""Training: phases, what is frozen, where networks start, exact resume, many classes, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_deepi2i import recipe as recipe_module
from anchor_deepi2i.classes import spread
from anchor_deepi2i.options import DeepI2IOptions
from anchor_deepi2i.recipe import DeepI2IRecipe
from anchor_deepi2i.start import Start
from anchor_hub.errors import DataError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.networks.biggan_layers import SpectralWeight
from anchor_hub.testing import check_recipe
from anchor_hub.training.base import Batch, Samples, TrainingContext
from tests.deepi2i.tiny import CLASSES, FUSION, RGB, class_folders, faces, labelled, zoo
from tests.tiny import tiny_biggan
from tests.training.tiny import pictures, same

CPU = torch.device("cpu")
#: Batches of four sources and four real images; phase one is the first step.
BATCH = 8
OPTIONS: dict[str, Any] = {"fusion": FUSION, "first_phase": BATCH}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    return zoo(tmp_path_factory.mktemp("hubs"))


@pytest.fixture(scope="module")
def face_hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    return faces(tmp_path_factory.mktemp("hubs"))


def fitted(
    hub: Hub, data: Mapping[str, Samples] | None = None, wanted: tuple[str, ...] = (), **options: Any
) -> DeepI2IRecipe:
    chosen = DeepI2IOptions(**{**OPTIONS, **options})
    recipe = DeepI2IRecipe("animals", Start.of(hub, chosen), RGB, chosen, wanted)
    return recipe.fitted(data or labelled())


def ready(hub: Hub, **choices: Any) -> DeepI2IRecipe:
    recipe = fitted(hub, **choices)
    torch.manual_seed(0)
    recipe.setup(TrainingContext(CPU, "fp32", seed=0, batch=BATCH, run_dir=Path(".")))
    return recipe


def batches(classes: int = 3) -> dict[str, Batch]:
    images = pictures(BATCH)
    return {"source": Batch(images[:4]), "target": Batch(images[4:], torch.arange(4) % classes)}


def moved(recipe: DeepI2IRecipe, index: int) -> set[str]:
    """The networks whose weights (not statistics) a step changes."""
    networks: dict[str, Any] = {
        "encoder": recipe.networks.encoder, "adaptors": recipe.networks.adaptors,
        "generator": recipe.networks.generator, "discriminator": recipe.critic.network,
    }  # fmt: skip
    before = {name: [weight.clone() for weight in part.parameters()] for name, part in networks.items()}
    recipe.step(batches(len(recipe.targets)), index)
    return {
        name for name, part in networks.items()
        if not all(map(torch.equal, before[name], part.parameters()))
    }  # fmt: skip


def test_phase_one_trains_adaptors_and_discriminator_phase_two_all_but_the_encoder(hub: Hub) -> None:
    recipe = ready(hub)
    assert moved(recipe, 0) == {"adaptors", "discriminator"}
    assert moved(recipe, 1) == {"adaptors", "discriminator", "generator"}


def test_a_frozen_generator_computes_no_gradients_and_the_encoder_none_in_either_phase(hub: Hub) -> None:
    recipe = ready(hub)
    recipe.step(batches(), 0)
    assert all(weight.grad is None for weight in recipe.networks.generator.parameters())
    recipe.step(batches(), 1)
    assert all(weight.grad is not None for weight in recipe.networks.generator.parameters())
    assert all(weight.grad is None and not weight.requires_grad for weight in recipe.networks.encoder.parameters())


def test_the_frozen_encoder_runs_once_a_step_and_iterates_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = ready(hub)
    calls: list[int] = []
    original = type(recipe.networks.encoder).maps

    def counted(self: Any, *arguments: Any) -> Any:
        calls.append(self is recipe.networks.encoder)
        return original(self, *arguments)

    monkeypatch.setattr(type(recipe.networks.encoder), "maps", counted)
    recipe.step(batches(), 0)
    assert calls == [True, False], "the encoder on the sources, then the discriminator on the sources"
    layers = [module for module in recipe.networks.encoder.modules() if isinstance(module, SpectralWeight)]
    assert layers and all(layer.folded for layer in layers)


def test_networks_start_from_the_hub(hub: Hub) -> None:
    recipe = ready(hub)
    critic = hub.discriminator()
    assert same(dict(recipe.networks.generator.state_dict()), dict(hub.generator.state_dict()))
    assert same(dict(recipe.critic.network.state_dict()), dict(critic.state_dict()))
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        expected = critic.eval().maps(images, (4, 8))
        found = recipe.networks.features(images)
    assert all(torch.allclose(found[side], expected[side], atol=1e-6) for side in (4, 8))


@pytest.mark.parametrize("transfer", ["none", "generator", "discriminator,encoder", "encoder"])
def test_partial_transfer(hub: Hub, transfer: str) -> None:
    recipe = ready(hub, transfer=transfer, first_phase=None)
    assert ("generator" in transfer) == same(
        dict(recipe.networks.generator.state_dict()), dict(hub.generator.state_dict())
    )
    critic = dict(hub.discriminator().state_dict())
    assert ("discriminator" in transfer) == same(dict(recipe.critic.network.state_dict()), critic)
    # From scratch everything learns from the first step on, and the fusion is stronger, as published.
    assert ("encoder" in moved(recipe, 0)) == ("encoder" not in transfer)
    assert recipe.options.phase == (32_000 if "generator" in transfer else 0)
    assert recipe.options.model_copy(update={"fusion": None}).fusion_weights((4, 8)) == (
        {4: 0.1, 8: 0.1} if "generator" in transfer else {4: 1.0, 8: 1.0}
    )


def test_the_encoder_learns_where_it_is_asked_to(hub: Hub) -> None:
    assert "encoder" in moved(ready(hub, train_encoder=True), 0)
    assert "encoder" not in moved(ready(hub, transfer="generator,discriminator", train_encoder=False), 0)


@pytest.mark.parametrize("options", [{}, {"train_encoder": True}, {"fresh_fakes": True, "mismatch": 0.5},
                                     {"augment": "colour,translation", "average_half_life": 0}])  # fmt: skip
def test_it_keeps_the_contract_and_resumes_bit_for_bit_in_both_phases(
    hub: Hub, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe_module, "STANDING_BATCHES", 1)
    monkeypatch.setattr(recipe_module, "SHOWN_BATCHES", 1)
    # Four steps: phase one ends after one step or three, so that the resumed run begins in phase two or in phase one.
    for phase in (BATCH, 3 * BATCH) if not options else (3 * BATCH,):
        check_recipe(
            DeepI2IRecipe, labelled(), options={**OPTIONS, **options, "first_phase": phase}, required={"hub": hub},
            batch=BATCH,
        )  # fmt: skip


@pytest.mark.parametrize("loss", ["logistic", "wgan-gp"])
def test_a_stylegan2_hub_translates_to_one_class(face_hub: Hub, loss: str) -> None:
    recipe = ready(face_hub, wanted=("dog",), loss=loss, r1_every=1)
    assert recipe.targets == ("dog",) and len(recipe.reals) == 8 and len(recipe.sources) == 24
    losses: Mapping[str, Any] = recipe.step(batches(1), 1)
    assert ("r1" in losses) == (loss == "logistic")
    assert moved(recipe, 0) == {"adaptors", "discriminator"}
    with pytest.raises(UsageError, match="knows no classes, so it translates to one: name it, --to cat"):
        fitted(face_hub)


def test_the_reconstruction_is_an_option(hub: Hub) -> None:
    values = {
        kind: float(ready(hub, reconstruction=kind).step(batches(), 0)["reconstruction"])
        for kind in ("paper", "pairs", "published")
    }
    assert len(set(values.values())) == 3


def test_reals_are_of_the_target_classes_alone(hub: Hub) -> None:
    recipe = fitted(hub, wanted=("hen", "cat"))
    assert recipe.targets == ("hen", "cat")
    streams = recipe.trained_on(labelled())
    assert len(streams["source"]) == 24 and len(streams["target"]) == 16
    labels = streams["target"].labels
    assert labels is not None and sorted(set(labels.tolist())) == [0, 1]
    own = labelled()["own"]
    assert isinstance(own.rows, Tensor)
    assert torch.equal(streams["target"].rows[labels == 0], own.rows[16:]), "hens are the last third, and class 0"


@pytest.mark.parametrize("total", [3, 8, 10, 24, 1000])
def test_a_sheet_shows_different_sources(total: int) -> None:
    shown = spread(Samples(range(total)), 8)
    assert len(set(shown)) == len(shown) == min(8, total) and shown == sorted(shown)
    assert 0 <= shown[0] and shown[-1] < total


def test_classes_start_from_the_hubs_rows_of_their_names(hub: Hub) -> None:
    classes = ("Hen", "yak", "cat")
    recipe = ready(hub, data=labelled(classes=classes))
    table = hub.generator.embedding.weight
    assert torch.equal(recipe.networks.generator.embedding.weight, table[[2, 1, 0]])


def test_a_class_costs_its_embedding_rows(hub: Hub) -> None:
    many = tuple(f"class-{number:03}" for number in range(120))
    small, large = ready(hub), ready(hub, data=labelled(120 * 6, many))
    losses = large.step(batches(120), 1)
    assert all(torch.isfinite(torch.as_tensor(value)) for value in losses.values())
    rows = sum(table.weight.shape[1] for table in (small.networks.generator.embedding, small.critic.network.embedding))

    def weights(recipe: DeepI2IRecipe) -> int:
        return sum(weight.numel() for part in (recipe.networks, recipe.critic.network) for weight in part.parameters())

    assert weights(large) - weights(small) == 117 * rows


def test_what_cannot_be_trained_is_said(hub: Hub, face_hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hub 'zoo' keeps no discriminator, from which DeepI2I's encoder .* start"):
        Start.of(tiny_biggan(), DeepI2IOptions())
    assert Start.of(tiny_biggan(), DeepI2IOptions(transfer="generator")).critic is None  # type: ignore[arg-type]
    assert hub.path is not None and face_hub.path is not None
    with pytest.raises(UsageError, match="an encoder of a stylegan2 of 16 px does not fit hub 'zoo', a biggan of 16"):
        Start.of(hub, DeepI2IOptions(encoder_from=str(face_hub.path)))
    with pytest.raises(UsageError, match="--to dgo: the data has no class of that name. Did you mean 'dog'"):
        fitted(hub, wanted=("dgo",))
    with pytest.raises(UsageError, match="Did you mean 'encoder'"):
        DeepI2IOptions(transfer="generator,encodr")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Did you mean 'published'"):
        DeepI2IOptions(reconstruction="publishd")
    with pytest.raises(UsageError, match=r"no maps of \[32\] px to fuse"):
        ready(hub, fusion="4:0.1,32:0.1")
    with pytest.raises(UsageError, match=r"no features of \[16\] px"):
        ready(hub, alpha="16:0.1")
    for option in ("alpha", "fusion"):
        with pytest.raises(UsageError, match=f"{option}=4:0,8:0: weights lie between 0 and 100, and one at least is"):
            ready(hub, **{option: "4:0,8:0"})
    with pytest.raises(UsageError, match="choose a multiple of 2"):
        fitted(hub).shares(7)


def test_classes_that_cannot_be_learned_are_said(hub: Hub, tmp_path: Path) -> None:
    from anchor_hub.data.image_folder import ImageFolder

    def read(folder: Path) -> Any:
        return fitted(hub).labels("own", folder, ImageFolder(folder, RGB, 16))

    names, labels = read(class_folders(tmp_path / "good"))
    assert names == CLASSES and labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    (tmp_path / "good" / "yak").mkdir()
    with pytest.raises(DataError, match="class 'yak' has no images; put some into .*yak, or remove it"):
        read(tmp_path / "good")
    few = class_folders(tmp_path / "few", ("cat", "dog"))
    for number in range(2, 6):
        (few / "dog" / f"{number}.png").unlink()
    with pytest.raises(DataError, match="class 'dog' has 2 images, too few to learn it from; give 5 or more"):
        read(few)
    with pytest.raises(DataError, match="needs a folder of images per class, two classes at least"):
        read(class_folders(tmp_path / "one", ("cat",)))
