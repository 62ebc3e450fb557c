"""Trains a plain CycleGAN between two domains, whose scores stand beside ours in the benchmark.

    python benchmarks/cyclegan.py train --data faces-64 --source seg --target face --max-minutes 10 -o cyclegan
    python benchmarks/cyclegan.py translate cyclegan --samples "$(anchor benchmark samples)" -o outputs/cyclegan
    anchor benchmark run --domains face,seg --also cyclegan=outputs/cyclegan

As published (Zhu et al. 2017): two residual generators, two PatchGAN discriminators on least squares, cycle
consistency of weight 10, a buffer of 50 earlier fakes, Adam at 2e-4 that falls linearly over the second half. There
is no identity loss, because label maps and pictures differ in their channels. The networks are narrower than published
(16 channels instead of 64, 4 blocks instead of 9), for 64 px and two CPU cores. The pictures of the two domains are
drawn independently.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anchor_faces.benchmark.samples import render_modality
from anchor_hub.bundles.base import open_bundle
from anchor_hub.data.image_folder import ImageFolder
from anchor_hub.modality import Modality, build_modality
from anchor_hub.plugins.registry import registry
from anchor_hub.system.precision import resolve_precision
from anchor_hub.training.base import Batch, Contents, Recipe, Samples, TrainingContext
from anchor_hub.training.engine.processes import one_thread
from anchor_hub.training.engine.provenance import licenses, provenance, rendered_data_set
from anchor_hub.training.engine.trainer import Trainer

SIZE, BUFFER = 64, 50


@dataclass(frozen=True)
class CycleOptions:
    """The options. `images`: length of the training in images; the learning rate falls over their second half."""

    width: int = 16
    blocks: int = 4
    learning_rate: float = 2e-4
    cycle_weight: float = 10.0
    images: int = 20_000


def conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, padding_mode="reflect"), nn.InstanceNorm2d(outside), nn.ReLU(True)
    )


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), *list(conv(channels, channels))[:2])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class CycleGenerator(nn.Module):
    """Samples ``[B, in, H, W]`` to ``[B, out, H, W]``: tanh for pictures, a softmax over classes for label maps."""

    def __init__(self, inside: int, outside: int, width: int, blocks: int, labels: bool) -> None:
        super().__init__()
        self.labels = labels
        up = nn.Upsample(scale_factor=2, mode="nearest")
        self.body = nn.Sequential(
            conv(inside, width), conv(width, 2 * width, 2), conv(2 * width, 4 * width, 2),
            *(Residual(4 * width) for _ in range(blocks)),
            up, conv(4 * width, 2 * width), up, conv(2 * width, width),
            nn.Conv2d(width, outside, 3, 1, 1, padding_mode="reflect"),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        output = self.body(x).float()
        # Label maps reach networks as one-hot in [0, 1], pictures in [-1, 1].
        return output.softmax(1) if self.labels else output.tanh()


def patch_discriminator(inside: int, width: int) -> nn.Sequential:
    """A discriminator that gives logits of patches, ``[B, 1, H/8 - 1, W/8 - 1]``."""
    layers: list[nn.Module] = [nn.Conv2d(inside, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for step in (1, 2):
        layers += [
            nn.Conv2d(width * step, 2 * width * step, 4, 2, 1), nn.InstanceNorm2d(2 * width * step),
            nn.LeakyReLU(0.2, True),
        ]  # fmt: skip
    return nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 4, 1, 1))


class CycleRecipe(Recipe):
    """Trains both directions at once. The trainer hands out indices of source samples; target samples are drawn."""

    name = "cyclegan"

    def __init__(self, samples: tuple[Tensor, Tensor], modalities: tuple[Modality, Modality],
                 names: tuple[str, str], options: CycleOptions | None = None) -> None:  # fmt: skip
        self.held, self.modalities, self.names = samples, modalities, names
        self.options = options or CycleOptions()

    @classmethod
    def build(cls, plan: Any, options: Any, required: Any) -> CycleRecipe:
        raise NotImplementedError("a script's recipe, of no plugin: see train()")

    def modality(self, data: str) -> None:
        return None  # samples are indices

    def describe(self) -> dict[str, Any]:
        return {"domains": list(self.names), **asdict(self.options)}

    def setup(self, context: TrainingContext) -> None:
        self.context = context
        forward, backward = generators(self.modalities, self.options)
        width = self.options.width
        critics = [patch_discriminator(modality.input_channels, width) for modality in self.modalities]
        for module in (forward, backward, *critics):
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    nn.init.normal_(parameter, 0.0, 0.02)
        self.forward_, self.backward_ = context.place(forward), context.place(backward)
        self.critics = nn.ModuleList(critics)
        context.place(self.critics)
        settings: dict[str, Any] = {"lr": self.options.learning_rate, "betas": (0.5, 0.999)}
        both = [*forward.parameters(), *backward.parameters()]
        self.optimizer = torch.optim.Adam(both, **settings)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), **settings)
        self.buffers: list[list[Tensor]] = [[], []]

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        batch = batches["own"].images
        partners = torch.randint(len(self.held[1]), (len(batch),))
        real = [self._network_input(side, places) for side, places in ((0, batch.cpu()), (1, partners))]
        part = index * self.context.batch / self.options.images
        for optimizer in (self.optimizer, self.critic_optimizer):
            optimizer.param_groups[0]["lr"] = self.options.learning_rate * min(1.0, max(0.01, 2 - 2 * part))
        self.critics.requires_grad_(False)
        with self.context.autocast():
            fakes = [self.backward_(real[1]), self.forward_(real[0])]  # of the source, of the target
            cycles = [self.backward_(fakes[1]), self.forward_(fakes[0])]
            logits = [critic(fake) for critic, fake in zip(self.critics, fakes, strict=True)]
        adversarial = torch.stack([(item.float() - 1).square().mean() for item in logits]).sum()
        cycle = torch.stack([(a.float() - b).abs().mean() for a, b in zip(cycles, real, strict=True)]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        (adversarial + self.options.cycle_weight * cycle).backward()
        self.context.average_gradients([*self.forward_.parameters(), *self.backward_.parameters()])
        self.optimizer.step()

        self.critics.requires_grad_(True)
        losses = []
        with self.context.autocast():
            for side, critic in enumerate(self.critics):
                earlier = self._earlier(side, fakes[side].detach())
                wrong = critic(earlier).float().square().mean()
                losses.append((critic(real[side]).float() - 1).square().mean() + wrong)
        critics = torch.stack(losses).sum() / 2
        self.critic_optimizer.zero_grad(set_to_none=True)
        critics.backward()
        self.context.average_gradients(self.critics.parameters())
        self.critic_optimizer.step()
        return {"adversarial": adversarial.detach(), "cycle": cycle.detach(), "critics": critics.detach()}

    def _network_input(self, side: int, places: Tensor) -> Tensor:
        samples = self.held[side][places].to(self.context.device)
        return self.context.place(self.modalities[side].to_network(samples))

    def _earlier(self, side: int, fakes: Tensor) -> Tensor:
        """The fakes, half of them exchanged for earlier ones from the buffer, as published."""
        held, chosen = self.buffers[side], []
        for fake in fakes:
            if len(held) < BUFFER:
                held.append(fake)
                chosen.append(fake)
            elif float(torch.rand(())) < 0.5:
                place = int(torch.randint(BUFFER, ()))
                chosen.append(held[place])
                held[place] = fake
            else:
                chosen.append(fake)
        return torch.stack(chosen)

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Sequence[Tensor]]:
        """Rows: inputs and outputs of both directions."""
        rows: dict[str, Sequence[Tensor]] = {}
        for side, network in ((0, self.forward_), (1, self.backward_)):
            inputs = self.held[side][: len(batches["own"])]
            with self.context.autocast():
                output = network(self._network_input(side, torch.arange(len(inputs))))
            found = self.modalities[1 - side].from_network(output.float()).cpu()
            rows[f"in {side}"] = [self.modalities[side].preview(sample) for sample in inputs]
            rows[f"out {side}"] = [self.modalities[1 - side].preview(sample) for sample in found]
        return rows

    def state_dict(self) -> dict[str, Any]:
        return {
            "forward": self.forward_.state_dict(), "backward": self.backward_.state_dict(),
            "critics": self.critics.state_dict(), "optimizer": self.optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(), "buffers": self.buffers,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.forward_.load_state_dict(state["forward"])
        self.backward_.load_state_dict(state["backward"])
        self.critics.load_state_dict(state["critics"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.buffers = state["buffers"]

    def contents(self) -> Contents:
        """Both generators."""
        tensors = {"forward": self.forward_.state_dict(), "backward": self.backward_.state_dict()}
        card = "# cyclegan\n\nA baseline of the benchmark rendered-faces.\n"
        return Contents(self.describe(), tensors, card=card, name="cyclegan")


def generators(modalities: tuple[Modality, Modality], options: CycleOptions) -> list[CycleGenerator]:
    """The generators from source to target, and back."""
    ways = (modalities, modalities[::-1])
    return [
        CycleGenerator(a.input_channels, b.input_channels, options.width, options.blocks, bool(b.traits.classes))
        for a, b in ways
    ]


def modality_of(domain: str) -> Modality:
    return build_modality(dict(registry().domains[domain].spec.modality)).at(SIZE)


def train(arguments: argparse.Namespace) -> None:
    names = (arguments.source, arguments.target)
    modalities = (modality_of(names[0]), modality_of(names[1]))
    samples = []
    for name, modality in zip(names, modalities, strict=True):
        loaded = ImageFolder(arguments.data / name, modality, SIZE, limit=arguments.count).load_all(1)
        assert isinstance(loaded, Tensor)
        samples.append(loaded)
    options = CycleOptions(images=arguments.images)
    recipe = CycleRecipe((samples[0], samples[1]), modalities, names, options)
    trainer = Trainer(
        recipe, {"own": Samples(torch.arange(len(samples[0])))},
        arguments.run_dir or arguments.output.with_name("cyclegan-run"),
        batch=arguments.batch, total_images=arguments.images, max_minutes=arguments.max_minutes, seed=arguments.seed,
        precision=resolve_precision("auto", torch.device("cpu")), options=recipe.describe(), sample_every=250,
    )  # fmt: skip
    with one_thread():  # more stall bfloat16 gradients on CPUs
        result = trainer.run(arguments.resume)
    if result.finished:
        data_set = rendered_data_set(arguments.data / names[0])
        record = provenance(
            "benchmarks/cyclegan.py train", data=arguments.data.name, data_images=len(samples[0]),
            images_seen=result.images, steps=result.steps, minutes=round(result.minutes, 1), batch=arguments.batch,
            seed=arguments.seed, precision=trainer.precision, data_set=data_set, options=asdict(options),
        )  # fmt: skip
        print(recipe.export(arguments.output, record, licenses("Apache-2.0", None, data_set)))


@torch.no_grad()
def translate(arguments: argparse.Namespace) -> None:
    bundle = open_bundle(arguments.bundle, "translator")
    about = dict(bundle.manifest.architecture)
    source, target = about.pop("domains")
    modalities = (modality_of(source), modality_of(target))
    networks = generators(modalities, CycleOptions(**about))
    written = {}
    for part, network, way in (("forward", networks[0], (0, 1)), ("backward", networks[1], (1, 0))):
        network.load_state_dict(bundle.tensors(part, network.state_dict()))
        network.eval()
        names, read, write = (source, target), modalities[way[0]], modalities[way[1]]
        files = ImageFolder(arguments.samples / render_modality(names[way[0]]), read, SIZE, limit=arguments.count)
        folder = arguments.output / f"{names[way[0]]}-to-{names[way[1]]}"
        folder.mkdir(parents=True, exist_ok=True)
        for first in range(0, len(files), arguments.batch):
            paths = files.paths[first : first + arguments.batch]
            inputs = read.to_network(read.collate([read.read(path, SIZE) for path in paths]))
            for path, sample in zip(paths, write.from_network(network(inputs)), strict=True):
                write.write(sample, folder / f"{path.stem}{write.output_suffix}")
        written[folder.name] = len(files)
    print(json.dumps(written))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train", help="train both directions, up to --images or --max-minutes")
    training.add_argument("--data", type=Path, required=True, help="rendered set (anchor data render)")
    training.add_argument("--source", default="seg")
    training.add_argument("--target", default="face")
    training.add_argument("--count", type=int, default=22_000, help="samples of each domain")
    training.add_argument("--images", type=int, default=20_000)
    training.add_argument("--max-minutes", type=float)
    training.add_argument("--batch", type=int, default=4)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--run-dir", type=Path)
    training.add_argument("--resume", action="store_true")
    training.add_argument("-o", "--output", type=Path, required=True, help="folder of the bundle")
    training.set_defaults(call=train)
    translation = commands.add_parser("translate", help="write the network's answers to the benchmark's samples")
    translation.add_argument("bundle", type=Path)
    translation.add_argument("--samples", type=Path, required=True, help="folder that anchor benchmark samples prints")
    translation.add_argument("--count", type=int)
    translation.add_argument("--batch", type=int, default=20)
    translation.add_argument("-o", "--output", type=Path, required=True)
    translation.set_defaults(call=translate)
    arguments = parser.parse_args()
    arguments.call(arguments)


if __name__ == "__main__":
    main()
