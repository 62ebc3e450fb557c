"""The recipe that trains the judges with full supervision on renders.

The samples that the trainer hands out are indices of the renders, which this recipe holds in memory with their
labels, landmarks and factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_faces.benchmark.factor_groups import FLAG, STYLE
from anchor_faces.benchmark.judge_errors import judge_errors
from anchor_faces.benchmark.judge_kinds import FACES, JudgeKind, judge_kind
from anchor_faces.benchmark.judge_network import SIZE, JudgeNetwork
from anchor_faces.benchmark.judges import LARGEST_WIDTH, Judges, judge_contents
from anchor_faces.benchmark.readers import Reader, fit_readers
from anchor_faces.benchmark.renders import Renders, joined, load_renders
from anchor_faces.rendering import CLASS_COLOURS
from anchor_hub.errors import DataError, UsageError
from anchor_hub.training.base import OWN, Batch, Contents, Recipe, RecipeOptions, Samples, TrainingContext, TrainingPlan

READ = 8000  # number of samples that the readers are fitted to: a linear map needs no more


class JudgeOptions(RecipeOptions):
    """The constants of the judges' training.

    Attributes:
        images: samples of the whole training, over which the learning rate falls to zero along a cosine.
        learning_rate, weight_decay: of AdamW; the rate rises over the first 4 % of the images.
        label_weight, point_weight, factor_weight: of the three losses (cross-entropy; mean distance in pixels; mean of
            squared errors in deviations and cross-entropies).
        augment: whether to blur pictures, add noise and shift colours, so that the judges also read networks' pictures.
    """

    images: int = 28_000
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    label_weight: float = 1.0
    point_weight: float = 0.1
    factor_weight: float = 0.5
    augment: bool = True

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in JudgeOptions.model_fields}


class JudgeChoices(JudgeOptions):
    """The options of training, with what the judges read, the size of the network and of the data.

    :param reads: the kind of judges: faces, creatures (toons and cats) or cars.
    :param width: channels at 32 px.
    :param count: number of samples in the data set, including the held-out ones.
    :param held_out: number of samples, the last ones, that measure the judges' own error and are not trained on.
    """

    reads: str = FACES.name
    width: int = 32
    count: int = FACES.count
    held_out: int = FACES.held_out


class JudgeRecipe(Recipe):
    """Trains a :class:`JudgeNetwork` on renders of 64 px; ``None``: on the renders of the plan.

    Judges that read several kinds of pictures see as many of each.
    """

    name = "face-judges"
    kind: ClassVar[str] = "judges"
    Options: ClassVar[type[RecipeOptions]] = JudgeChoices
    # More threads stall bfloat16 gradients on CPUs; the network is too small for several processes.
    one_thread: ClassVar[bool] = True
    size = SIZE

    def __init__(
        self, renders: Renders | None, options: JudgeOptions | None = None, *, width: int = 32,
        reads: JudgeKind = FACES,
    ) -> None:  # fmt: skip
        self.options, self.width, self.reads = options or JudgeOptions(), width, reads
        self._chosen, self._folder, self._workers = JudgeChoices(), Path(), 1
        self._all: list[Renders] = []  # one for each kind of picture
        self.readers: Mapping[str, Reader] = {}
        if renders is not None:
            self.renders = renders

    @classmethod
    def build(cls, plan: TrainingPlan, options: JudgeChoices, required: Mapping[str, Any]) -> JudgeRecipe:
        if not 1 <= options.held_out < options.count:
            raise UsageError(f"--held-out {options.held_out}: must be at least 1 and below --count {options.count}")
        if not 0 < options.learning_rate <= 1:
            raise UsageError(f"--learning-rate {options.learning_rate}: must be above 0 and at most 1, e.g. 0.003")
        if not 1 <= options.width <= LARGEST_WIDTH:
            raise UsageError(f"--width {options.width}: must be 1 to {LARGEST_WIDTH}, or nothing loads the bundle")
        recipe = cls(None, options, width=options.width, reads=judge_kind(options.reads))
        recipe._chosen = options
        return recipe

    def modality(self, data: str = OWN) -> None:
        """None: samples are indices of the renders."""
        return None

    def images_per_step(self, batch: int | None) -> int:
        return batch or 32

    def read(self, data: str, folder: str | Path, *, workers: int, progress: Any = None) -> Samples:
        """All renders but the held-out ones. :raises DataError: too few."""
        self._folder, self._workers = Path(folder), workers
        count, held_out = self._chosen.count, self._chosen.held_out
        self._all = [load_renders(folder, count, workers=workers, picture=name) for name in self.reads.pictures]
        found = min(len(renders) for renders in self._all)
        if found - held_out < 1:
            raise DataError(f"{folder}: holds {found} samples, of which {held_out} are held out; give more")
        self.renders = joined([renders.part(0, len(renders) - held_out) for renders in self._all])
        return Samples(torch.arange(len(self.renders)))

    def describe(self) -> dict[str, Any]:
        """The settings that a resumed run must share, as plain JSON values."""
        return {"reads": self.reads.name, "width": self.width, **self.options.to_dict()}

    def setup(self, context: TrainingContext) -> None:
        self.context = context
        classes = len(self.reads.classes)
        network = JudgeNetwork(self.width, self.renders.judged, classes, self.reads.points)
        factors = self.renders.factors
        for place, factor in enumerate(network.judged):
            known = factors[:, place][~factors[:, place].isnan()]
            if factor.kind not in (FLAG, STYLE) and len(known) > 1:
                network.factor_mean[place] = known.mean()
                network.factor_scale[place] = known.std().clamp_min(1e-6)
        self.network = context.place(network)
        counts = torch.bincount(self.renders.labels.flatten()[::7].long(), minlength=classes).double()
        # Without weights, rare classes (an earring is a pixel) are not learned; the fourth root keeps outlines exact.
        weights = (counts.sum() / counts.clamp_min(1)).pow(0.25).clamp_max(12)
        self.class_weights = (weights / weights[1]).float().to(context.device)
        decayed = [value for value in network.parameters() if value.ndim > 1]
        plain = [value for value in network.parameters() if value.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.options.weight_decay},
                  {"params": plain, "weight_decay": 0.0}]  # fmt: skip
        self.optimizer = torch.optim.AdamW(groups, lr=self.options.learning_rate, fused=True)

    def step(self, batches: Mapping[str, Batch], index: int) -> Mapping[str, float | Tensor]:
        places, device = batches[OWN].images.cpu(), self.context.device
        images = self.renders.pictures[places].to(device).float() / 127.5 - 1
        if self.options.augment:
            images = augmented(images)
        labels = self.renders.labels[places].to(device).long()
        points, factors = self.renders.points[places].to(device), self.renders.factors[places].to(device)
        self.network.train()
        with self.context.autocast():
            found = self.network(self.context.place(images))
        losses = {"labels": F.cross_entropy(found.labels, labels, weight=self.class_weights)}
        if self.reads.points:
            losses["points"] = (found.points - points).square().sum(2).add(1e-4).sqrt().mean()
        losses["factors"] = self._factor_loss(found.factors, factors)
        options = self.options
        weights = {"labels": options.label_weight, "points": options.point_weight, "factors": options.factor_weight}
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * _schedule((index + 0.5) * self.context.batch / options.images)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.context.average_gradients(self.network.parameters())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def _factor_loss(self, raw: Tensor, truth: Tensor) -> Tensor:
        """The mean loss over all factors; hidden factors (NaN) are left out."""
        parts = []
        for place, (factor, output) in enumerate(zip(self.renders.judged, self.network.split(raw), strict=True)):
            wanted = truth[:, place]
            seen = ~wanted.isnan()
            if not bool(seen.any()):
                continue
            output, wanted = output[seen], wanted[seen]
            if factor.kind == STYLE:
                parts.append(F.cross_entropy(output, wanted.long()))
            elif factor.kind == FLAG:
                parts.append(2 * F.binary_cross_entropy_with_logits(output[:, 0], wanted))
            else:
                scaled = (wanted - self.network.factor_mean[place]) / self.network.factor_scale[place]
                parts.append(F.mse_loss(output[:, 0], scaled))
        return torch.stack(parts).mean()

    @torch.no_grad()
    def samples(self, batches: Mapping[str, Batch]) -> Mapping[str, Sequence[Tensor]]:
        """Rows: pictures, true label maps, parsed label maps."""
        places = batches[OWN].images.cpu()
        palette = torch.tensor(CLASS_COLOURS, dtype=torch.uint8)
        pictures, truth = self.renders.pictures[places], self.renders.labels[places]
        self.network.eval()
        with self.context.autocast():
            found = self.network(self.context.place(pictures.to(self.context.device).float() / 127.5 - 1))
        parsed = found.labels.argmax(1).cpu()
        drawn = [list(palette[maps.long()].permute(0, 3, 1, 2)) for maps in (truth, parsed)]
        return {"picture": list(pictures), "truth": drawn[0], "parsed": drawn[1]}

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def contents(self) -> Contents:
        """The network; after a run also the network's own error, and the readers of the judges of faces."""
        if not self._all:
            return judge_contents(self.network, kind=self.reads)
        judges = Judges(self.network.float(), device=self.context.device, kind=self.reads)
        if self.reads is FACES:
            self.readers = fit_readers(self._folder, self._all[0].factors, self._few(), workers=self._workers)
        errors = {
            renders.picture: judge_errors(judges, renders.part(len(renders) - self._chosen.held_out, len(renders)))
            for renders in self._all
        }
        metrics = {"held_out": errors if len(errors) > 1 else errors[self._all[0].picture]}
        return judge_contents(self.network, self.readers, metrics, self.reads)

    def _few(self) -> int:
        return min(len(self.renders), READ)

    def record(self, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        known = {
            **facts, "data": self._folder.name, "data_images": facts["samples"], "held_out": self._chosen.held_out,
            "minutes": round(facts["minutes"], 1), "device": facts["device"].split(":")[0],
        }  # fmt: skip
        names = "data data_images held_out images_seen steps minutes batch seed precision device data_set"
        own: dict[str, Any] = {"options": self.options.to_dict()}
        if self.readers:
            own |= {"readers": list(self.readers), "readers_fitted_to": self._few()}
        return self.chosen(known, names, **own)


def _schedule(part: float) -> float:
    return min(part / 0.04, 0.5 + 0.5 * math.cos(math.pi * min(part, 1.0)))


def augmented(images: Tensor) -> Tensor:
    """Pictures ``[B, 3, H, W]`` in [-1, 1], changed as a network might have made them; structure stays in place.

    A third is blurred, a third noisy (independent draws), and all get light shifts of brightness, contrast and colour.
    The shifts are light because some factors are colours.
    """
    count, device = len(images), images.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, device=device) * (high - low) + low

    coarse = F.interpolate(F.avg_pool2d(images, 2), size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    near = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    blurred = torch.where(draw(0, 1, 1, 1, 1) < 0.5, coarse, near)
    amount = draw(0, 1, 1, 1, 1) * (draw(0, 1, 1, 1, 1) < 0.33)
    images = torch.lerp(images, blurred, amount)
    images = images * draw(0.92, 1.08, 3, 1, 1) * draw(0.9, 1.1, 1, 1, 1) + draw(-0.08, 0.08, 1, 1, 1)
    strength = draw(0, 0.12, 1, 1, 1) * (draw(0, 1, 1, 1, 1) < 0.33)
    return (images + strength * torch.randn_like(images)).clamp(-1, 1)
