"""The processes of one training run (torchrun): each sees the whole batch and computes its share of the rows.

Advantages, group means and minibatches are therefore the same for any number of processes. Models are sharded by FSDP2.
Without torchrun there is one rank, and nothing here has an effect.
"""

# torch is only partly typed; what this file exports is annotated by hand.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportPrivateImportUsage=false
# pyright: reportUnknownVariableType=false

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from questwell.llm.pretrained import Dtype
from questwell.training.policy import Critic, layers

_T = TypeVar("_T")


class Ranks:
    """One process of a training run, and its communication with the others."""

    def __init__(self, device: torch.device, *, alone: bool = False) -> None:
        """Join the processes that torchrun started, if any; `alone` ignores them."""
        self.device = device
        self.count = 1 if alone else int(os.environ.get("WORLD_SIZE", "1"))
        if not alone:
            _join(device)
        self.rank = dist.get_rank() if self.count > 1 else 0
        self.sharded = not alone and dist.is_initialized()
        """Whether models are sharded; also true for a single process in a group of one."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def shard(self, model: nn.Module, *, dtype: Dtype) -> None:
        """Shard the weights of `model` over the ranks, layer by layer (FSDP2); the passes compute in `dtype`.

        A critic's head always computes in float32, so it is gathered separately from the backbone.
        """
        if not self.sharded:
            return
        precision = (
            MixedPrecisionPolicy(torch.bfloat16, torch.float32) if dtype == "bfloat16" else MixedPrecisionPolicy()
        )
        for layer in layers(model):
            fully_shard(layer, mp_policy=precision)
        if isinstance(model, Critic):
            fully_shard(model.backbone, mp_policy=precision)
            fully_shard(model.head, mp_policy=MixedPrecisionPolicy(torch.float32, torch.float32))
        else:
            fully_shard(model, mp_policy=precision)

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over the ranks."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def everyones(self, items: Sequence[_T]) -> list[_T]:
        """Return the items of all ranks, in rank order."""
        if self.count == 1:
            return list(items)
        parts: list[Sequence[_T] | None] = [None] * self.count
        dist.all_gather_object(parts, list(items))
        return [item for part in parts for item in cast(Sequence[_T], part)]

    def wait(self) -> None:
        """Wait until all ranks are here."""
        if self.count > 1:
            dist.barrier()

    def leave(self) -> None:
        """Leave the group of ranks."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()


@contextmanager
def first_of_all(device: str) -> Generator[bool]:
    """Yield True on the first rank and False on the others, which enter only after the first has left."""
    _join(torch.device(device))
    rank = int(os.environ.get("RANK", "0"))
    if rank > 0:
        dist.barrier()
    yield rank == 0
    if rank == 0 and dist.is_initialized():
        dist.barrier()


def _join(device: torch.device) -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
