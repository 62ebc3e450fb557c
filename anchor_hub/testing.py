"""The contract suite: checks for the author of a plugin to run. Each raises ContractError where the contract is broken.

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
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_hub.bundles.base import Bundle, BundleManifest, open_bundle
from anchor_hub.errors import AnchorError, PluginError
from anchor_hub.hubs.classes import read_classes
from anchor_hub.plugins.loading import collect
from anchor_hub.plugins.usable import architecture_name
from anchor_hub.specs import ArchitectureSpec, CheckpointSpec, DomainSpec, Spec, TranslatorSpec, import_target

if TYPE_CHECKING:
    from torch import Tensor

    from anchor_hub.domains.base import Domain
    from anchor_hub.hubs.base import Hub
    from anchor_hub.modality import Modality
    from anchor_hub.training.base import Recipe, Samples
    from anchor_hub.translation.base import Translator

# Too slow for a module that every command imports.
HEAVY_MODULES = ("torch", "torchvision", "numpy", "scipy", "PIL")


class ContractError(AnchorError, AssertionError):
    """Something breaks Anchor Hub's contract; the message says what breaks it and what the contract asks."""


def require(condition: object, message: str) -> None:
    """Raise ContractError with `message` unless `condition` holds."""
    if not condition:
        raise ContractError(message)


def check_plugin(module: str) -> dict[str, list[Spec]]:
    """Check a plugin module by its import name and everything it registers; returns the specs by kind.

    A fresh Python imports it: it must print nothing and import no torch, numpy or PIL. Its hooks must exist
    and its specs be valid; targets must be importable, and bundles that exist must verify.
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
    """Check that a spec's fields are valid, its target can be imported, and its bundle (if any) verifies."""
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
        _check_target(spec, found, f"{where}: its target {target}")
    bundle = getattr(spec, "bundle", None)
    if bundle and Path(bundle).is_dir():
        check_bundle(bundle)
        _check_agreement(spec, open_bundle(bundle).manifest, where)


def _check_target(spec: Spec, found: Any, where: str) -> None:
    """Check that a target names what its kind of spec asks for."""
    if isinstance(spec, CheckpointSpec):
        from anchor_hub.checkpoints.base import READER_KINDS

        for name in ("NAME", "LAYOUT"):
            require(isinstance(getattr(found, name, None), str), f"{where} lacks {name}, a text")
        kind = getattr(found, "KIND", None)
        require(kind in READER_KINDS, f"{where} has the KIND {kind!r}, not one of {', '.join(READER_KINDS)}")
        for name in ("matches", "read"):
            require(callable(getattr(found, name, None)), f"{where} lacks the function {name}")
        return
    require(callable(found), f"{where} is no class or function")
    if isinstance(spec, ArchitectureSpec):
        if spec.kind == "prior":
            require(callable(getattr(found, "load", None)), f"{where} lacks the method load(bundle, device)")
            return
        from anchor_hub.domains.base import Domain
        from anchor_hub.hubs.base import Hub

        base: type = Hub if spec.kind == "hub" else Domain
        derives = isinstance(found, type) and issubclass(found, base)
        require(derives, f"{where} does not derive from anchor_hub.{base.__name__}, which kind {spec.kind!r} asks for")


def _check_agreement(spec: Spec, manifest: BundleManifest, where: str) -> None:
    """Check that a spec and its bundle's manifest say the same."""
    if isinstance(spec, DomainSpec):
        require(
            manifest.modality == dict(spec.modality),
            f"{where}: its modality {dict(spec.modality)} is not its bundle's, {manifest.modality}",
        )
    if isinstance(spec, TranslatorSpec):
        ends = (
            manifest.architecture.get("name"),
            manifest.source["name"] if manifest.source else "",
            tuple(target["name"] for target in manifest.targets),
        )
        own = (spec.backend, spec.source, spec.targets)
        require(ends == own, f"{where}: its backend, source and targets {own} are not its bundle's, {ends}")


def check_architecture(spec: ArchitectureSpec, made: Hub | Domain | str | Path) -> None:
    """Check that an architecture's class writes bundles and loads them back as a hub or domain that does the same.

    made: a hub or a domain of that architecture, trained or imported; for a prior, the folder of a bundle.
    """
    import torch

    check_spec(spec)
    where = f"architecture {spec.name!r}"
    family: Any = import_target(spec.target)
    if spec.kind == "prior":
        require(isinstance(made, (str, Path)), f"{where}: give the folder of a prior's bundle")
        bundle = open_bundle(made, "prior")  # type: ignore[arg-type]
        _check_written(spec, bundle)
        require(family.load(bundle, torch.device("cpu")) is not None, f"{where}: load returns nothing")
        return
    require(isinstance(made, family), f"{where}: {type(made).__name__} is not its class, {family.__name__}")
    with tempfile.TemporaryDirectory() as folder:
        bundle = open_bundle(made.save(Path(folder) / "bundle"))  # type: ignore[union-attr]
        _check_written(spec, bundle)
        if spec.kind == "hub":
            _compare_hubs(made, family.read(bundle, read_classes(bundle)), where)
        else:
            check_domain(made)  # type: ignore[arg-type]
            _compare_domains(made, family.load(bundle, made.hub), where)  # type: ignore[union-attr]


def _check_written(spec: ArchitectureSpec, bundle: Bundle) -> None:
    check_bundle(bundle.path)
    name = architecture_name(bundle.manifest)
    require(name == spec.name, f"architecture {spec.name!r}: its bundle says architecture.name: {name!r}")
    require(
        bundle.manifest.kind == spec.kind, f"architecture {spec.name!r}: its bundle is a {bundle.manifest.kind}"
    )


