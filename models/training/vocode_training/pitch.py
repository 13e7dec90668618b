"""Voicing and pitch of a synthesis against its recording, as in Morrison et al. 2022 (CARGAN, arXiv:2110.10139), which tell buzzing and hoarse voices.

The published tables take periodicity from torchcrepe. Here swift-f0 gives pitch and confidence (its weights come with the package), so the
figures compare systems within one table of this project, not with published ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from swift_f0 import SwiftF0

# Confidence from which a frame is voiced: the package's own.
VOICED = 0.5
# Frames this far below the loudest are left out: their pitch is noise's.
QUIET_DB = 50.0


@dataclass(frozen=True)
class PitchScores:
    """Root mean square difference of confidences, F1 of voiced frames, and of pitch in cents where both are voiced."""

    periodicity_rmse: float
    voicing_f1: float
    pitch_rmse: float


@lru_cache(maxsize=1)
def _detector() -> SwiftF0:
    return SwiftF0(threads=1, spin=False)


def _heard(loudness_db: np.ndarray) -> np.ndarray:
    """Which frames are loud enough that their pitch is not noise's."""
    return loudness_db > loudness_db.max() - QUIET_DB


def median(clips: list[np.ndarray], rate: int) -> float:
    """Median pitch of some recordings in Hz, 0 where none of them is voiced."""
    found = [_detector().detect(clip, rate) for clip in clips]
    voiced = np.concatenate([f.pitch_hz[(f.confidence >= VOICED) & _heard(f.loudness_db)] for f in found])
    return float(np.median(voiced)) if len(voiced) else 0.0


def compare(estimate: np.ndarray, reference: np.ndarray, rate: int) -> PitchScores:
    """Both mono at `rate` Hz, of the same length."""
    made, wanted = (_detector().detect(audio, rate) for audio in (estimate, reference))
    count = min(len(made.confidence), len(wanted.confidence))
    heard = _heard(wanted.loudness_db[:count])
    a, b = made.confidence[:count][heard], wanted.confidence[:count][heard]
    voiced_a, voiced_b = a >= VOICED, b >= VOICED
    both = voiced_a & voiced_b
    cents = 1200 * np.log2(made.pitch_hz[:count][heard][both] / wanted.pitch_hz[:count][heard][both])
    either = int(voiced_a.sum() + voiced_b.sum())
    return PitchScores(
        periodicity_rmse=float(np.sqrt(np.mean((a - b) ** 2))) if len(a) else 0.0,
        voicing_f1=2 * int(both.sum()) / either if either else 1.0,
        pitch_rmse=float(np.sqrt(np.mean(cents**2))) if len(cents) else 0.0,
    )
