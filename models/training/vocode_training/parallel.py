"""One run in several processes on one machine: each draws its own crops, gradients are averaged.

On a CPU two processes of one thread do more than one process of two threads, above all beside other work: threads of OpenMP wait for
each other several thousand times an update, the processes once.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# How long one process waits for another. In the idle class beside builds one may stand for an hour; half an hour, gloo's own, ended a run.
PATIENCE = timedelta(days=1)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def launch(work: Callable[[Any], None], args: Any, processes: int) -> None:
    """`work(args)` here, or in so many processes that form a group."""
    if processes == 1:
        work(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "group"
        torch.multiprocessing.spawn(_join, (work, args, processes, str(meeting)), nprocs=processes)


def _end_with_the_parent() -> None:
    """Ends this process as soon as the one that started it has ended, even if it was killed: a run of orphans would go on unseen for hours."""
    parent = parent_process()

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()


def _join(number: int, work: Callable[[Any], None], args: Any, processes: int, meeting: str) -> None:
    _end_with_the_parent()
    # Spinning threads starve the other process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=processes, timeout=PATIENCE)
    try:
        work(args)
        # The first process may still be scoring; one that leaves early would end it.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its mean over the group."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def agreed(value: float) -> float:
    """The first process's value: whatever follows from it, all do alike."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor([value], dtype=torch.float64)
    dist.broadcast(shared, 0)
    return float(shared)


def gathered(value: Tensor) -> list[Tensor]:
    """The tensors of all processes, in their order; same shape everywhere."""
    if not dist.is_initialized():
        return [value]
    found = [torch.empty_like(value) for _ in range(dist.get_world_size())]
    dist.all_gather(found, value)
    return found
