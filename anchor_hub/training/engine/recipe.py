"""What the one trainer runs: a recipe builds networks, takes steps, shows samples and exports a bundle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from anchor_hub.errors import UsageError
from anchor_hub.training.engine.distributed import ProcessGroup

Placed = TypeVar("Placed", bound="Tensor | nn.Module")
PRECISIONS = ("fp32", "bf16")


@dataclass
class TrainingContext:
    """What a recipe may know of its run.

    `batch` is the batch over all processes; a step receives `batch / group.world` samples.
    """

    device: torch.device
    precision: str
    seed: int
    batch: int
    run_dir: Path
    modality: Any = None
    channels_last: bool = True
    group: ProcessGroup = field(default_factory=ProcessGroup)

    def autocast(self, enabled: bool = True) -> AbstractContextManager[Any]:
        """bfloat16 arithmetic where the run asked for it; weights and optimisers stay float32."""
        if self.precision == "bf16" and enabled:
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def place(self, what: Placed) -> Placed:
        """A module or images [B, C, H, W] on the run's device, in channels-last layout if the run asked for it."""
        placed: Any = what.to(self.device)
        if self.channels_last and (isinstance(placed, nn.Module) or placed.ndim == 4):
            placed = placed.to(memory_format=torch.channels_last)
        return placed

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Between `backward` and the optimiser's step: gradients become their mean over all processes."""
        self.group.average_gradients(parameters)

    def descend(self, module: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """One optimiser step of `module` down the gradient of `loss`, averaged over all processes."""
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.average_gradients(module.parameters())
        optimizer.step()


class Recipe(ABC):
    """One way of training. The trainer owns the loop, batches, precision, checkpoints, logs, pictures and signals.

    Torch's default random generator is seeded from (seed, step, rank) before every step and before
    `samples`, from the seed alone before `setup`: a recipe draws from it freely and an interrupted run repeats exactly.
    """

    name: str = ""

    @abstractmethod
    def setup(self, context: TrainingContext) -> None:
        """Build networks and optimisers. All processes start alike: the generator is seeded with the run's seed."""

    @abstractmethod
    def step(self, batch: Any, index: int) -> Mapping[str, float | Tensor]:
        """Train on one batch of samples (as the modality collates them, on the run's device). `index` counts from 0.

        Where the run's samples have classes, the batch is a :class:`~anchor_hub.training.engine.batches.LabelledBatch`.

        Returns the step's losses by name, as numbers or 0-dimensional tensors.
        """

    @abstractmethod
    def samples(self, batch: Tensor) -> Mapping[str, Tensor | Sequence[Tensor]]:
        """Pictures to judge the training by; `batch` holds the data set's first (up to 8) samples, always the same.

        name -> uint8 [3, H, W] (a ready picture), [N, 3, H, W] (a grid), or a list of [3, H, W]: all lists
        together make one sheet, a row each.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that training changes: weights, averages, optimisers (tensors and plain containers only)."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""

    @abstractmethod
    def export(
        self, folder: Path, provenance: Mapping[str, Any], license: Mapping[str, Any] | None = None
    ) -> Path:
        """Write what was learned as a bundle into `folder`; returns the bundle's path.

        `license` names the licences of the `weights` and of the `data` they were trained on.
        """


def resolve_precision(name: str, device: torch.device) -> str:
    """`auto`: bf16 where the device computes it natively (CUDA from Ampere on, CPUs with AVX512-BF16), else fp32."""
    if name in PRECISIONS:
        return name
    if name != "auto":
        raise UsageError(f"--precision {name!r} is not known; use auto, fp32 or bf16")
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        return "bf16" if torch.backends.mkldnn.is_available() and _cpu_has_bf16() else "fp32"
    return "fp32"


def _cpu_has_bf16() -> bool:
    # Private names in torch: where one is missing, float32 is the safe answer.
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        supported = getattr(torch.cpu, name, None)
        if supported is not None and supported():
            return True
    return False
