"""The recipe `deepi2i`: a translator between many classes, in two phases (section 3.2).

Phase one trains adaptors and discriminator, phase two all but the encoder. A step of either is one discriminator step
and one step of what else learns, on equation 4: the conditional adversarial loss and the reconstruction loss.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from anchor_deepi2i.classes import check_counts, of_targets, read_classes, spread, target_classes
from anchor_deepi2i.critic import Critic
from anchor_deepi2i.losses import RECONSTRUCTIONS, weighted
from anchor_deepi2i.networks import Networks
from anchor_deepi2i.options import ADAM, DeepI2IOptions
from anchor_deepi2i.start import Start
from anchor_hub.bundles.tensorfile import halved
from anchor_hub.domains.base import modality_options
from anchor_hub.errors import DataError, UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.modality import Modality
from anchor_hub.networks.biggan_layers import BatchNorm, standing_statistics
from anchor_hub.training.base import OWN, Batch, Contents, Recipe, RecipeOptions, Samples, TrainingContext, TrainingPlan
from anchor_hub.training.engine.average import WeightAverage, average_decay
from anchor_hub.training.engine.randomness import mix_seed
from anchor_hub.training.generators.gan_recipe import training_card

if TYPE_CHECKING:
    from anchor_hub.data.image_folder import ImageFolder

BACKEND = "deepi2i"
#: The two streams that a step reads: any images to translate, and real images of the target classes.
SOURCE, TARGET = "source", "target"
#: Batch over both streams: 32 of each, as published, is more than a CPU likes.
BATCH = 32
#: Sources and target classes of a sample sheet.
SHOWN = 8
#: Batches for the batch norms' statistics of a sample sheet, and of the bundle.
SHOWN_BATCHES, STANDING_BATCHES, STANDING_BATCH = 4, 64, 32


class Fakes(NamedTuple):
    """Translations ``[B, 3, S, S]`` and the classes they are to show, ``[B]``."""

    images: Tensor
    labels: Tensor


class DeepI2IRecipe(Recipe):
    """Trains encoder-fed adaptors and a generator against a discriminator that knows classes.

    :param start: the networks to start from. :param modality: RGB pictures, of the hub's size.
    :param wanted: the classes to translate to; default: all of the data's.
    """

    name = "deepi2i"
    kind: ClassVar[str] = "translator"
    Options: ClassVar[type[RecipeOptions]] = DeepI2IOptions
    requires: ClassVar[tuple[str, ...]] = ("hub",)
    only_to_train: ClassVar[tuple[str, ...]] = ("hub",)
    own_ends: ClassVar[bool] = True

    def __init__(
        self, name: str, start: Start, modality: Modality, options: DeepI2IOptions, wanted: tuple[str, ...] = ()
    ) -> None:
        self.translator, self.start, self.options, self.wanted = name, start, options, wanted
        self._modality, self.size = modality.at(start.hub.size), start.hub.size
        self.classes: tuple[str, ...] = ()
        self.targets: tuple[str, ...] = ()
        #: Default number of images of a step.
        self.batch = BATCH

    @classmethod
    def build(cls, plan: TrainingPlan, options: Any, required: Mapping[str, Any]) -> DeepI2IRecipe:
        hub: Hub = required["hub"]
        modality = plan.modality(OWN)
        if not modality.traits.picture:
            raise UsageError(f"recipe deepi2i translates colour pictures, not {modality.name}: leave --modality out")
        return cls(plan.name, Start.of(hub, options), modality, options, plan.targets)

    def modality(self, data: str = OWN) -> Modality:
        return self._modality

    def images_per_step(self, batch: int | None) -> int:
        return batch or self.batch

    def shares(self, batch: int) -> Mapping[str, int]:
        unit = 8 if self.start.family == "stylegan2" else 2
        if batch % unit:
            raise UsageError(f"--batch {batch}: half are sources and half real images; choose a multiple of {unit}")
        return {SOURCE: batch // 2, TARGET: batch // 2}

    # -- the data ------------------------------------------------------------------------------------------------------

    def labels(self, data: str, folder: str | Path, files: ImageFolder) -> tuple[tuple[str, ...], Tensor]:
        return read_classes(folder, files, self.options.class_column)

    def fitted(self, data: Mapping[str, Samples]) -> DeepI2IRecipe:
        """This recipe, for the classes that the data has. :raises DataError, UsageError: classes that do not do."""
        held = data[OWN]
        if held.labels is None:
            raise DataError("recipe deepi2i needs a folder of images per class")
        self.classes = held.classes or tuple(map(str, range(int(held.labels.max()) + 1)))
        check_counts(self.classes, held.labels)
        chosen = target_classes(self.wanted, self.classes)
        self.targets = tuple(self.classes[index] for index in chosen)
        if len(self.targets) > 1 and not self.start.kind.conditional:
            raise UsageError(
                f"hub {self.start.hub.name!r} knows no classes, so it translates to one: name it, "
                f"--to {self.classes[0]}"
            )
        self.sources, self.reals = held, of_targets(held, chosen)
        return self

    def trained_on(self, data: Mapping[str, Samples]) -> Mapping[str, Samples]:
        """Two streams: all images as sources, and those of the target classes."""
        return {SOURCE: self.sources, TARGET: self.reals}

    def describe(self) -> dict[str, Any]:
        """The settings that a resumed run must share, as plain JSON values."""
        return {
            "translator": self.translator, "hub": self.start.hub.fingerprint, "classes": list(self.classes),
            "targets": list(self.targets), **self.options.to_dict(),
        }  # fmt: skip

    # -- networks ------------------------------------------------------------------------------------------------------

    def setup(self, context: TrainingContext) -> None:
        self.context, options = context, self.options
        networks = self.start.networks(self.targets)
        self.frozen = not options.learns_encoder
        if self.frozen:  # it learns no more: what training would compute in every step is folded
            networks.fold(networks.encoder.requires_grad_(False))
        self.networks: Networks = context.place(networks)
        self._train_mode(self.networks)
        self.critic = Critic(context.place(self.start.discriminator(self.targets)), context, options, self.start.family)
        self.average = WeightAverage(self.networks)
        if self.frozen:
            self.average.module.encoder = self.networks.encoder
        generator_rate, adaptor_rate, _ = options.rates(self.start.family)
        learning = [self.networks.adaptors] if self.frozen else [self.networks.adaptors, self.networks.encoder]
        self.adaptors = nn.ModuleList(learning)
        self.adaptor_optimizer = self._adam(self.adaptors, adaptor_rate)
        self.generator_optimizer = self._adam(self.networks.generator, generator_rate)
        self.alpha = options.alpha_weights(tuple(self.networks.fusion))
        self.shown_z = torch.randn(1, *self.networks.code_shape)

    def _adam(self, module: nn.Module, rate: float) -> torch.optim.Adam:
        return torch.optim.Adam(module.parameters(), lr=rate, fused=True, **ADAM[self.start.family])

    def _train_mode(self, networks: Networks) -> None:
        networks.train()
        networks.encoder.train(not self.frozen)

    # -- one step ------------------------------------------------------------------------------------------------------

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        source, real = (
            self.context.place(self._modality.to_network(batches[name].images)) for name in (SOURCE, TARGET)
        )
        labels = batches[TARGET].labels
        assert labels is not None
        second = index * self.context.batch >= self.options.phase
        self.networks.generator.requires_grad_(second)
        features = self._features(source)
        shared = not self.options.fresh_fakes
        with torch.set_grad_enabled(shared):
            fakes = self._fakes(features)
        losses = self.critic.learn(real, labels, fakes.images.detach(), fakes.labels, index)
        if not shared:
            fakes = self._fakes(features)
        losses |= self._generator_step(fakes, source, second)
        images = (index + 1) * self.context.batch
        self.average.update(self.networks, average_decay(self.context.batch, images, self.options.average_half_life))
        return losses

    def _features(self, source: Tensor) -> dict[int, Tensor]:
        """The encoder's maps, once a step."""
        with torch.set_grad_enabled(not self.frozen), self.context.autocast():
            return self.networks.features(source)

    def _fakes(self, features: Mapping[int, Tensor]) -> Fakes:
        """Translations into random target classes, with fresh z."""
        count, device = len(next(iter(features.values()))), self.context.device
        z = torch.randn(count, *self.networks.code_shape).to(device)
        labels = torch.randint(len(self.targets), (count,)).to(device)
        with self.context.autocast():
            images = self.networks.generate(self.networks.styles(z), labels, self.networks.adapt(features))
        return Fakes(images.float(), labels)

    def _generator_step(self, fakes: Fakes, source: Tensor, second: bool) -> dict[str, float | Tensor]:
        """A step of all that learns but the discriminator, down equation 4."""
        options = self.options
        adversarial, made, read = self.critic.judge(fakes.images, fakes.labels, source, tuple(self.alpha))
        reconstruction = weighted(RECONSTRUCTIONS[options.reconstruction](made, read), self.alpha)
        total = options.adversarial_weight * adversarial + options.reconstruction_weight * reconstruction
        moving = [(self.adaptors, self.adaptor_optimizer)]
        if second:
            moving.append((self.networks.generator, self.generator_optimizer))
        for _, optimizer in moving:
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        for module, optimizer in moving:
            self.context.average_gradients(module.parameters())
            optimizer.step()
        return {"adversarial": adversarial.detach(), "reconstruction": reconstruction.detach()}

    # -- what the trainer asks for -------------------------------------------------------------------------------------

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        """A row per source image: the image, then its translations into up to eight classes with one z."""
        networks = self._settled(SHOWN_BATCHES)
        chosen = spread(self.sources, SHOWN)
        given = self._modality.collate([self.sources.rows[index] for index in chosen])
        source = self._modality.to_network(given).to(self.context.device)
        classes = range(0, len(self.targets), -(-len(self.targets) // SHOWN))
        z = self.shown_z.to(self.context.device).expand(len(chosen), *networks.code_shape)
        columns = []
        with self.context.autocast():
            added, style = networks.adapt(networks.features(source)), networks.styles(z)
            for index in classes:
                labels = torch.full((len(chosen),), index, device=self.context.device)
                columns.append(self._modality.from_network(networks.generate(style, labels, added).float()).cpu())
        assert self.sources.labels is not None
        names = [self.classes[int(self.sources.labels[index])] for index in chosen]
        shown = given.cpu()
        return {
            f"{number}-{name}": [shown[number], *(column[number] for column in columns)]
            for number, name in enumerate(names)
        }

    def _settled(self, batches: int) -> Networks:
        """A copy of the averaged networks, its batch norms' statistics measured on sources and random classes."""
        networks = copy.deepcopy(self.average.module)
        if any(isinstance(module, BatchNorm) for module in networks.modules()):
            self._measure(networks, batches)
        return networks.eval()

    def _measure(self, networks: Networks, batches: int) -> None:
        def draws() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
            stream = torch.Generator().manual_seed(mix_seed(self.context.seed, "standing"))
            device, count = self.context.device, len(self.sources)
            for _ in range(batches):
                chosen = torch.randint(count, (STANDING_BATCH,), generator=stream).tolist()
                images = self._modality.to_network(self._modality.collate([self.sources.rows[i] for i in chosen]))
                z = torch.randn(STANDING_BATCH, *networks.code_shape, generator=stream)
                labels = torch.randint(len(self.targets), (STANDING_BATCH,), generator=stream)
                yield images.to(device), z.to(device), labels.to(device)

        standing_statistics(networks, draws())

    def state_dict(self) -> dict[str, Any]:
        networks, average = ({k: v for k, v in module.state_dict().items() if not self._is_frozen(k)}
                             for module in (self.networks, self.average.module))  # fmt: skip
        return {
            "networks": networks,
            "average": average,
            "adaptor_optimizer": self.adaptor_optimizer.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "shown": self.shown_z,
            **self.critic.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for module, values in ((self.networks, state["networks"]), (self.average.module, state["average"])):
            missing, unknown = module.load_state_dict(values, strict=False)
            if unknown or not all(self._is_frozen(name) for name in missing):
                raise KeyError((unknown or missing)[0])
        self.adaptor_optimizer.load_state_dict(state["adaptor_optimizer"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.shown_z = state["shown"]
        self.critic.load_state_dict(state)

    def _is_frozen(self, name: str) -> bool:
        """Whether a weight stays as it started, and needs no place in checkpoints."""
        return self.frozen and name.startswith("encoder.")

    def contents(self) -> Contents:
        """The averaged networks as they translate: everything folded."""
        networks = self._settled(STANDING_BATCHES).freeze()
        parts = {name: halved(values) if self.options.half else values for name, values in networks.parts().items()}
        others = [name for name in self.classes if name not in self.targets]
        side = {"modality": modality_options(self._modality)}
        source = {"name": others[0], **side} if len(self.targets) == 1 and len(others) == 1 else None
        return Contents(
            {"name": BACKEND, **networks.describe()}, parts, card=self._card, name=self.translator, source=source,
            targets=tuple({"name": name, **side} for name in self.targets),
        )  # fmt: skip

    def record(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        names = (
            "data samples images_seen steps minutes seed precision device processes batch mirror count where data_set"
        )
        hub = {"name": self.start.hub.name, "fingerprint": self.start.hub.fingerprint}
        return self.chosen(facts, names, hub=hub, classes=len(self.targets), options=self.options.to_dict())

    def _card(self, provenance: Mapping[str, Any]) -> str:
        introduction = (
            f"DeepI2I: translates pictures of {self.size} px into {len(self.targets)} "
            f"class{'es' if len(self.targets) > 1 else ''}, transferred from the hub {self.start.hub.name}.\n\n"
            f"Classes: {', '.join(self.targets)}."
        )
        return training_card(self.translator, introduction, provenance)
