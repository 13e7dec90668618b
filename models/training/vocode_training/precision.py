"""Which number type trains faster here: bfloat16 wins by two on processors with instructions for it, and loses on others."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

# Long enough to tell, short beside a run.
SECONDS = 1.5


def autocast(choice: str, device: torch.device, work: Callable[[], torch.Tensor]) -> bool:
    """Whether to train under bfloat16 autocast: as `choice` says, or by timing `work` and its gradient with and without (`auto`)."""
    if choice != "auto":
        return choice == "bf16"
    if device.type != "cpu":
        return True
    return _seconds(work, True) < _seconds(work, False)


def _seconds(work: Callable[[], torch.Tensor], enabled: bool) -> float:
    """Processor time of the fastest of several calls, in this thread's share of the machine."""
    best, begin = float("inf"), time.process_time()
    while time.process_time() - begin < SECONDS or best == float("inf"):
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            result = work()
        result.float().square().mean().backward()
        best = min(best, time.process_time() - start)
    return best
