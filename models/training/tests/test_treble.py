"""The level above a mel's top band."""

from __future__ import annotations

import math

import pytest
import torch

from vocode_training import envelope, losses, treble
from vocode_training.mel import HIFIGAN

RATE = HIFIGAN.sample_rate


def duller(audio: torch.Tensor, nepers: float) -> torch.Tensor:
    """`audio [B, T]` with what lies above 8 kHz so much lower."""
    full = torch.full((len(audio),), 8000.0)
    low = losses.low_passed(audio, full, RATE)
    return low + (audio - low) * math.exp(-nepers)


def test_a_lack_is_found_where_it_is_and_made_good_above_the_mel_alone() -> None:
    noise = torch.randn(6, 64 * 256, generator=torch.Generator().manual_seed(0)) * 0.1
    lack = treble.lacks(noise, duller(noise, 0.4), torch.full((6,), RATE / 2), RATE)
    hertz = torch.linspace(0, RATE / 2, 513)
    assert lack[hertz < 7700].abs().max() < 0.01
    assert (lack[(hertz > 8300) & (hertz < 10700)] - 0.4).abs().max() < 0.01
    added = treble.correction(HIFIGAN, lack)
    fine = torch.linspace(0, RATE / 2, envelope.BINS)
    assert added.shape == (envelope.BINS,) and not added[fine <= 8000].any()
    assert added[fine > 8700].mean() == pytest.approx(0.4, abs=0.01)


def test_what_a_recording_does_not_hold_counts_for_nothing() -> None:
    noise = torch.randn(4, 64 * 256, generator=torch.Generator().manual_seed(1)) * 0.1
    cutoff = torch.full((4,), 9000.0)
    lack = treble.lacks(losses.low_passed(noise, cutoff, RATE), noise, cutoff, RATE)
    assert lack.abs().max() < 0.01
    assert not treble.lacks(torch.zeros(2, 64 * 256), noise[:2], torch.full((2,), RATE / 2), RATE).any()


def test_a_correction_is_bounded() -> None:
    assert treble.correction(HIFIGAN, torch.full((513,), 5.0)).max() == pytest.approx(treble.MOST)
