"""One request for every entrance: what it refuses, which backend answers it, what its session promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from anchor_hub.errors import (
    DomainNotFoundError,
    HubMismatchError,
    InverterNotFoundError,
    TranslatorNotFoundError,
    UsageError,
)
from anchor_hub.plugins.registry import registry
from anchor_hub.translation import AnchorTranslator, Session, TranslationRequest, Translator, TranslatorOptions
from anchor_hub.translation.anchor import AnchorOptions
from anchor_hub.translation.backends import find_way, ways
from anchor_hub.translation.base import read_options
from anchor_hub.translation.command_line import request_of
from tests.tiny import SIZE, tiny_domain, tiny_home, tiny_hub


def ids(count: int) -> torch.Tensor:
    return torch.randint(0, 5, (count, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.fixture(scope="module")
def pair() -> AnchorTranslator:
    hub = tiny_hub()
    return AnchorTranslator(tiny_domain("seg", hub), tiny_domain("face", hub))


def ask(**changes: Any) -> TranslationRequest:
    return TranslationRequest(source="seg", target="face", **changes)


@given(
    styles=st.integers(0, 3), seed=st.integers(-9, 9), vary=st.booleans(), references=st.lists(st.text(), max_size=2),
    options=st.dictionaries(st.text(min_size=1), st.integers() | st.text() | st.booleans(), max_size=3),
)  # fmt: skip
def test_a_request_is_plain_json(styles: int, seed: int, vary: bool, references: list[str], options: Any) -> None:
    request = ask(styles=styles, seed=seed, vary=vary, references=tuple(references), options=options)
    assert TranslationRequest.model_validate_json(request.model_dump_json()) == request


def test_a_request_does_not_change_and_knows_its_fields() -> None:
    with pytest.raises(ValidationError):
        ask(stiles=1)
    with pytest.raises(ValidationError):
        ask().styles = 3  # type: ignore[misc]


@settings(max_examples=12, deadline=None)
@given(cut=st.integers(1, 4), styles=st.integers(0, 2), vary=st.booleans(), seed=st.integers(0, 5))
def test_results_do_not_depend_on_the_batch(
    pair: AnchorTranslator, cut: int, styles: int, vary: bool, seed: int
) -> None:
    session = Session(pair, ask(styles=styles, vary=vary and styles > 0, seed=seed))
    samples = ids(5)
    whole = session(samples, range(5))
    parts = zip(session(samples[:cut], range(cut)), session(samples[cut:], range(cut, 5)), strict=True)
    assert len(whole) == max(styles, 1) == session.outputs
    for batch, (first, second) in zip(whole, parts, strict=True):
        assert int((batch.int() - torch.cat([first, second]).int()).abs().max()) <= 1, "a rounding at most"


def test_an_input_is_encoded_once_for_all_its_styles(pair: AnchorTranslator, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = pair.encode

    def counting(images: torch.Tensor) -> torch.Tensor:
        encoded.append(len(images))
        return encode(images)

    monkeypatch.setattr(pair, "encode", counting)
    Session(pair, ask(styles=3))(ids(2), [0, 1])
    assert encoded == [2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"styles": 1, "references": ("a.png",)}, "use one of them"), ({"truncation": 0.5}, "--truncation"),
        ({"vary": True}, "--vary"), ({"styles": 1, "truncation": 3.0}, "truncation"),
    ],
)  # fmt: skip
def test_contradictions_are_told_before_anything_is_loaded(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TranslationRequest(source="nobody", target="no-one", **changes).open()


def test_who_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path, monkeypatch, domains=("seg", "face"))
    registry.cache_clear()
    assert find_way("seg", "face").kind is AnchorTranslator
    assert find_way("seg", str(home / "domains" / "face")).backend == "anchor"
    assert ask().open("cpu").translator.identity.weights.keys() == {"source", "target"}
    tiny_domain("face", tiny_hub(seed=1, name="other")).save(home / "domains" / "stranger")
    with pytest.raises(HubMismatchError, match="'tiny'.*'other'"):
        TranslationRequest(source="seg", target="stranger").open("cpu")
    with pytest.raises(DomainNotFoundError, match="'sag'.*'seg'"):
        TranslationRequest(source="sag", target="face").open("cpu")
    with pytest.raises(TranslatorNotFoundError, match="'nobody'"):
        ask(translator="nobody").open("cpu")
    with pytest.raises(UsageError, match="'strenght'|strenght"):
        ask(options={"strenght": 1}).open("cpu")
    registry.cache_clear()


def test_inverters_by_name_with_options_of_their_own() -> None:
    hub = tiny_hub()
    face = tiny_domain("face", hub)
    images = hub.image(hub.sample(1, seed=0)).detach()

    def encoded(**options: Any) -> torch.Tensor:
        return AnchorTranslator(face, face, AnchorOptions(**options)).encode(images)

    plain, refined = encoded(), encoded(invert=3)
    assert not torch.equal(plain, refined)
    assert torch.equal(refined, encoded(inverter={"name": "w-plus", "steps": 3}))
    assert not torch.equal(refined, encoded(invert=3, inverter={"lr": 0.5}))
    one = encoded(inverter={"name": "w", "steps": 3})
    assert torch.equal(one[:, :1].expand_as(one), one), "one code in all layers"
    with pytest.raises(UsageError, match="Did you mean 'steps'"):
        encoded(inverter={"name": "w", "stesp": 3})
    with pytest.raises(InverterNotFoundError, match="w-plus"):
        encoded(inverter="w-puls")
    with pytest.raises(UsageError, match="must be rgb"):
        AnchorTranslator(tiny_domain("seg", hub), face, AnchorOptions(invert=1))


def test_bfloat16_is_near_float32_and_other_words_are_refused(pair: AnchorTranslator) -> None:
    (exact,), (rough,) = (Session(pair, ask(precision=word))(ids(4), range(4)) for word in ("fp32", "bf16"))
    off = (exact.int() - rough.int()).abs().float()
    assert 0 < float(off.mean()) < 4 and exact.dtype == rough.dtype
    with pytest.raises(UsageError, match="--precision 'fp61' is not known"):
        Session(pair, ask(precision="fp61"))


def test_what_a_session_computed_may_be_used_for_gradients() -> None:
    """Sessions run in torch's inference mode; neither their outputs nor what hubs keep of it are bound to that."""
    hub = tiny_hub()
    pair = AnchorTranslator(tiny_domain("seg", hub), tiny_domain("points", hub))
    (points,) = Session(pair, ask(styles=1))(ids(2), [0, 1])
    weight = torch.ones((), requires_grad=True)
    (weight * points).sum().backward()
    mean, whitening = hub.whitening()
    latents = hub.sample(2, seed=0).requires_grad_()
    ((latents - mean) @ whitening).square().sum().backward()
    assert weight.grad is not None and latents.grad is not None