def _compare_hubs(made: Any, again: Any, where: str) -> None:
    import torch

    again = again.to(made.device)
    require(again.fingerprint == made.fingerprint, f"{where}: loaded again, the hub has another fingerprint")
    latents = made.expand(made.sample(2, seed=0))
    with torch.no_grad():
        same = torch.equal(made.image(latents), again.image(latents))
    require(same, f"{where}: loaded again, the hub makes other images of the same latents")


def _compare_domains(made: Any, again: Any, where: str) -> None:
    import torch

    hub = made.hub
    stream = torch.Generator().manual_seed(1)
    images = torch.rand((2, made.modality.input_channels, hub.size, hub.size), generator=stream) * 2 - 1
    latents = hub.expand(hub.sample(2, seed=1))
    for way in ("encode", "decode"):
        can = getattr(made, f"can_{way}")
        require(getattr(again, f"can_{way}") == can, f"{where}: loaded again, the domain differs in can_{way}")
        if can:
            given = images.to(hub.device) if way == "encode" else latents
            with torch.no_grad():
                same = torch.equal(getattr(made, way)(given), getattr(again, way)(given))
            require(same, f"{where}: loaded again, the domain's {way} gives other values")


def check_bundle(folder: str | Path) -> None:
    """Check every byte of the bundle in `folder`."""
    try:
        problems = open_bundle(folder).verify()
    except AnchorError as error:
        raise ContractError(str(error)) from error
    require(not problems, "; ".join(problems))


def check_modality(modality: Modality, samples: Tensor, side: int | None = None) -> None:
    """Check a modality on a batch of its samples `[B, ...]`, as `collate` returns them.

    `to_network` gives finite float32 `[B, input_channels, H, W]`; flipping twice changes nothing; previews
    are uint8 `[3, H, W]`; samples are what `traits` says; the modality reads the files it writes as such samples;
    `options()` builds the same modality again; none of these calls changes the modality.

    side: side in pixels of the images that the samples belong to; default: the modality's `size`, or the samples' own.
    """
    import torch

    from anchor_hub.modality import build_modality

    name = modality.name
    side = side or modality.size or int(samples.shape[-1])
    before = {key: repr(value) for key, value in vars(modality).items() if not key.startswith("_")}
    undeclared, modality = modality, modality.at(side)
    require(modality.size == side, f"{name}: at({side}) is declared for {modality.size} px")
    _check_traits(modality, samples)
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
    _check_files(modality, samples[0], side)
    after = {key: repr(value) for key, value in vars(undeclared).items() if not key.startswith("_")}
    require(after == before, f"{name}: changes while it is used; threads share a modality, it stays as it was made")


def _check_traits(modality: Modality, samples: Tensor) -> None:
    import torch

    from anchor_hub.modality import Traits

    name, traits, shape = modality.name, modality.traits, tuple(samples.shape[1:])
    require(isinstance(traits, Traits), f"{name}: traits is a {type(traits).__name__}, not anchor_hub.modality.Traits")
    what = f"{name}: samples are {samples.dtype} {list(shape)}"
    if traits.picture:
        fits = samples.dtype == torch.uint8 and len(shape) == 3 and shape[0] == 3
        require(fits, f"{what}; with traits.picture they are uint8 [3, H, W]")
        channels = (modality.input_channels, modality.output_channels)
        require(channels == (3, 3), f"{name}: with traits.picture networks see 3 channels and give 3, not {channels}")
    if traits.classes:
        require(
            not samples.is_floating_point() and len(shape) == 3 and shape[0] == 1,
            f"{what}; with traits.classes they are whole numbers [1, H, W]",
        )
        low, high = int(samples.min()), int(samples.max())
        require(
            0 <= low and high < len(traits.classes) + traits.ignored,
            f"{name}: samples hold ids {low} to {high}; traits.classes has {len(traits.classes)} names, from id 0",
        )
    if traits.points:
        fits = samples.is_floating_point() and shape == (traits.points, 2)
        require(fits, f"{what}; with traits.points they are floating [{traits.points}, 2]")


def _check_files(modality: Modality, sample: Tensor, side: int) -> None:
    """Check that a modality reads the file it writes, if it reads files of that suffix."""
    import tempfile

    suffix = modality.output_suffix
    if suffix not in modality.extensions:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{suffix}"
        try:
            modality.write(sample, path)
            again = modality.read(path, side)
        except (AnchorError, AttributeError) as error:  # AttributeError: it keeps the side that it reads at
            raise ContractError(f"{modality.name}: does not read what it wrote: {error}") from error
    require(
        again.dtype == sample.dtype and again.ndim == sample.ndim,
        f"{modality.name}: wrote a {sample.dtype} {list(sample.shape)} and read a {again.dtype} {list(again.shape)}",
    )


def check_domain(domain: Domain, images: Tensor | None = None) -> None:
    """Check that a domain encodes and decodes as it says, and leaves hub, random state and torch's settings unchanged.

    images: network input `[B, input_channels, H, W]`; default: two random images of the hub's size.
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
    """Check that a recipe trains, resumes and exports: two steps, a save, a load and two more steps give the weights of
    four steps, bit for bit.

    The options refuse unknown names; the bundle opens again; required bundles keep their weights. data: a few samples
    of each data set. options, modalities: as a plan has them. required: kind -> what `build` receives, e.g. a hub.
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


def check_translator(translator: Translator[Any], samples: Tensor) -> None:
    """A translator's outputs have the right shape and depend on their image and style alone, whatever the batch.

    Random styles depend on seed and number alone; what it does not take is refused; options of other names, too.
    samples: a batch of at least two source samples, as its `source_modality` reads them at its `size`.
    """
    from anchor_hub.translation.checking import translator_faults

    for fault in translator_faults(translator, samples):
        raise ContractError(f"backend {type(translator).backend!r}, {type(translator).__name__}: {fault}")


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
