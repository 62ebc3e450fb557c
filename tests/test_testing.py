"""The contract suite passes what is right and names what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anchor_hub import testing
from anchor_hub.bundles.base import Bundle
from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import Traits, build_modality
from anchor_hub.modality.rgb import RGB
from anchor_hub.specs import ArchitectureSpec, CheckpointSpec, DomainSpec, ModalitySpec, TranslatorSpec
from anchor_hub.testing import ContractError, check_domain, check_modality, check_spec
from anchor_hub.translation import AnchorTranslator, Translator, TranslatorOptions, style_generator
from tests.bundle_makers import tiny_domain as domain_bundle
from tests.bundle_makers import tiny_prior, tiny_translator
from tests.tiny import DOMAINS, tiny_domain, tiny_hub


@pytest.fixture(scope="module")
def hub() -> Hub:
    return tiny_hub()


@pytest.mark.parametrize("name", DOMAINS)
def test_good_domains(hub: Hub, name: str) -> None:
    check_domain(tiny_domain(name, hub))


def wrong_shape(hub: Hub, value: Tensor) -> Tensor:
    return value[:, :-1]


def wrong_dtype(hub: Hub, value: Tensor) -> Tensor:
    return value.double()


def not_finite(hub: Hub, value: Tensor) -> Tensor:
    return value / 0


def not_a_tensor(hub: Hub, value: Tensor) -> Any:
    return value.tolist()


def counts_calls(hub: Hub, value: Tensor, calls: list[int] = []) -> Tensor:  # noqa: B006
    calls.append(1)
    return value + len(calls)


def changes_weights(hub: Hub, value: Tensor) -> Tensor:
    next(iter(hub.generator.parameters())).data.add_(1e-3)
    return value


def changes_mode(hub: Hub, value: Tensor) -> Tensor:
    hub.generator.train()
    return value


def asks_for_gradients(hub: Hub, value: Tensor) -> Tensor:
    hub.generator.requires_grad_(True)
    return value


def draws_globally(hub: Hub, value: Tensor) -> Tensor:
    torch.rand(1)
    return value


def sets_threads(hub: Hub, value: Tensor) -> Tensor:
    torch.set_num_threads(torch.get_num_threads() + 1)
    return value


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (wrong_shape, "gives the shape"),
        (wrong_dtype, "gives torch.float64"),
        (not_finite, "gives NaN or infinity"),
        (not_a_tensor, "gives a list, not a tensor"),
        (counts_calls, "is not deterministic"),
        (changes_weights, "changes the hub's weights"),
        (changes_mode, "changes the hub's train/eval mode"),
        (asks_for_gradients, "changes the hub's requires_grad"),
        (draws_globally, "changes torch's global random state"),
        (sets_threads, "changes torch's number of threads"),
    ],
)
@pytest.mark.parametrize("way", ["encode", "decode"])
def test_faulty_domains(
    monkeypatch: pytest.MonkeyPatch, way: str, fault: Callable[[Hub, Tensor], Any], message: str
) -> None:
    hub = tiny_hub()
    domain = tiny_domain("seg", hub)
    right = getattr(domain, way)
    monkeypatch.setattr(domain, way, lambda value: fault(hub, right(value)))
    try:
        with pytest.raises(ContractError, match=message):
            check_domain(domain)
    finally:
        torch.set_num_threads(1)


def test_neither_way(hub: Hub) -> None:
    with pytest.raises(ContractError, match="can neither encode nor decode"):
        check_domain(tiny_domain("decode-only", hub, regressor=None))


SAMPLES: dict[str, tuple[dict[str, Any], Callable[[], Tensor]]] = {
    "rgb": ({"name": "rgb"}, lambda: torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)),
    "gray": ({"name": "gray"}, lambda: torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)),
    "segmentation": (
        {"name": "segmentation", "classes": 19, "palette": "celebamask-hq"},
        lambda: torch.randint(0, 19, (2, 1, 16, 16), dtype=torch.uint8),
    ),
    "landmarks": ({"name": "landmarks"}, lambda: torch.rand(2, 68, 2) * 15),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_built_in_modalities(name: str) -> None:
    options, samples = SAMPLES[name]
    modality = build_modality(options)
    check_modality(modality, samples(), side=16)
    check_modality(modality.at(16), samples())


class Fading(RGB):
    """Its mirror is brighter."""

    def flip(self, samples: Tensor) -> Tensor:
        return samples + 1


class Remembering(RGB):
    """Keeps the side it read at, as modalities were once meant to."""

    def read(self, path: str | Path, size: int) -> Tensor:
        self.size = size + 1
        return super().read(path, size)


class Counting(RGB):
    """Changes what it holds rather than what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def to_network(self, samples: Tensor) -> Tensor:
        self.seen.append(len(samples))
        return super().to_network(samples)


