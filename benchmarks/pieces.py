"""The pieces of work that rows measure: what users run, and plain formulations of the same.

Ours go through the library's public entrances (load_hub, TranslationRequest, recipes), so that whatever makes those
faster shows here. Each function takes the folder that the rows of a run share, and gives a :class:`Piece`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import plain, plain_domains
from benchmarks.machine import native_precision
from benchmarks.measuring import Piece

FACES = "faces-64"
#: W+ latents of a batch, by size: as much as fits the time of a benchmark.
BATCH = {64: 16, 256: 2, 1024: 1}
#: Images of a plain training step, whose time per image hardly depends on the batch; R1 on 16 takes half a minute.
PLAIN_BATCH = 4
#: What a command does at its end: it writes down what the system says of its memory.
REPORT = """
import atexit, os
if os.path.exists("/proc/self/status"):
    atexit.register(lambda: open({file!r}, "w").write(open("/proc/self/status").read()))
"""


# -- hubs --------------------------------------------------------------------------------------------------------------


def hub_name(size: int, cache: Path) -> str | Path:
    """The bundled hub of 64 px; of other sizes, one of the published channels with random weights, made once."""
    if size == 64:
        return FACES
    from anchor_hub.hubs.base import Hub
    from anchor_hub.networks.stylegan2 import Generator, StyleGAN2Config

    folder = cache / f"hub-{size}"
    if not folder.is_dir():
        torch.manual_seed(size)
        Hub.from_generator(Generator(StyleGAN2Config(size)), f"random-{size}", samples=1024).save(folder)
    return folder


def plain_hub(hub: Any) -> Any:
    """The hub with the plain generator, of the same weights."""
    from anchor_hub.hubs.base import Hub
    from anchor_hub.hubs.stylegan2 import StyleGAN2Hub

    class PlainHub(StyleGAN2Hub):
        def map(self, z: Tensor) -> Tensor:
            return self.generator.mapping(z)

        def run(self, latents: Tensor, features: Any, image: bool, noise: Any) -> Any:
            return self.generator.synthesis(latents, noise=noise, features=features, image=image)

        run_learning = Hub.run_learning  # computes every gradient

    generator = plain.Generator(hub.config)
    generator.load_state_dict(hub.generator.state_dict())
    for parameter in generator.parameters():
        parameter.data = parameter.data.contiguous()
    statistics = hub.mean_latent, hub.covariance
    return PlainHub(generator, *statistics, name=hub.name, fingerprint=hub.fingerprint)


def _hub(size: int, cache: Path, as_plain: bool) -> Any:
    from anchor_hub.hubs.loading import forget_hubs, load_hub

    hub = load_hub(hub_name(size, cache), "cpu")
    if as_plain:
        hub = plain_hub(hub)
        forget_hubs()
    return hub


def drawing(size: int, as_plain: bool = False) -> Callable[[Path], Piece]:
    """A hub's pictures of latents."""

    def build(cache: Path) -> Piece:
        hub = _hub(size, cache, as_plain)
        latents = hub.expand(hub.sample(BATCH[size], seed=0)).clone()

        @torch.no_grad()
        def call() -> Tensor:
            return hub.image(latents)

        return Piece([(1, call)], BATCH[size], "fp32", output=call, note=f"batch {BATCH[size]}")

    return build


def loading(as_plain: bool = False) -> Callable[[Path], Piece]:
    """A hub of 1024 px from its bundle; plain: tensors read, a network built, tensors copied."""

    def build(cache: Path) -> Piece:
        from anchor_hub.hubs.loading import forget_hubs, load_hub
        from anchor_hub.networks.stylegan2 import StyleGAN2Config

        folder = Path(hub_name(1024, cache))
        file = folder / "generator.safetensors"

        def ours() -> None:
            forget_hubs()
            load_hub(folder, "cpu")

        def other() -> None:
            from safetensors.torch import load_file

            plain.Generator(StyleGAN2Config(1024)).load_state_dict(load_file(file))

        return Piece([(1, other if as_plain else ours)], note=f"file of {file.stat().st_size / 1e6:.0f} MB")

    return build


