"""Scores inside a run: the moving average of the weights, on clips that are not trained on, every so many minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from . import metrics, reference, voice
from .checkpoint import State
from .evaluate import load_clips
from .mel import Convention
from .systems import Clip, TorchGraphs

SEEDS = (0, 1)


def clips(folder: Path, split: str, count: int, convention: Convention) -> list[Clip]:
    """`count` clips spread over the split."""
    found = load_clips(folder, split, 0, convention)
    return [found[i * len(found) // count] for i in range(min(count, len(found)))]


def score(state: State, chosen: list[Clip], times: tuple[float, ...], passes: int, momentum: float) -> dict[str, float]:
    """Mean PESQ-wb over SEEDS, DistillMOS and the pulses' kurtosis by band of the first, at one time grid."""
    graphs = TorchGraphs(state.average.module, state.log_equaliser, passes, momentum)
    found: list[list[float]] = []
    for clip in chosen:
        rate = clip.convention.sample_rate
        made = [reference.synthesise(graphs, clip.mel, list(times), seed)[: len(clip.audio)] for seed in SEEDS]
        pesq = np.mean([metrics.pesq_wb(audio, clip.audio, rate) for audio in made])
        found.append([float(pesq), metrics.distillmos(made[0], rate), *voice.pulse_kurtosis(made[0], rate)])
    names = ("pesq", "distillmos", *(f"kurtosis_{low}_{high}" for low, high in voice.PULSE_BANDS))
    return dict(zip(names, (round(float(x), 3) for x in np.nanmean(found, 0)), strict=True))
