"""Several processes (torchrun) train as one: gradients are averaged over the ranks, rank 0 writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor

from anchor_hub.errors import TrainingError

TIMEOUT = timedelta(minutes=10)


@dataclass
class ProcessGroup:
    """This process's place among the processes of the run; a run without torchrun is a group of one."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> ProcessGroup:
        """The place that torchrun's environment gives this process."""
        return cls(
            *(
                int(os.environ.get(name, default))
                for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
            )
        )

    def join(self, device: torch.device, meeting: Path | None) -> None:
        """Meet the other processes: at the file `meeting` on this machine, or (None) as torchrun arranged it."""
        if self.world == 1:
            return
        backend = "nccl" if device.type == "cuda" else "gloo"
        if meeting is not None and sys.platform == "linux":
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all on one machine: no name look-ups
        try:
            if meeting is None:
                torch.distributed.init_process_group(backend, timeout=TIMEOUT)
            else:
                torch.distributed.init_process_group(
                    backend,
                    timeout=TIMEOUT,
                    rank=self.rank,
                    world_size=self.world,
                    store=torch.distributed.FileStore(str(meeting), self.world),
                )
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"the {self.world} processes of this run did not find each other ({error}); "
                f"use --processes 1, or start them with torchrun"
            ) from error

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the ranks (one message for all of them)."""
        if self.world == 1:
            return
        gradients = [_in_memory_order(parameter) for parameter in parameters if parameter.grad is not None]
        flat = torch.cat(gradients)
        self._reduce(flat, torch.distributed.ReduceOp.SUM)
        flat /= self.world
        for gradient, part in zip(gradients, flat.split([len(each) for each in gradients]), strict=True):
            gradient.copy_(part)

    def average(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the ranks."""
        if self.world > 1:
            value = value.clone()
            self._reduce(value, torch.distributed.ReduceOp.SUM)
            value /= self.world
        return value

    def agree(self, code: int, device: torch.device) -> int:
        """The largest code over the ranks: all of them stop at the same step, for the same reason."""
        if self.world == 1:
            return code
        value = torch.tensor([code], device=device)
        self._reduce(value, torch.distributed.ReduceOp.MAX)
        return int(value)

    def wait_for_all(self) -> None:
        """Return once every rank has come here."""
        if self.world > 1:
            torch.distributed.barrier()

    def leave(self) -> None:
        """Leave the group."""
        if self.world > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    def _reduce(self, value: Tensor, operation: torch.distributed.ReduceOp.RedOpType) -> None:
        try:
            torch.distributed.all_reduce(value, operation)
        except RuntimeError as error:
            raise TrainingError(
                f"rank {self.rank} lost the other {self.world - 1} processes of the run "
                f"({str(error).splitlines()[0]}); go on from the last checkpoint with --resume"
            ) from error


def _in_memory_order(parameter: Tensor) -> Tensor:
    """A parameter's gradient as one flat view. Channels-last ones are not transposed: that took longer than sending."""
    assert parameter.grad is not None
    if parameter.ndim == 4 and parameter.grad.is_contiguous(memory_format=torch.channels_last):
        return parameter.grad.permute(0, 2, 3, 1).view(-1)
    parameter.grad = parameter.grad.contiguous()
    return parameter.grad.view(-1)
