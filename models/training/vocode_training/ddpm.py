"""Ancestral sampling of a DDPM (Ho et al. 2020) and DiffWave's fast sampling (Kong et al. 2021, section 3 and appendix B), as numbers.

A step is x' = c1 (x - c2 eps) + sigma z. With alpha = 1 - beta and abar the product of the alphas: c1 = 1 / sqrt(alpha),
c2 = beta / sqrt(1 - abar), sigma^2 = (1 - abar of the next cleaner step) / (1 - abar) beta, and no noise in the last step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Products of rounded numbers that are meant to be equal.
SLACK = 1e-9
# The paper's fast schedules: for its model of 200 training steps and for that of 50.
PUBLISHED = ([1e-4, 1e-3, 0.01, 0.05, 0.2, 0.7], [1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5])


class Row(NamedTuple):
    """One step: the training step that the network is told, and the coefficients."""

    t: float
    c1: float
    c2: float
    sigma: float


def full(training: list[float]) -> list[Row]:
    """Every training step, the noisiest first."""
    return _rows(training, [float(t) for t in range(len(training))])


def fast(training: list[float], betas: list[float]) -> list[Row]:
    """A short schedule, each step told the fractional training step of the same sqrt(abar).

    A schedule that leaves the noise levels of training is a ValueError, never a shorter run.
    """
    trained, reached = (np.cumprod(1.0 - np.array(table, np.float64)) for table in (training, betas))
    if reached[0] > trained[0] * (1 + SLACK) or reached[-1] < trained[-1] * (1 - SLACK):
        raise ValueError(
            f"the schedule's noise levels (abar {reached[-1]:.6f} to {reached[0]:.6f}) leave those of training ({trained[-1]:.6f} to {trained[0]:.6f})"
        )
    # The grid must rise for the interpolation, and sqrt(abar) falls.
    grid = -np.sqrt(trained)
    return _rows(betas, np.interp(-np.sqrt(reached), grid, np.arange(len(trained))).tolist())


def _rows(betas: list[float], times: list[float]) -> list[Row]:
    abar, rows, before = 1.0, [], 1.0
    for beta, t in zip(betas, times, strict=True):
        before, abar = abar, abar * (1.0 - beta)
        rows.append(Row(t, (1.0 - beta) ** -0.5, beta * (1.0 - abar) ** -0.5, ((1.0 - before) / (1.0 - abar) * beta) ** 0.5))
    return rows[::-1]
