"""Several processes (torchrun) train as one: gradients are averaged over the ranks, rank 0 writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor

from anchor_hub.errors import TrainingError


@dataclass
class ProcessGroup:
    """This process's place among the processes of the run; a run without torchrun is a group of one."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def start(cls, device: torch.device) -> ProcessGroup:
        """Join the group that torchrun's environment describes (nccl on CUDA, gloo elsewhere)."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls()
        backend = "nccl" if device.type == "cuda" else "gloo"
        try:
            torch.distributed.init_process_group(backend, timeout=timedelta(minutes=10))
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"the {world} processes of this run did not find each other ({error}); "
                f"start them with torchrun --nproc-per-node {world}"
            ) from error
        return cls(torch.distributed.get_rank(), world, int(os.environ.get("LOCAL_RANK", "0")))

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the ranks (one message for all of them)."""
        if self.world == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self._reduce(flat, torch.distributed.ReduceOp.SUM)
        flat /= self.world
        for gradient, part in zip(
            gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

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

    def stop(self) -> None:
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