def importing(cache: Path) -> Piece:
    """A published checkpoint of 256 px made a hub: `anchor hubs import`."""
    from anchor_hub.checkpoints.importing import import_hub
    from anchor_hub.checkpoints.stylegan2_rosinality import to_theirs

    file = cache / "published.pt"
    if not file.is_file():
        hub = _hub(256, cache, False)
        torch.save({"g_ema": to_theirs(hub.generator.state_dict(), hub.config)}, file)
        del hub
        from anchor_hub.hubs.loading import forget_hubs

        forget_hubs()

    def call() -> None:
        shutil.rmtree(cache / "imported", ignore_errors=True)
        import_hub(file, "imported", output=cache / "imported")

    return Piece([(1, call)], note=f"file of {file.stat().st_size / 1e6:.0f} MB")


# -- domains -----------------------------------------------------------------------------------------------------------


def samples(domain: str, modality: Any, size: int, count: int = 16) -> Tensor:
    """Bundled samples of a domain as its modality collates them, repeated up to ``count``."""
    import anchor_faces

    files = sorted((Path(anchor_faces.__file__).parent / "samples" / domain).iterdir())
    read = [modality.read(file, size) for file in files]
    return modality.collate([read[index % len(read)] for index in range(count)])


class PlainDomain:
    """An anchored domain of the plain networks on a plain hub: ``z = E(x)``, ``x = R(f(z))``, and its corrections.

    :param domain: the library's domain, for weights and sizes.
    """

    def __init__(self, domain: Any, hub: Any) -> None:
        self.modality, self.hub, self.layers = domain.modality, hub, domain.structure_layers
        self.encoder = plain_domains.Encoder(domain.encoder).requires_grad_(False)
        self.corrections = domain.corrections
        own = not isinstance(domain.regressor, torch.nn.Module)
        reader = None if own else plain_domains.MapReader(domain.regressor, hub.feature_channels)
        self.regressor = None if reader is None else reader.requires_grad_(False)

    def codes(self, images: Tensor) -> Tensor:
        mean = self.hub.mean_latent.expand(len(images), self.hub.num_latents, -1)
        layer = torch.arange(self.hub.num_latents)[:, None]
        return torch.where(layer < self.layers, mean + self.encoder(images), mean)

    def encode(self, images: Tensor) -> Tensor:
        codes = latents = self.codes(images)
        for _ in range(self.corrections):
            again = self.codes(self.modality.as_input(self.decode(latents)).clamp(-1, 1))
            latents = latents + 0.6 * (codes - again)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        if self.regressor is None:
            return self.hub.generator.synthesis(latents).image
        found = self.hub.generator.synthesis(latents, features=self.regressor.resolutions, image=False)
        return self.regressor(found.features)


def encoding(name: str, as_plain: bool = False) -> Callable[[Path], Piece]:
    """A domain's encoder alone, without corrections."""

    def build(cache: Path) -> Piece:
        from anchor_hub.domains.loading import load_domain

        domain: Any = load_domain(name, device="cpu")
        images = domain.modality.to_network(samples(name, domain.modality, domain.hub.size))
        if as_plain:
            domain = PlainDomain(domain, plain_hub(domain.hub))

        @torch.no_grad()
        def call() -> Tensor:
            return domain.codes(images)

        return Piece([(1, call)], len(images), "fp32", output=call, note=f"batch {len(images)}")

    return build


def published_encoding(as_plain: bool = False) -> Callable[[Path], Piece]:
    """The pSp encoder of 256 px with random weights and statistics."""

    def build(cache: Path) -> Piece:
        from anchor_hub.networks.encoders import build_encoder

        torch.manual_seed(5)
        network: Any = build_encoder("psp", in_channels=3, num_latents=14, latent_dim=512).eval().requires_grad_(False)
        images = torch.rand(1, 3, 256, 256) * 2 - 1
        if as_plain:
            network = plain_domains.PublishedEncoder(network)

        @torch.no_grad()
        def call() -> Tensor:
            return network(images)

        return Piece([(1, call)], 1, "fp32", output=call, note="batch 1")

    return build