class Unmoved(RGB):
    """Stays where it was declared for."""

    def at(self, side: int) -> Unmoved:
        return self


class Textual(RGB):
    """Its traits are no traits."""

    traits = "picture"


class Labels(RGB):
    """Says it is label maps of three classes."""

    traits = Traits(classes=("a", "b", "c"))


class Points(RGB):
    """Says it is points."""

    traits = Traits(points=5)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Fading, "flip twice"),
        (Remembering, "size cannot be set, modalities do not change; modality.at"),
        (Counting, "changes while it is used"),
        (Unmoved, r"at\(16\) is declared for None"),
        (Textual, "traits is a str"),
        (Labels, "with traits.classes they are whole numbers"),
        (Points, r"with traits.points they are floating \[5, 2\]"),
    ],
)
def test_a_faulty_modality(kind: type[RGB], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_modality(kind(), SAMPLES["rgb"][1]())


def test_the_ids_of_label_maps_are_classes() -> None:
    with pytest.raises(ContractError, match="samples hold ids 3 to 3; traits.classes has 2 names"):
        check_modality(build_modality({"name": "segmentation", "classes": 2}), torch.full((2, 1, 8, 8), 3))
    gray = SAMPLES["gray"][1]()
    with pytest.raises(ContractError, match=r"with traits.picture they are uint8 \[3, H, W\]"):
        check_modality(build_modality({"name": "rgb"}), gray)


def test_specs(tmp_path: Path) -> None:
    folder = domain_bundle(tmp_path / "spot")
    check_spec(DomainSpec("spot", hub="tiny", modality={"name": "rgb"}, bundle=str(folder)))
    check_spec(DomainSpec("spot", hub="tiny", modality={"name": "rgb"}, bundle=str(tmp_path / "absent")))
    with pytest.raises(ContractError, match="is not its bundle's"):
        check_spec(DomainSpec("spot", hub="tiny", modality={"name": "gray"}, bundle=str(folder)))
    with pytest.raises(ContractError, match="is no class or function"):
        check_spec(ModalitySpec("x", target="anchor_hub.testing:HEAVY_MODULES"))
    (folder / "README.md").write_text("changed")
    with pytest.raises(ContractError, match=r"README.md: is damaged"):
        testing.check_bundle(folder)


def test_architectures(hub: Hub, tmp_path: Path) -> None:
    anchored = ArchitectureSpec("anchored", target="anchor_hub.domains.anchored:AnchoredDomain")
    stylegan2 = ArchitectureSpec("stylegan2", kind="hub", target="anchor_hub.hubs.stylegan2:StyleGAN2Hub")
    for name in ("seg", "face", "encode-only"):
        testing.check_architecture(anchored, tiny_domain(name, hub))
    testing.check_architecture(stylegan2, hub)
    with pytest.raises(ContractError, match=r"does not derive from anchor_hub.Domain"):
        check_spec(ArchitectureSpec("x", target="anchor_hub.hubs.stylegan2:StyleGAN2Hub"))
    with pytest.raises(ContractError, match="lacks the method load"):
        check_spec(ArchitectureSpec("x", kind="prior", target="anchor_hub.errors:AnchorError"))
    with pytest.raises(ContractError, match=r"says architecture\.name: 'anchored'"):
        testing.check_architecture(
            ArchitectureSpec("other", target="anchor_hub.domains.anchored:AnchoredDomain"), tiny_domain("seg", hub)
        )
    with pytest.raises(ContractError, match="is not its class"):
        testing.check_architecture(stylegan2, tiny_domain("seg", hub))


def test_an_architecture_that_forgets_what_it_read(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ArchitectureSpec("anchored", target="anchor_hub.domains.anchored:AnchoredDomain")
    original = AnchoredDomain.load.__func__  # type: ignore[attr-defined]

    def forgetful(cls: type, bundle: object, on: Hub) -> AnchoredDomain:
        domain: AnchoredDomain = original(cls, bundle, on)
        with torch.no_grad():
            next(iter(domain.encoder.parameters())).add_(1)  # type: ignore[union-attr]
        return domain

    monkeypatch.setattr(AnchoredDomain, "load", classmethod(forgetful))
    with pytest.raises(ContractError, match="loaded again, the domain's encode gives other values"):
        testing.check_architecture(spec, tiny_domain("seg", hub))


class Content:
    @classmethod
    def load(cls, bundle: Bundle, device: torch.device) -> Content | None:
        return cls() if bundle.parts else None


def test_priors_and_readers(tmp_path: Path) -> None:
    spec = ArchitectureSpec("toy-content", kind="prior", target=f"{__name__}:Content")
    testing.check_architecture(spec, tiny_prior(tmp_path / "p"))
    with pytest.raises(ContractError, match="load returns nothing"):
        testing.check_architecture(spec, tiny_prior(tmp_path / "q", tensors={}))
    check_spec(CheckpointSpec("stylegan2", target="anchor_hub.checkpoints.stylegan2_pt"))
    for target, part in (
        ("anchor_hub.checkpoints.raw", "lacks NAME"),
        ("anchor_hub.checkpoints.no_such_module", "cannot be imported"),
    ):
        with pytest.raises(ContractError, match=part):
            check_spec(CheckpointSpec("x", target=target))
    folder = str(tiny_translator(tmp_path / "t"))
    check_spec(TranslatorSpec("dog-cat", backend="toy-pair", source="dog", targets=("cat",), bundle=folder))
    with pytest.raises(ContractError, match="are not its bundle's"):
        check_spec(TranslatorSpec("dog-cat", backend="toy-pair", source="dog", targets=("cow",), bundle=folder))


class Plain(Translator[Tensor]):
    """Gives back its input, mixed with a colour; each fault below breaks one promise."""

    backend = "plain"
    styles = frozenset({"own", "random"})

    def __init__(self) -> None:
        self.source = self.target = "face"
        self.source_modality = self.target_modality = RGB()
        self.size, self.device = 8, torch.device("cpu")

    @classmethod
    def open(cls, source: str, target: str, *, bundle: Any, options: Any, device: Any) -> Plain:
        return cls()

    def encode(self, images: Tensor) -> Tensor:
        return images

    def decode(self, content: Tensor, style: Tensor | None = None) -> Tensor:
        return content if style is None else content / 2 + style[:, :, None, None]

    def random_styles(self, n: int, *, seed: int, start: int = 0, truncation: float = 1.0) -> Tensor:
        rows = [torch.rand(3, generator=style_generator(seed, start + number)) for number in range(n)]
        return truncation * torch.stack(rows) / 2


class Forgetful(Plain):
    backend = ""


class Sociable(Plain):
    def decode(self, content: Tensor, style: Tensor | None = None) -> Tensor:
        return super().decode(content - content.mean(0, keepdim=True), style)


class Restless(Plain):
    def encode(self, images: Tensor) -> Tensor:
        return images + torch.rand(1)


class Counting(Plain):
    def random_styles(self, n: int, *, seed: int, start: int = 0, truncation: float = 1.0) -> Tensor:
        return truncation * torch.rand(n, 3, generator=torch.Generator().manual_seed(seed + start))


class Greedy(Plain):
    class Options(TranslatorOptions):
        strength: float


class Small(Plain):
    def decode(self, content: Tensor, style: Tensor | None = None) -> Tensor:
        return super().decode(content, style)[..., :4, :4]


class Shy(Plain):
    styles = frozenset({"own"})


PICTURES = torch.randint(0, 256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def test_good_translators(hub: Hub) -> None:
    testing.check_translator(Plain(), PICTURES)
    pair = AnchorTranslator(tiny_domain("seg", hub), tiny_domain("face", hub))
    ids = torch.randint(0, 5, (3, 1, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    testing.check_translator(pair, ids)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Forgetful, "states no backend"), (Sociable, "depends on the batch"), (Restless, "deterministic"),
        (Counting, "depend on seed and i alone"), (Greedy, "every option a default"), (Small, "its size is 8"),
        (Shy, "leave 'random' out"),
    ],
)  # fmt: skip
def test_bad_translators(kind: type[Plain], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        testing.check_translator(kind(), PICTURES)
