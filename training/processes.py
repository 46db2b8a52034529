"""The processes of a run: one, or several that torchrun started, each with a device of its own.

Several processes compute the gradients of one step together.  The gradients are summed in the order
of the ranks, so the sum does not depend on timing, on buckets, or on the algorithm of the library.
"""

# DistributedDataParallel compares the annotations of `sum_in_order` with classes.  Therefore this
# module does not import `annotations` from __future__, which would make strings of them.

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=12)
"""The others wait for the first process, which prepares the text and validates alone."""


@dataclass(frozen=True)
class Processes:
    """This process is number `rank` of `count`, and computes on `device`."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def leave(self) -> None:
        """End the communication.  Later only the first process works."""
        if self.count > 1:
            dist.destroy_process_group()

    def total(self, *values: float) -> list[float]:
        """Return the sums of values over all processes."""
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.count > 1:
            dist.all_reduce(sums)
        return [float(value) for value in sums]

    def shared(self, module: nn.Module) -> nn.Module:
        """Return the module.  Its backward pass sums the gradients of all processes."""
        if self.count == 1:
            return module
        wrapped = DistributedDataParallel(module, broadcast_buffers=False)
        wrapped.register_comm_hook(None, sum_in_order)
        return wrapped


def join(device: str) -> Processes:
    """Return the processes of this run.

    `device` is "cpu" or "cuda".  torchrun sets the variables RANK, WORLD_SIZE and LOCAL_RANK.  On
    GPUs, PyTorch then uses deterministic kernels wherever it has them.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device("cpu")
    if device == "cuda":
        chosen = torch.device("cuda", local)
        torch.cuda.set_device(chosen)
        torch.set_default_device(chosen)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    if "RANK" not in os.environ:
        return Processes(0, 1, chosen)
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    return Processes(dist.get_rank(), dist.get_world_size(), chosen)


def sum_in_order(_: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """Replace the gradients of a bucket by ((g_0 + g_1) + g_2) + ..., where g_r is from rank r.

    Each process sums one part of the bucket and sends the sum to all others.  This moves as many
    bytes as a ring does.
    """
    count, gradients = dist.get_world_size(), bucket.buffer()
    padded = nn.functional.pad(gradients, (0, -len(gradients) % count))
    received = torch.empty_like(padded)
    dist.all_to_all_single(received, padded)
    mine, *others = received.view(count, -1)
    for other in others:
        mine.add_(other)
    dist.all_gather(list(padded.view(count, -1)), mine.contiguous())
    gradients.copy_(padded[: len(gradients)])
    devices = [gradients.device] if gradients.is_cuda else None
    done: torch.futures.Future[Tensor] = torch.futures.Future(devices=devices)
    done.set_result(gradients)
    return done
