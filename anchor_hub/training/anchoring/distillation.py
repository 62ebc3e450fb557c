"""The last phase of an anchoring run: the encoder learns the codes that its own corrections would give.

A domain's corrections (:meth:`~anchor_hub.domains.anchored.AnchoredDomain.encode`) run hub, regressor and encoder again
for every step, in every translation. Here the encoder as it was trained, with its corrections, is the teacher of the
encoder alone, so that translations need no corrections. Hub and regressor stay as they are and get no gradients.
"""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from anchor_hub.domains.anchored import AnchoredDomain
from anchor_hub.errors import UsageError
from anchor_hub.training.anchoring.losses import latent_consistency

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anchor_hub.training.base import TrainingContext

LEARNING_RATE = 3e-4  # a fine-tuning: a third of the rate that encoders are trained with
WARM_UP_STEPS = 50


def check_distillation(domain: AnchoredDomain, images: int, total_images: int | None) -> None:
    """Raise :class:`UsageError` where the last ``images`` of a run of ``total_images`` cannot teach corrections."""
    if not domain.corrections:
        raise UsageError(
            f"domain {domain.name!r} makes no corrections that its encoder could learn (only aligned domains of "
            "StyleGAN2 hubs do); leave distill out"
        )
    if total_images is None or images > total_images:
        raise UsageError(
            f"distill is the number of the run's last images, of which there are {total_images}, so it cannot be "
            f"{images}; give more --images"
        )


class Distillation:
    """Teaches a domain's encoder its own corrected codes, from step ``first`` of a run up to step ``end``.

    :param domain: its encoder learns; in the end its ``corrections`` are 0.
    :param whitening: of the hub's latents, for the distance between codes.
    """

    def __init__(
        self, domain: AnchoredDomain, context: TrainingContext, whitening: Tensor, first: int, end: int
    ) -> None:
        assert domain.encoder is not None
        self.domain, self.context, self.whitening = domain, context, whitening
        self.first, self.end = first, end
        self.done = 0  # steps
        self.corrections = domain.corrections
        self.encoder = domain.encoder
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), fused=True)
        self._known: dict[bytes, Tensor] = {}
        self._take(domain.encoder)

    def _take(self, encoder: nn.Module) -> None:
        """Make a copy of the encoder the teacher."""
        self.teacher = copy.copy(self.domain).corrected(self.corrections)
        self.teacher.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self._known.clear()

    def step(self, inputs: Tensor, samples: Tensor, index: int) -> dict[str, Tensor]:
        """One optimiser step on network input of the domain, and the samples it was made of; the loss by name."""
        if index == self.first:
            self._take(self.encoder)
        wanted = torch.stack([self._wanted(*pair) for pair in zip(inputs.split(1), samples, strict=True)])
        with self.context.autocast():
            offsets = self.domain.offsets(inputs)
        driven = self.domain.structure_layers
        mean = self.domain.hub.mean_latent
        found = (offsets.float() + mean)[:, :driven]
        loss = latent_consistency(found, wanted[:, :driven], mean, self.whitening)
        left = (self.end - index) / (self.end - self.first)
        for group in self.optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (index - self.first + 1) / WARM_UP_STEPS) * left
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.context.average_gradients(list(self.encoder.parameters()))
        nn.utils.clip_grad_norm_(self.encoder.parameters(), 10.0)
        self.optimizer.step()
        self._count(index + 1 - self.first)
        return {"distill": loss.detach()}

    @torch.no_grad()
    def _wanted(self, image: Tensor, sample: Tensor) -> Tensor:
        """The teacher's corrected codes ``[L, D]`` of one image, float32, computed once for every sample.

        Images are encoded one by one: the codes must not depend on the batch in which an image comes first, which is
        another one in a resumed run.
        """
        key = hashlib.sha256(sample.cpu().numpy().tobytes()).digest()
        if key not in self._known:
            self.teacher.eval()  # its regressor is the domain's, which learns no more
            with self.context.autocast():
                self._known[key] = self.teacher.encode(self.context.place(image)).float()[0]
        return self._known[key]

    def _count(self, steps: int) -> None:
        self.done = steps
        if self.first + steps >= self.end:
            self.domain.corrections = 0

    def state_dict(self) -> dict[str, Any]:
        """The teacher's and the optimiser's state, and the number of steps done."""
        assert self.teacher.encoder is not None
        teacher = self.teacher.encoder.state_dict()
        return {"teacher": teacher, "optimizer": self.optimizer.state_dict(), "done": self.done}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that :meth:`state_dict` gave."""
        assert self.teacher.encoder is not None
        self.teacher.encoder.load_state_dict(state["teacher"])
        self._known.clear()
        self.optimizer.load_state_dict(state["optimizer"])
        self._count(int(state["done"]))
