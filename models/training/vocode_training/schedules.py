"""The time grids for which the model is finished, and which its bundle offers under these names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Times of the denoiser's calls, from 0 (noise) to below 1 (data)."""

    name: str
    times: tuple[float, ...]
    share: float  # of the updates of the finishing


# Two steps at the times that `vocode tune` found on recordings of `train`, four even ones, three tuned ones.
FINISHED = (
    Schedule("draft", (0.0, 0.7274), 0.5),
    Schedule("steps-3", (0.0, 0.501, 0.7329), 0.1),
    Schedule("fast", (0.0, 0.25, 0.5, 0.75), 0.4),
)