def translating(source: str, target: str, as_plain: bool = False, **options: Any) -> Callable[[Path], Piece]:
    """A batch through a session, from samples to samples; ``options`` are the request's."""

    def build(cache: Path) -> Piece:
        from anchor_hub.domains.loading import clear_cache, load_domain
        from anchor_hub.translation.request import TranslationRequest

        if not as_plain:
            session = TranslationRequest(source=source, target=target, **options).open("cpu")
            between, read = session.translator, session.source_modality
            given = samples(source, read, session.size)

            def raw() -> Tensor:
                return between.decode(between.encode(read.to_network(given)))

            note = f"batch {len(given)}"
            return Piece([(1, lambda: session(given, range(len(given))))], len(given), "fp32", output=raw, note=note)
        ends: list[Any] = [load_domain(name, device="cpu") for name in (source, target)]
        hub = plain_hub(ends[0].hub)
        start, end = (PlainDomain(domain, hub) for domain in ends)
        clear_cache()
        read, write = start.modality, end.modality
        given = samples(source, read, hub.size)

        @torch.no_grad()
        def call() -> Tensor:
            return end.decode(start.encode(read.to_network(given)))

        return Piece([(1, lambda: write.from_network(call()))], len(given), "fp32", output=call)

    return build


# -- training steps ----------------------------------------------------------------------------------------------------


def _context(cache: Path, batch: int, modality: Any, as_plain: bool) -> Any:
    from anchor_hub.training.base import TrainingContext

    device = torch.device("cpu")
    precision = "fp32" if as_plain else native_precision()
    return TrainingContext(device, precision, 0, batch, cache, modality, not as_plain)


def _step(recipe: Any, images: Tensor, index: int) -> Callable[[], None]:
    from anchor_hub.training.base import OWN, Batch

    def call() -> None:
        torch.manual_seed(index)
        recipe.step({OWN: Batch(images)}, index)

    return call


def _anchor_recipe(name: str) -> tuple[Any, Any]:
    from anchor_hub.hubs.loading import load_hub
    from anchor_hub.training.anchoring.add_domain import plan_domain
    from anchor_hub.training.base import OWN, TrainingPlan
    from anchor_hub.training.engine.orchestration import find_recipe

    plan = plan_domain(name)
    kind = find_recipe(plan.method, "domain")[1]
    asked = TrainingPlan(
        name, plan.method, {OWN: str(plan.dataset)}, {"hub": plan.hub}, plan.options, {OWN: plan.modality},
        batch=plan.batch, images=plan.images,
    )  # fmt: skip
    torch.manual_seed(0)
    options = kind.Options.read(plan.options, name)
    return kind.build(asked, options, {"hub": load_hub(plan.hub, "cpu")}), plan


def adding(name: str, as_plain: bool = False) -> Callable[[Path], Piece]:
    """A step of `anchor add-domain`, R1 in every eighth; plain: the same recipe over the plain networks in float32."""

    def build(cache: Path) -> Piece:
        recipe, plan = _anchor_recipe(name)
        images = samples(name, recipe.modality("own"), recipe.size, plan.batch)
        if as_plain:
            from anchor_hub.domains.anchored import AnchoredDomain

            old = recipe.domain
            hub = plain_hub(old.hub)
            encoder = plain_domains.Encoder(old.encoder)
            reader = plain_domains.MapReader(old.regressor, hub.feature_channels)
            domain = AnchoredDomain(
                name, old.modality, hub, encoder=encoder, regressor=reader, structure_layers=old.structure_layers
            )
            recipe = type(recipe)(domain, recipe.options, plan.images)
        context = _context(cache, plan.batch, recipe.modality("own"), as_plain)
        torch.manual_seed(0)
        recipe.setup(context)
        domain = recipe.domain
        inputs = domain.modality.to_network(images)
        middle = 800 * 8 // 10  # a step of the middle of the run, where every term counts; a multiple of eight

        def output() -> Tensor:
            return domain.decode(domain.codes(inputs)).float()

        seen = images[:PLAIN_BATCH] if as_plain else images
        parts = [(1 / 8, _step(recipe, seen, middle)), (7 / 8, _step(recipe, seen, middle + 1))]
        note = f"batch {plan.batch}, {context.precision}"
        return Piece(parts, len(seen), context.precision, True, output, note)

    return build