def test_ways_of_pairs_and_of_classes() -> None:
    def bundle(source: str | None, *targets: str) -> Any:
        ends = [{"name": name} for name in targets]
        table = {"source": None if source is None else {"name": source}, "targets": ends}
        return type("Bundle", (), {"manifest": type("Manifest", (), table)})

    assert ways(bundle("dog", "cat")) == [("dog", "cat")]
    assert ways(bundle(None, "a", "b", "c")) == [(x, y) for x in "abc" for y in "abc" if x != y]


def test_styles_that_a_backend_does_not_take_are_refused() -> None:
    class Plain(Translator[torch.Tensor]):
        backend = "plain"

    class Dressed(Plain):
        styles = frozenset({"reference"})

    with pytest.raises(UsageError, match="--styles.*'plain'"):
        ask(styles=1).check_styles(Plain, "plain")
    with pytest.raises(UsageError, match="--style-from"):
        ask(references=("a.png",)).check_styles(Plain, "plain")
    with pytest.raises(UsageError, match="give --style-from IMAGE"):
        ask().check_styles(Dressed, "plain")


def test_options_are_read_from_text_and_checked() -> None:
    class Options(TranslatorOptions):
        strength: float = 1.0
        layers: str = ""
        soft: bool = False

    kind: Any = type("Kind", (Translator,), {"Options": Options})
    read = read_options(kind, "toy", {"strength": "0.5", "layers": 6, "soft": "yes"})
    assert read == Options(strength=0.5, layers="6", soft=True)
    with pytest.raises(UsageError, match="'toy' has no option.*Did you mean 'strength'"):
        read_options(kind, "toy", {"strenght": 1})
    with pytest.raises(UsageError, match="strength"):
        read_options(kind, "toy", {"strength": "much"})
    with pytest.raises(UsageError, match="It has no options"):
        read_options(type("Bare", (Translator,), {}), "bare", {"x": 1})


def test_the_command_lines_words() -> None:
    request = request_of("seg", "face", seed=3, style_layers="6-9", invert=2, settings=["style-domain=face"])
    assert (request.styles, request.seed) == (1, 3)
    assert request.options == {"style_layers": "6-9", "invert": 2, "style_domain": "face"}
    with pytest.raises(UsageError, match="also given as --style-layers"):
        request_of("seg", "face", seed=3, style_layers="6-9", settings=["style_layers=3"])
    with pytest.raises(UsageError, match="--style-layers says"):
        request_of("seg", "face", style_layers="6-9")
    with pytest.raises(UsageError, match="--style-domain encodes"):
        request_of("seg", "face", styles=1, style_domain="face")
    with pytest.raises(UsageError, match="NAME=VALUE"):
        request_of("seg", "face", settings=["invert"])
