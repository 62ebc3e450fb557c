"""The contract suite: checks that a plugin's author runs on what the plugin brings, each raising ContractError.

from anchor_hub import load_domain, testing

def test_plugin():
    testing.check_plugin("dogs.plugin")

def test_domain():
    testing.check_domain(load_domain("dog"))
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.bundles.base import open_bundle
from anchor_hub.errors import AnchorError, PluginError
from anchor_hub.plugins.loading import collect
from anchor_hub.specs import DomainSpec, HubSpec, Spec, import_target

if TYPE_CHECKING:
    from torch import Tensor

    from anchor_hub.domains.base import Domain
    from anchor_hub.modality import Modality
    from anchor_hub.training.base import Recipe, Samples

# Too slow for a module that every command imports.
HEAVY_MODULES = ("torch", "torchvision", "numpy", "scipy", "PIL")


class ContractError(AnchorError, AssertionError):
    """Something breaks Anchor Hub's contract; the message says what, and what the contract is."""


def require(condition: object, message: str) -> None:
    """Raise ContractError with `message` unless `condition` holds."""
    if not condition:
        raise ContractError(message)


def check_plugin(module: str) -> dict[str, list[Spec]]:
    """Check a plugin module by its import name and everything it registers; returns the specs by kind.

    A fresh Python imports it: it must print nothing and import no torch, numpy or PIL. Its hooks must exist,
    its specs be valid; targets must be importable, bundles that are there must verify.
    """
    probe = (
        f"import sys, importlib; importlib.import_module({module!r}); "
        f"print('\\n'.join(name for name in {HEAVY_MODULES!r} if name in sys.modules), end='')"
    )
    # The child sees what this process sees, whatever was added to the path since it started.
    environment_path = [path for path in sys.path if path]
    code = f"import sys; sys.path[:0] = {environment_path!r}; {probe}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    require(done.returncode == 0, f"{module}: cannot be imported: {done.stderr.strip().splitlines()[-1:]}")
    output = done.stdout.split()
    heavy = [name for name in output if name in HEAVY_MODULES]
    require(not heavy, f"{module}: imports {', '.join(heavy)} at module level: import it where it is used")
    require(
        not output, f"{module}: prints {done.stdout[:80]!r} when imported: a plugin module prints nothing"
    )
    try:
        _, specs = collect(importlib.import_module(module), module)
    except PluginError as error:
        raise ContractError(f"{module}: {error}") from error
    for group in specs.values():
        for spec in group:
            check_spec(spec)
    return specs


def check_spec(spec: Spec) -> None:
    """A spec's fields are valid, its target can be imported, its bundle (where there is one) verifies."""
    where = f"{type(spec).__name__} {spec.name!r}"
    try:
        spec.check()
    except AnchorError as error:
        raise ContractError(f"{where}: {error}") from error
    target = getattr(spec, "target", None)
    if target is not None:
        try:
            found = import_target(target)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ContractError(f"{where}: its target {target} cannot be imported: {reason}") from error
        require(callable(found), f"{where}: its target {target} is no class or function")
    if isinstance(spec, (HubSpec, DomainSpec)) and spec.bundle and Path(spec.bundle).is_dir():
        check_bundle(spec.bundle)
        manifest = open_bundle(spec.bundle).manifest
        if isinstance(spec, DomainSpec):
            require(
                manifest.modality == dict(spec.modality),
                f"{where}: its modality {dict(spec.modality)} is not its bundle's, {manifest.modality}",
            )


def check_bundle(folder: str | Path) -> None:
    """Every byte of the bundle in `folder` verifies."""
    try:
        problems = open_bundle(folder).verify()
    except AnchorError as error:
        raise ContractError(str(error)) from error
    require(not problems, "; ".join(problems))


def check_modality(modality: Modality, samples: Tensor) -> None:
    """A modality's tensors, on a batch of its samples `[B, ...]` as `collate` returns them.

    `to_network` gives finite float32 `[B, input_channels, H, W]`; flipping twice changes nothing; previews
    are uint8 `[3, H, W]`; `options()` builds the same modality again.
    """
    import torch

    from anchor_hub.modality import build_modality

    name = modality.name
    inputs = modality.to_network(samples)
    require(inputs.dtype == torch.float32, f"{name}: to_network gives {inputs.dtype}, not float32")
    require(
        inputs.ndim == 4 and inputs.shape[:2] == (len(samples), modality.input_channels),
        f"{name}: to_network gives {list(inputs.shape)}, not [{len(samples)}, "
        f"{modality.input_channels}, H, W]",
    )
    require(bool(torch.isfinite(inputs).all()), f"{name}: to_network gives NaN or infinity")
    twice = modality.flip(modality.flip(samples))
    require(
        torch.allclose(twice.float(), samples.float(), atol=1e-4), f"{name}: flip twice changes the samples"
    )
    preview = modality.preview(samples[0])
    require(
        preview.dtype == torch.uint8 and preview.ndim == 3 and preview.shape[0] == 3,
        f"{name}: preview gives {preview.dtype} {list(preview.shape)}, not uint8 [3, H, W]",
    )
    again = build_modality({"name": name, **modality.options()})
    require(
        again.options() == modality.options(), f"{name}: options() does not build the same modality again"
    )