def hub_step(as_plain: bool = False) -> Callable[[Path], Piece]:
    """A step of `anchor hubs train` with every default, R1 in every sixteenth; plain: the paper's step in float32."""

    def build(cache: Path) -> Piece:
        from anchor_hub.training.base import TrainingPlan
        from anchor_hub.training.engine.orchestration import find_recipe

        kind: Any = find_recipe("stylegan2", "hub")[1]
        recipe = kind.build(TrainingPlan("hub", "stylegan2", images=100_000), kind.Options(), {})
        batch = recipe.images_per_step(None)
        modality = recipe.modality("own").at(recipe.size)
        images = samples("face", modality, recipe.size, batch)
        context = _context(cache, batch, modality, as_plain)
        torch.manual_seed(0)
        recipe.setup(context)
        generator, critic, real = recipe.generator, recipe.discriminator, modality.to_network(images)
        if as_plain:
            found = plain.Generator(recipe.config), plain.Discriminator(critic.config)
            for network, like in zip(found, (generator, critic), strict=True):
                network.load_state_dict(like.state_dict())
            generator, critic = found
        latents = torch.randn(4, recipe.config.code_dim, generator=torch.Generator().manual_seed(1))

        def output() -> Tensor:
            w = generator.mapping(latents)[:, None].expand(-1, recipe.config.num_latents, -1)
            pictures = generator.synthesis(w, noise="none").image
            return torch.cat([pictures.flatten(), critic(real).flatten(), critic(pictures).flatten()])

        first = 16 * 1000
        if as_plain:
            options = recipe.options
            step = plain.HubStep(generator, critic, options.r1_gamma, options.learning_rate, options.style_mixing)
            seen = real[:PLAIN_BATCH]
            parts: list[Any] = [(1 / 16, lambda: step(seen, True)), (15 / 16, lambda: step(seen, False))]
        else:
            parts = [(1 / 16, _step(recipe, images, first)), (15 / 16, _step(recipe, images, first + 1))]
        note = f"batch {batch}, {context.precision}"
        return Piece(parts, PLAIN_BATCH if as_plain else batch, context.precision, True, output, note)

    return build


# -- what computes no networks -----------------------------------------------------------------------------------------


def rendering(cache: Path) -> Piece:
    """Samples with the four pictures that `anchor data render` makes by default, on one core."""
    from anchor_faces.rendering import render
    from benchmarks.render import SETS

    chosen, count = SETS["face, seg, sketch, landmark"], 8
    return Piece([(1, lambda: render(0, range(count), 64, chosen))], count, note=f"64 px, {count} at a time")


def commands(which: str, as_plain: bool = False) -> Callable[[Path], Piece]:
    """A command of :mod:`benchmarks.startup`, or an import, as a whole process; plain: its yardstick."""

    def build(cache: Path) -> Piece:
        from benchmarks import startup

        folder = cache / f"{which}-{'plain' if as_plain else 'ours'}-{os.getpid()}"
        if which == "start":
            site = startup.install_plugins(folder / "site", startup.PLUGINS)
            path = os.pathsep.join([str(site), os.environ["PYTHONPATH"]])
            home = str(startup.fill_home(folder / "home", 0))
            ours = startup.Command(startup.ANCHOR, "--help", PYTHONPATH=path, ANCHOR_HOME=home)
            other = startup.Command(startup.IMPORT, PYTHONPATH=path)
        elif which == "listing":
            homes = [str(startup.fill_home(folder / str(n), n)) for n in (startup.MANY, startup.FEW)]
            ours, other = (startup.Command(startup.ANCHOR, "domains", "list", ANCHOR_HOME=home) for home in homes)
        else:
            ours = startup.Command("from anchor_hub import translate")
            other = startup.Command("import torch")
        command = other if as_plain else ours
        command.output()
        # The system counts the memory of this process as the command's, so the command itself says what it held.
        held = folder / "held"
        held.parent.mkdir(parents=True, exist_ok=True)
        command.call[2] = REPORT.format(file=str(held)) + command.call[2]
        return Piece([(1, lambda: _process(command, held))])

    return build


def _process(command: Any, held: Path) -> Mapping[str, float]:
    """Seconds of a command in a process of its own, and the peak memory that it leaves in a file."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command.call, env=command.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command.call[1:])} fails")
    wall = time.perf_counter() - began
    lines = held.read_text().splitlines() if held.is_file() else []
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    memory = kilobytes[0] * 1024 / 1e6 if kilobytes else 0.0
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "memory": memory}
