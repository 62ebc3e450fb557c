"""Which samples a step trains on, and how they reach it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count, islice
from typing import Any

import torch
from torch import Tensor

from anchor_hub.errors import TrainingError
from anchor_hub.system.reading_ahead import ReadAhead
from anchor_hub.training.base import Batch
from anchor_hub.training.engine.randomness import mix_seed


class BatchPlan:
    """The order of the samples: every epoch its own permutation, a pure function of (seed, step).

    `batch` counts the samples of one step over all ranks; rank r takes the r-th of `world` equal parts.
    Batches run across the border of two epochs, so that data sets smaller than a batch work as well.
    """

    def __init__(self, samples: int, batch: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if samples < 1:
            raise TrainingError("there is nothing to train on: the data set holds no samples")
        if batch < 1 or batch % world:
            raise TrainingError(
                f"a batch of {batch} cannot be divided among {world} processes; "
                f"choose --batch as a multiple of {world}"
            )
        self.samples, self.batch, self.seed = samples, batch, seed
        self.share = batch // world
        self.offset = rank * self.share
        self._permutations: dict[int, list[int]] = {}

    def indices(self, step: int) -> list[int]:
        """The sample numbers of this rank's part of step `step` (counted from 0)."""
        first = step * self.batch + self.offset
        return [
            self._permutation(place // self.samples)[place % self.samples]
            for place in range(first, first + self.share)
        ]

    def _permutation(self, epoch: int) -> list[int]:
        if epoch not in self._permutations:
            # A batch can touch several epochs of a tiny data set; a large one never needs more than two at
            # once.
            while len(self._permutations) * self.samples > 4 * self.batch + 2 * self.samples:
                del self._permutations[min(self._permutations)]
            generator = torch.Generator().manual_seed(mix_seed(self.seed, "epoch", epoch))
            self._permutations[epoch] = torch.randperm(self.samples, generator=generator).tolist()
        return self._permutations[epoch]


class BatchLoader:
    """Delivers the batches of a plan, reading ahead in the background where samples come from files.

    `data` is a tensor [N, ...] held in memory, or a sequence of samples that `modality.collate` joins
    (without a
    modality: torch.stack). With `mirror`, each sample is flipped left to right with probability 1/2 through
    `modality.flip`, which exchanges left and right classes and points, too. With `labels` [N], batches have theirs.
    """

    def __init__(
        self,
        data: Tensor | Sequence[Any],
        plan: BatchPlan,
        *,
        modality: Any = None,
        mirror: bool = False,
        workers: int = 2,
        labels: Tensor | None = None,
    ) -> None:
        if labels is not None and len(labels) != len(data):
            raise TrainingError(f"{len(labels)} labels do not fit {len(data)} samples")
        self.data, self.plan, self.modality, self.mirror, self.labels = data, plan, modality, mirror, labels
        self._workers = max(1, workers)
        self._reading: ReadAhead[int, Any] | None = None
        self._next: int | None = None  # the step that the readers are at

    def batch(self, step: int) -> Batch:
        """The samples of step `step`, collated: [share of this rank, ...]; with their labels where there are labels."""
        samples = self._samples(step)
        if self.labels is None:
            return Batch(samples)
        return Batch(samples, self.labels[torch.tensor(self.plan.indices(step))])

    def _samples(self, step: int) -> Tensor:
        if isinstance(self.data, Tensor):
            samples = self.data[torch.tensor(self.plan.indices(step))]
        else:
            parts = [future.result() for _, future in islice(self._reader(step), self.plan.share)]
            self._next = step + 1
            samples = self.modality.collate(parts) if self.modality is not None else torch.stack(parts)
        return self._mirrored(samples, step) if self.mirror else samples

    def _reader(self, step: int) -> ReadAhead[int, Any]:
        """What reads on from `step`; readers that are elsewhere (or failed) begin anew."""
        if self._reading is None or self._next != step:
            self.close()
            indices = chain.from_iterable(map(self.plan.indices, count(step)))
            # Two steps ahead keep the readers busy while the networks compute.
            ahead = 2 * self.plan.share + 1
            self._reading = ReadAhead(self.data.__getitem__, indices, readers=self._workers, ahead=ahead)
        self._next = None
        return self._reading

    def _mirrored(self, samples: Tensor, step: int) -> Tensor:
        generator = torch.Generator().manual_seed(mix_seed(self.plan.seed, "mirror", step, self.plan.offset))
        chosen = torch.rand(len(samples), generator=generator) < 0.5
        if not bool(chosen.any()):
            return samples
        part = samples[chosen]
        flipped = self.modality.flip(part) if self.modality is not None else part.flip(-1)
        samples = samples.clone()
        samples[chosen] = flipped
        return samples

    def close(self) -> None:
        """Stop reading ahead."""
        if self._reading is not None:
            self._reading.close()
            self._reading = None