def check_domain(domain: Domain, images: Tensor | None = None) -> None:
    """A domain encodes and decodes as it says, and leaves the hub, the random state and torch's settings alone.

    images: network input `[B, input_channels, H, W]`; two random ones of the hub's size by default.
    """
    import torch

    hub, modality = domain.hub, domain.modality  # type: ignore[attr-defined]
    require(domain.can_encode or domain.can_decode, f"domain {domain.name!r}: can neither encode nor decode")
    stream = torch.Generator().manual_seed(0)
    if images is None:
        images = torch.rand((2, modality.input_channels, hub.size, hub.size), generator=stream) * 2 - 1
    latents = hub.expand(hub.sample(len(images), seed=0))
    with unchanged(hub), torch.no_grad():
        if domain.can_encode:
            latents = domain.encode(images.to(hub.device))
            shape = (len(images), hub.num_latents, hub.latent_dim)
            _check_tensor(latents, shape, hub, f"domain {domain.name!r}: encode")
        if domain.can_decode:
            output = domain.decode(latents)
            pictures = (len(images), modality.output_channels, hub.size, hub.size)
            _check_tensor(output, pictures, hub, f"domain {domain.name!r}: decode")
    with torch.no_grad():
        if domain.can_encode:
            again = domain.encode(images.to(hub.device))
            require(torch.equal(latents, again), f"domain {domain.name!r}: encode is not deterministic")
        if domain.can_decode:
            again = domain.decode(latents)
            require(torch.equal(output, again), f"domain {domain.name!r}: decode is not deterministic")


def check_recipe(
    recipe: type[Recipe],
    data: Mapping[str, Samples],
    *,
    options: Mapping[str, Any] | None = None,
    modalities: Mapping[str, Mapping[str, Any]] | None = None,
    required: Mapping[str, Any] | None = None,
    batch: int = 4,
) -> None:
    """A recipe trains, resumes and exports: two steps, saved and loaded, and two more are four steps, bit for bit.

    Its options refuse unknown names; its bundle opens again; what it requires keeps its weights. data: a few samples of
    each data set. options, modalities: as a plan has them. required: kind -> what `build` receives, e.g. a hub.
    """
    from anchor_hub.training.base import TrainingPlan
    from anchor_hub.training.checking import recipe_faults

    known = {name: held.modality for name, held in data.items() if held.modality is not None}
    tables = {name: {"name": modality.name, **modality.options()} for name, modality in known.items()}
    plan = TrainingPlan(
        "checked", recipe.name, options=options or {}, modalities={**tables, **(modalities or {})}, batch=batch,
        images=4 * batch,
    )  # fmt: skip
    for fault in recipe_faults(recipe, data, plan, required or {}, batch):
        raise ContractError(f"recipe {recipe.name!r}: {fault}")


def _check_tensor(value: Any, shape: tuple[int, ...], hub: Any, where: str) -> None:
    import torch

    require(isinstance(value, torch.Tensor), f"{where} gives a {type(value).__name__}, not a tensor")
    require(tuple(value.shape) == shape, f"{where} gives the shape {list(value.shape)}, not {list(shape)}")
    require(value.dtype == torch.float32, f"{where} gives {value.dtype}, not float32")
    require(value.device.type == hub.device.type, f"{where} gives {value.device}, the hub is on {hub.device}")
    require(bool(torch.isfinite(value).all()), f"{where} gives NaN or infinity")


@contextmanager
def unchanged(hub: Any) -> Iterator[None]:
    """Raise ContractError if the block changes the hub, torch's global random state, threads or default dtype.
    """
    import torch

    def state() -> Mapping[str, Any]:
        return {
            "the hub's weights": hub.current_fingerprint(),
            "the hub's train/eval mode": hub.generator.training,
            "the hub's requires_grad": any(item.requires_grad for item in hub.generator.parameters()),
            "torch's global random state": torch.get_rng_state().numpy().tobytes(),
            "torch's number of threads": torch.get_num_threads(),
            "torch's default dtype": torch.get_default_dtype(),
        }

    before = state()
    yield
    after = state()
    for what, value in before.items():
        require(after[what] == value, f"changes {what}: a domain must leave it alone")
