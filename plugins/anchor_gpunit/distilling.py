"""Stage I of GP-UNIT: what a class-conditional hub draws alike in all its classes becomes a content encoder.

Equation 1 of the paper, ``min L_arec + L_srec + L_dis + L_reg``, over pairs of pictures that the hub makes of one
latent, and for the unary losses over real pictures, too. The result is a prior, on which stage II builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from anchor_gpunit.comparing import compared_rows
from anchor_gpunit.distilling_data import MASKS, REAL, RealPictures
from anchor_gpunit.distilling_options import DistillOptions
from anchor_gpunit.losses import (
    appearance_loss,
    class_loss,
    distance_loss,
    norm_loss,
    shape_loss,
    shapes_at,
)
from anchor_gpunit.networks.autoencoder import AutoEncoder
from anchor_gpunit.networks.blocks import folded_weights
from anchor_gpunit.networks.configs import DistillationConfig
from anchor_gpunit.pairs import Pairs, PairSource
from anchor_gpunit.prior import PART, prior_architecture
from anchor_gpunit.shapes import AnchoredShapes, Change, ShapeReader
from anchor_hub.errors import UsageError
from anchor_hub.hubs.base import Hub
from anchor_hub.inversion.perceptual import perceptual_network
from anchor_hub.modality import Modality
from anchor_hub.modality.pictures import from_unit
from anchor_hub.training.base import Batch, Contents, Recipe, RecipeOptions, Samples, TrainingContext, TrainingPlan

#: Pairs on the sample sheet.
SHOWN = 8
READER_RATE = 2e-3


@dataclass(frozen=True)
class Seen:
    """The pictures of a step: real ones, then one picture and then the other of each pair.

    :param images: ``[B, 3, H, W]`` in [-1, 1]. :param labels: ``[B]``. :param shapes: ``[B, 3, H, W]``.
    :param known: which pictures have a shape, ``[B]``. :param pairs: how many pairs there are.
    """

    images: Tensor
    labels: Tensor
    shapes: Tensor
    known: Tensor
    pairs: int


class DistillRecipe(Recipe):
    """Trains the auto-encoder of stage I and exports its content encoder as a prior.

    A step takes ``batch`` real pictures, where there are any, and as many pairs. First, and only where nothing else
    reads the shapes of generated pictures, a reader of shapes learns from the real pictures' masks alone.

    :param hub: a class-conditional hub, never touched.
    :param real: what the real pictures and their masks are. :param given: the data sets of the plan.
    """

    name = "distill"
    kind: ClassVar[str] = "prior"
    Options: ClassVar[type[RecipeOptions]] = DistillOptions
    data: ClassVar[tuple[str, ...]] = (REAL, MASKS)
    optional: ClassVar[tuple[str, ...]] = (REAL, MASKS)
    requires: ClassVar[tuple[str, ...]] = ("hub",)
    only_to_train: ClassVar[tuple[str, ...]] = ("hub",)

    def __init__(self, hub: Hub, real: RealPictures, options: DistillOptions, given: frozenset[str]) -> None:
        if MASKS in given and REAL not in given:
            raise UsageError("masks are of real pictures: give these, too: --data real=FOLDER")
        self.hub, self.real, self.options, self.given = hub.base, real, options, given
        self.size = options.size or hub.size
        self.pairs = PairSource(hub, truncation=options.truncation, kept=options.kept)
        self.anchored = AnchoredShapes.of_hub(hub.base, options.shapes == "parts")
        self.config = self._config(len(hub.classes))

    def _config(self, classes: int) -> DistillationConfig:
        options = self.options
        try:
            return DistillationConfig(
                self.size, options.value("width"), options.content_side, classes, options.value("label_dim"),
                options.noise,
            )  # fmt: skip
        except ValueError as error:
            raise UsageError(f"recipe distill: {error}; choose size=N or content_side=N") from None

    @classmethod
    def build(cls, plan: TrainingPlan, options: Any, required: Mapping[str, Any]) -> DistillRecipe:
        real = RealPictures(plan.modality(REAL), plan.modality(MASKS), options.shapes == "parts")
        return cls(required["hub"], real, options, frozenset(plan.data))

    def modality(self, data: str) -> Modality:
        return self.real.modality(data)

    def images_per_step(self, batch: int | None) -> int:
        return batch or int(self.options.value("batch"))

    def shares(self, batch: int) -> Mapping[str, int]:
        """All of the batch are real pictures; the pairs come on top."""
        return {REAL: batch} if REAL in self.given else {}

    def labels(self, data: str, folder: Any, files: Any) -> tuple[tuple[str, ...], Tensor] | None:
        return self.real.labels(data, folder, files)

    def fitted(self, data: Mapping[str, Samples]) -> DistillRecipe:
        """This recipe, whose networks know the hub's classes and then those of the real pictures that it lacks.

        :raises DataError: masks that are not those of the pictures.
        """
        self.joined = self.real.joined(data, self.hub)
        self.given = frozenset({REAL} & set(data))
        self.config = self._config(len(self.joined.classes))
        return self

    def trained_on(self, data: Mapping[str, Samples]) -> Mapping[str, Samples]:
        return {REAL: self.joined.samples} if self.joined.samples is not None else {}

    def __getstate__(self) -> dict[str, Any]:
        """Without the real pictures, which other processes of a run get from the trainer."""
        state = dict(self.__dict__)
        if "joined" in state:
            state["joined"] = replace(self.joined, samples=None)
        return state

    # -- what learns ---------------------------------------------------------------------------------------------------

    def setup(self, context: TrainingContext) -> None:
        self.context, options = context, self.options
        self.model = context.place(AutoEncoder(self.config)).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.value("learning_rate"), fused=True)
        self.reader: ShapeReader | None = None
        if self._needs_reader():
            self.reader = context.place(ShapeReader(self.joined.drawing.classes)).train()
            self.reader_optimizer = torch.optim.Adam(self.reader.parameters(), lr=READER_RATE, fused=True)
        self.reader_steps = -(-options.reader_images // context.batch) if self.reader is not None else 0
        wants = options.weight("perceptual") > 0
        self.perceptual = perceptual_network(options.perceptual, hub=self.hub) if wants else None
        self.shown = self.pairs.draw(SHOWN, self.anchored.features)

    def _needs_reader(self) -> bool:
        """Whether there are masks to learn from, a use for shapes, and classes that no domain of the hub reads."""
        used = self.options.weight("shape") or self.options.weight("cross_shape")
        return bool(used) and self.joined.masks and len(self.anchored.domains) < len(self.hub.classes)

    # -- one step ------------------------------------------------------------------------------------------------------

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        if index < self.reader_steps:
            return self._reader_step(batches[REAL])
        seen = self._seen(batches)
        with self.context.autocast():
            losses = self._losses(seen)
        total = sum((self.options.weight(term) * value for term, value in losses.items()), start=torch.zeros(()))
        self.context.descend(self.model, self.optimizer, total)
        return {name: value.detach() for name, value in losses.items()}

    def _reader_step(self, batch: Batch) -> Mapping[str, Tensor]:
        """One step of the reader of shapes on real pictures and their masks."""
        assert self.reader is not None
        change = Change(len(batch), self.options.jitter)
        pictures, masks = self.joined.split(batch.images)
        images, ids = self.context.place(change(pictures, self.hub.size)), change(masks, self.hub.size, "nearest")
        with self.context.autocast():
            loss = F.cross_entropy(self.reader(images).float(), ids[:, 0].long())
        self.context.descend(self.reader, self.reader_optimizer, loss)
        return {"reader": loss.detach()}

    def _seen(self, batches: Mapping[str, Batch]) -> Seen:
        """The step's pictures, mirrored and cropped by chance, with their shapes."""
        real = batches.get(REAL)
        count = len(real) if real is not None else self.context.batch // self.context.group.world
        with self.context.autocast():
            pairs = self.pairs.draw(count, self.anchored.features)
        # Both pictures of a pair change alike, so that they still show the same.
        change = Change(count, self.options.jitter)
        parts = [change(torch.cat((pairs.images, self._shapes(pairs)), 1), self.size)]
        labels, known = [pairs.labels], [self._known(pairs)]
        if real is not None:
            images, ids = self.joined.split(real.images)
            drawn = self.joined.drawing(ids) if self.joined.masks else torch.zeros_like(images)
            change = Change(count, self.options.jitter)
            parts.insert(0, change(torch.cat((images, drawn), 1), self.size))
            labels.insert(0, self.joined.own_labels(real))
            known.insert(0, torch.full((count,), self.joined.masks, device=images.device))
        images, shapes = torch.cat(parts).split(3, 1)
        return Seen(self.context.place(images), torch.cat(labels), shapes, torch.cat(known), count)

    def _known(self, pairs: Pairs) -> Tensor:
        if self.reader is not None:
            return torch.ones_like(pairs.labels, dtype=torch.bool)
        readable = torch.tensor(sorted(self.anchored.domains), dtype=torch.long, device=pairs.labels.device)
        return torch.isin(pairs.labels, readable)

    @torch.no_grad()
    def _shapes(self, pairs: Pairs) -> Tensor:
        """The shapes ``[2n, 3, H, W]`` of generated pictures: a domain of the hub reads them, else the reader."""
        shapes, known = self.anchored.read(pairs)
        if self.reader is not None and not bool(known.all()):
            with self.context.autocast():
                ids = self.reader(self.context.place(pairs.images[~known])).argmax(1)
            shapes[~known] = self.joined.drawing(ids)
        return shapes

    def _losses(self, seen: Seen) -> dict[str, Tensor]:
        """The terms of equation 1, without their weights; those of weight 0 are left out where that saves time."""
        options, count = self.options, len(seen.images)
        side = self.config.content_side
        noise = torch.randn(count, 1, side, side).to(seen.images) * options.noise if options.noise else None
        mirrored = float(torch.rand(())) < options.mirror_style
        styled = seen.images.flip(-1) if mirrored else None
        made = self.model(seen.images, seen.labels, pairs=seen.pairs, noise=noise, styled=styled)
        content, images = made.content.float(), made.images.float()
        losses = {"appearance": appearance_loss(images, seen.images)}
        if self.perceptual is not None:
            rows = compared_rows(count, options.value("compared"))
            with torch.no_grad():
                wanted = self.perceptual.describe(seen.images[rows])
            losses["perceptual"] = self.perceptual.distance(images[rows], wanted).mean()
        if bool(seen.known.any()):
            wanted_shapes, known = shapes_at(seen.shapes, 2 * side), seen.known
            losses["shape"] = shape_loss(made.shapes.float()[known], wanted_shapes[known])
            pairs = known[-2 * seen.pairs :]
            if bool(pairs.any()):
                own = wanted_shapes[-2 * seen.pairs :]
                losses["cross_shape"] = shape_loss(made.exchanged.float()[pairs], own[pairs])
        first, second = content[-2 * seen.pairs :].chunk(2)
        losses["content"] = distance_loss(first, second, one_sided=options.distance == "one-sided")
        losses["class"] = class_loss(made.logits.float(), seen.labels)
        losses["norm"] = norm_loss(content, whole_batch=options.norm == "batch")
        return losses

    # -- what the trainer asks for -------------------------------------------------------------------------------------

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Any]:
        """Pairs, their contents and shapes, and each first picture's content in the class and style of the second."""
        self.model.eval()
        try:
            with self.context.autocast():
                return self._sheet()
        finally:
            self.model.train()

    def _sheet(self) -> dict[str, list[Tensor]]:
        images = self.context.place(self.shown.images)
        if self.size != images.shape[-1]:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear", align_corners=False)
        labels, count = self.shown.labels, len(self.shown)
        content, moments = self.model.content.content(images), self.model.style(images)
        swapped = torch.cat((content[:count], content[:count]))
        drawn, shapes = self.model.reconstruct(swapped, moments, labels)
        rows = {
            "first": images[:count],
            "second": images[count:],
            "content of the first": grey(content[:count], self.size),
            "content of the second": grey(content[count:], self.size),
            "shape read": self._shapes(self.shown)[:count],
            "shape": shapes[:count],
            "first again": drawn[:count],
            "content of the first in the style of the second": drawn[count:],
        }
        return {name: list(from_unit(resized(row, self.size)).cpu()) for name, row in rows.items()}

    def state_dict(self) -> dict[str, Any]:
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.reader is not None:
            state["reader"] = self.reader.state_dict()
            state["reader_optimizer"] = self.reader_optimizer.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.reader is not None:
            self.reader.load_state_dict(state["reader"])
            self.reader_optimizer.load_state_dict(state["reader_optimizer"])

    def contents(self) -> Contents:
        """The content encoder, its weights divided by their spectral norms."""
        config = replace(self.config.content, spectral=False)
        weights = folded_weights(self.model.content.state_dict())
        return Contents(prior_architecture(config), {PART: weights}, self._card)

    def _card(self, provenance: Mapping[str, Any]) -> str:
        return (
            f"# {provenance.get('name', 'Content')}\n\nThe content encoder that GP-UNIT's stage I distilled from the "
            f"hub {self.hub.name}: one channel of {self.config.content_side} x {self.config.content_side}, alike for "
            f"what the hub draws of one latent in its {len(self.hub.classes)} classes.\n"
        )


def grey(content: Tensor, side: int) -> Tensor:
    """Contents ``[B, 1, s, s]`` as pictures: each stretched to [-1, 1]."""
    low, high = content.amin((1, 2, 3), True), content.amax((1, 2, 3), True)
    return ((content - low) / (high - low).clamp(min=1e-6) * 2 - 1).expand(-1, 3, -1, -1)


def resized(pictures: Tensor, side: int) -> Tensor:
    """Pictures of that side, pixels repeated."""
    return F.interpolate(pictures.float(), (side, side), mode="nearest-exact")
