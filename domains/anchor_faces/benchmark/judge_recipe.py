"""Training the judges: full supervision on renders, a recipe of the one trainer.

The samples that the trainer hands out are places in the renders, which this recipe holds in memory with their
labels, landmarks and factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from anchor_faces.benchmark.factor_groups import FLAG, JUDGED, STYLE
from anchor_faces.benchmark.judge_network import SIZE, JudgeNetwork
from anchor_faces.benchmark.judges import save_judges
from anchor_faces.benchmark.renders import Renders
from anchor_faces.rendering import CLASS_COLOURS
from anchor_hub.training.engine.recipe import Recipe, TrainingContext


@dataclass(frozen=True)
class JudgeOptions:
    """Everything that can be chosen about the judges' training.

    Attributes:
        images: samples of the whole training; the learning rate falls to zero over them along a cosine.
        learning_rate, weight_decay: of AdamW; the rate rises over the first 4 % of the images.
        label_weight, point_weight, factor_weight: of the three losses (cross-entropy; mean distance in pixels; mean of
            squared errors in deviations and cross-entropies).
        augment: blur, noise and colour shifts, so that the judges also read pictures that a network made.
    """

    images: int = 28_000
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    label_weight: float = 1.0
    point_weight: float = 0.1
    factor_weight: float = 0.5
    augment: bool = True


class JudgeRecipe(Recipe):
    """Trains a :class:`JudgeNetwork` on renders of 64 px."""

    name = "face-judges"

    def __init__(self, renders: Renders, options: JudgeOptions | None = None, *, width: int = 32) -> None:
        self.renders, self.options, self.width = renders, options or JudgeOptions(), width

    def describe(self) -> dict[str, Any]:
        """The settings that a resumed run must share, as plain JSON values."""
        return {"width": self.width, **asdict(self.options)}

    def setup(self, context: TrainingContext) -> None:
        self.context = context
        network = JudgeNetwork(self.width)
        factors = self.renders.factors
        for place, factor in enumerate(JUDGED):
            known = factors[:, place][~factors[:, place].isnan()]
            if factor.kind not in (FLAG, STYLE) and len(known) > 1:
                network.factor_mean[place] = known.mean()
                network.factor_scale[place] = known.std().clamp_min(1e-6)
        self.network = context.place(network)
        counts = torch.bincount(self.renders.labels.flatten()[::7].long(), minlength=19).double()
        # Rare classes (an earring is a pixel) would else not be learned; the fourth root keeps the outlines honest.
        weights = (counts.sum() / counts.clamp_min(1)).pow(0.25).clamp_max(12)
        self.class_weights = (weights / weights[1]).float().to(context.device)
        decayed = [value for value in network.parameters() if value.ndim > 1]
        plain = [value for value in network.parameters() if value.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": self.options.weight_decay},
                  {"params": plain, "weight_decay": 0.0}]  # fmt: skip
        self.optimizer = torch.optim.AdamW(groups, lr=self.options.learning_rate, fused=True)

    def step(self, batch: Tensor, index: int) -> Mapping[str, float | Tensor]:
        places, device = batch.cpu(), self.context.device
        images = self.renders.pictures[places].to(device).float() / 127.5 - 1
        if self.options.augment:
            images = augmented(images)
        labels = self.renders.labels[places].to(device).long()
        points, factors = self.renders.points[places].to(device), self.renders.factors[places].to(device)
        self.network.train()
        with self.context.autocast():
            found = self.network(self.context.place(images))
        losses = {
            "labels": F.cross_entropy(found.labels, labels, weight=self.class_weights),
            "points": (found.points - points).square().sum(2).add(1e-4).sqrt().mean(),
            "factors": self._factor_loss(found.factors, factors),
        }
        options = self.options
        total = (options.label_weight * losses["labels"] + options.point_weight * losses["points"]
                 + options.factor_weight * losses["factors"])  # fmt: skip
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * _schedule((index + 0.5) * self.context.batch / options.images)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.context.average_gradients(self.network.parameters())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def _factor_loss(self, raw: Tensor, truth: Tensor) -> Tensor:
        """The mean over all factors; hidden ones (NaN) count nowhere."""
        parts = []
        for place, (factor, output) in enumerate(zip(JUDGED, self.network.split(raw), strict=True)):
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
    def samples(self, batch: Tensor) -> Mapping[str, Sequence[Tensor]]:
        """Rows: pictures, true label maps, parsed ones."""
        palette = torch.tensor(CLASS_COLOURS, dtype=torch.uint8)
        pictures, truth = self.renders.pictures[batch.cpu()], self.renders.labels[batch.cpu()]
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

    def export(
        self, folder: Path, provenance: Mapping[str, Any], license: Mapping[str, Any] | None = None
    ) -> Path:
        """The network, without readers, as a bundle of the kind ``judges``."""
        return save_judges(self.network, folder, provenance=provenance, license=license)


def _schedule(part: float) -> float:
    return min(part / 0.04, 0.5 + 0.5 * math.cos(math.pi * min(part, 1.0)))


def augmented(images: Tensor) -> Tensor:
    """Pictures ``[B, 3, H, W]`` in [-1, 1] as a network might have made them; structure stays where it is.

    A third of them blurred, a third noisy (independent draws), all with light shifts of brightness, contrast and
    colour. Light, because some factors are colours.
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
