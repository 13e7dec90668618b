"""The spectral envelope that a mel implies, and the filter that takes it out of a signal (whitening) or puts it back.

The Rust twin is `src/dsp/envelope.rs`; a parity test holds the two together. SpecGrad (Koizumi et al. 2022, arXiv:2203.16749)
filters the diffusion noise by such an envelope; here the filter stands outside the diffusion, applied once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .mel import Convention

FFT = 2048
BINS = FFT // 2 + 1
LIFTER = 100
SMOOTH = (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)
# Length of a window in hops.
OVERLAP = 4
# Outside frames on each side whose windows still reach into the clip.
EDGE = OVERLAP // 2
GAIN_RANGE = (1e-5, 1e3)
# Periodic Hann windows over one sample.
OLA_SUM = OVERLAP / 2


def window_length(convention: Convention) -> int:
    """Samples of a frame's window, which lies in the middle of an FFT block."""
    return OVERLAP * convention.hop


def centres(convention: Convention) -> np.ndarray:
    """The centre of gravity of each filter, `[n_mels]` in Hz."""
    bank = convention.filterbank()
    return bank @ (np.arange(bank.shape[1]) * convention.sample_rate / convention.n_fft) / bank.sum(1)


def between(places: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The matrix `[points, places]` of linear interpolation from rising places, the outer ones repeated beyond."""
    right = np.clip(np.searchsorted(places, points), 1, len(places) - 1)
    weight = np.clip((points - places[right - 1]) / (places[right] - places[right - 1]), 0.0, 1.0)
    matrix = np.zeros((len(points), len(places)))
    matrix[np.arange(len(points)), right - 1] = 1.0 - weight
    matrix[np.arange(len(points)), right] += weight
    return matrix


def _interpolation(convention: Convention) -> tuple[np.ndarray, np.ndarray]:
    """Matrix `[BINS, n_mels]` and offset `[BINS]` from log band magnitudes to the log magnitude of each bin."""
    found = centres(convention)
    bins = np.arange(BINS) * convention.sample_rate / FFT
    matrix = between(found, bins)
    slope = np.where(bins > found[-1], -2.0 * np.log(np.maximum(bins, 1.0) / found[-1]), 0.0)
    return matrix, slope - matrix @ convention.log_sums()


@lru_cache(maxsize=8)
def _tensors(convention: Convention, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    matrix, offset = _interpolation(convention)
    taper = np.zeros(FFT)
    n = np.arange(LIFTER + 1)
    taper[: LIFTER + 1] = 0.5 + 0.5 * np.cos(math.pi * n / (LIFTER + 1))
    taper[FFT - LIFTER :] = taper[1 : LIFTER + 1][::-1]

    def tensor(x: np.ndarray) -> Tensor:
        return torch.tensor(x, dtype=torch.float32, device=device)

    return tensor(matrix), tensor(offset)[:, None], tensor(taper), torch.hann_window(window_length(convention), device=device)


def log_gain(convention: Convention, mel: Tensor, log_equaliser: Tensor | None = None) -> Tensor:
    """Log amplitude of the envelope, `[B, n_mels, F + 2 EDGE + 4]` -> `[B, BINS, F + 2 EDGE]`.

    `mel` carries EDGE frames on each side for the windows and two more for the smoothing.
    """
    matrix, offset, taper, _ = _tensors(convention, mel.device)
    rough = matrix @ mel.float() + offset
    power = torch.exp(2.0 * rough)
    frames = mel.shape[-1] - 4
    smooth = sum(w * power[..., i : i + frames] for i, w in enumerate(SMOOTH))
    log_magnitude = 0.5 * torch.log(smooth + 1e-12)
    cepstrum = torch.fft.irfft(log_magnitude, FFT, dim=-2)
    lifted = torch.fft.rfft(cepstrum * taper[:, None], dim=-2).real
    if log_equaliser is not None:
        lifted = lifted + log_equaliser[:, None]
    return lifted.clamp(math.log(GAIN_RANGE[0]), math.log(GAIN_RANGE[1]))


def pad_mel(convention: Convention, mel: Tensor, frames: int = EDGE + 2) -> Tensor:
    """The mel with the convention's floor outside the clip."""
    return torch.nn.functional.pad(mel, (frames, frames), value=convention.log_floor)


def filter_blocks(convention: Convention, signal: Tensor, gain: Tensor) -> Tensor:
    """Filter the frames of `signal`, which begins with the first frame's window, by `gain` `[B, BINS, frames]`, and overlap-add them.

    The result `[B, (frames - 1) * hop + FFT]` begins with the first frame's FFT block, (FFT - window) / 2 before its window.
    """
    length, hop, frames = window_length(convention), convention.hop, gain.shape[-1]
    side = (FFT - length) // 2
    blocks = signal.float().unfold(-1, length, hop)[:, :frames] * _tensors(convention, signal.device)[3]
    spectrum = torch.fft.rfft(torch.nn.functional.pad(blocks, (side, FFT - length - side)))
    filtered = torch.fft.irfft(spectrum * gain.transpose(-1, -2), FFT)
    total = (frames - 1) * hop + FFT
    return torch.nn.functional.fold(filtered.transpose(-1, -2), (1, total), (1, FFT), stride=(1, hop))[:, 0, 0] / OLA_SUM


def reach(convention: Convention) -> int:
    """Samples from the first window of an outside frame, frame -EDGE, to sample 0."""
    return EDGE * convention.hop - convention.centre + window_length(convention) // 2


def apply_gain(convention: Convention, signal: Tensor, gain: Tensor) -> Tensor:
    """Filter `[B, F * hop]` by `gain` `[B, BINS, F + 2 EDGE]`; the signal is zero outside.

    Frames of 4 hops (Hann) about `convention.centre`, in the middle of FFT blocks, overlap-add.
    """
    margin = reach(convention)
    filtered = filter_blocks(convention, torch.nn.functional.pad(signal.float(), (margin, margin)), gain)
    start = margin + (FFT - window_length(convention)) // 2
    return filtered[:, start : start + signal.shape[-1]]


def unwhiten(convention: Convention, excitation: Tensor, mel: Tensor, log_equaliser: Tensor) -> Tensor:
    """Put the envelope of `mel` `[B, n_mels, F]` back on an excitation `[B, F * hop]`."""
    return apply_gain(convention, excitation, torch.exp(log_gain(convention, pad_mel(convention, mel), log_equaliser)))


def whiten(convention: Convention, audio: Tensor, mel: Tensor, log_equaliser: Tensor | None = None) -> Tensor:
    """Take the envelope of `mel` out of `audio` `[B, F * hop]`."""
    return apply_gain(convention, audio, torch.exp(-log_gain(convention, pad_mel(convention, mel), log_equaliser)))
