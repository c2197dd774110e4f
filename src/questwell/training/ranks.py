"""The processes of one training run (torchrun): every one sees the whole batch and computes its share of the rows.

So advantages, group means and minibatches are those of a single process, whatever their number. Models are sharded by
FSDP2. Without torchrun there is one rank, and everything here does nothing.
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
        """Join the peers that torchrun started, if it did; `alone` has none whatever it started."""
        self.device = device
        self.count = 1 if alone else int(os.environ.get("WORLD_SIZE", "1"))
        if not alone:
            _join(device)
        self.rank = dist.get_rank() if self.count > 1 else 0
        self.sharded = not alone and dist.is_initialized()
        """Whether models are sharded: also by a single process, when it has joined a group of one."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def shard(self, model: nn.Module, *, dtype: Dtype) -> None:
        """Spread the weights of `model` over the ranks, layer by layer (FSDP2), which computes in `dtype`.

        A critic's head computes in float32 whatever its backbone does, so it is gathered apart from it.
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
        """The sum over the ranks."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def everyones(self, items: Sequence[_T]) -> list[_T]:
        """The items of all ranks, in the order of ranks."""
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
    """Within it only the first rank is told True; the others enter when it has left."""
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
