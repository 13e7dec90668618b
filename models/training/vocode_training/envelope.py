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

from . import mel as melspec

FFT = 2048
WINDOW = 1024
BINS = FFT // 2 + 1
LIFTER = 100
SMOOTH = (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)
OFFSET = (FFT - WINDOW) // 2
# Outside frames on each side whose windows still reach into the clip.
EDGE = 2
GAIN_RANGE = (1e-5, 1e3)
OLA_SUM = 2.0  # periodic Hann 1024 at hop 256


@lru_cache(maxsize=1)
def _interpolation() -> tuple[np.ndarray, np.ndarray]:
    """Matrix `[BINS, n_mels]` and offset `[BINS]` from log band magnitudes to the log magnitude of each bin."""
    bank = melspec.filterbank()
    hertz = np.arange(bank.shape[1]) * melspec.SAMPLE_RATE / melspec.N_FFT
    centres = (bank * hertz).sum(1) / bank.sum(1)
    bins = np.arange(BINS) * melspec.SAMPLE_RATE / FFT
    right = np.clip(np.searchsorted(centres, bins), 1, len(centres) - 1)
    weight = np.clip((bins - centres[right - 1]) / (centres[right] - centres[right - 1]), 0.0, 1.0)
    matrix = np.zeros((BINS, len(centres)))
    matrix[np.arange(BINS), right - 1] = 1.0 - weight
    matrix[np.arange(BINS), right] += weight
    slope = np.where(bins > centres[-1], -2.0 * np.log(np.maximum(bins, 1.0) / centres[-1]), 0.0)
    offset = slope - matrix @ np.log(bank.sum(1))
    return matrix, offset


@lru_cache(maxsize=4)
def _tensors(device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    matrix, offset = _interpolation()
    taper = np.zeros(FFT)
    n = np.arange(LIFTER + 1)
    taper[: LIFTER + 1] = 0.5 + 0.5 * np.cos(math.pi * n / (LIFTER + 1))
    taper[FFT - LIFTER :] = taper[1 : LIFTER + 1][::-1]

    def tensor(x: np.ndarray) -> Tensor:
        return torch.tensor(x, dtype=torch.float32, device=device)

    return tensor(matrix), tensor(offset)[:, None], tensor(taper), torch.hann_window(WINDOW, device=device)


def log_gain(mel: Tensor, log_equaliser: Tensor | None = None) -> Tensor:
    """Log amplitude of the envelope, `[B, n_mels, F + 2 EDGE + 4]` -> `[B, BINS, F + 2 EDGE]`.

    `mel` carries EDGE frames on each side for the windows and two more for the smoothing.
    """
    matrix, offset, taper, _ = _tensors(mel.device)
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


def pad_mel(mel: Tensor, frames: int = EDGE + 2) -> Tensor:
    """The mel with the convention's floor outside the clip."""
    return torch.nn.functional.pad(mel, (frames, frames), value=melspec.LOG_FLOOR)


def apply_gain(signal: Tensor, gain: Tensor) -> Tensor:
    """Filter `[B, F * hop]` by `gain` `[B, BINS, F + 2 EDGE]`; the signal is zero outside.

    Frames of 1024 (Hann) centred on f * hop + hop / 2, FFT 2048 with 512 zeros on each side, overlap-add.
    """
    window = _tensors(signal.device)[3]
    hop = melspec.HOP
    frames = gain.shape[-1]
    # The first frame, f = -EDGE, starts at -EDGE * hop + hop / 2 - WINDOW / 2.
    margin = EDGE * hop - hop // 2 + WINDOW // 2
    padded = torch.nn.functional.pad(signal.float(), (margin, margin))
    blocks = padded.unfold(-1, WINDOW, hop)[:, :frames] * window
    spectrum = torch.fft.rfft(torch.nn.functional.pad(blocks, (OFFSET, OFFSET)))
    filtered = torch.fft.irfft(spectrum * gain.transpose(-1, -2), FFT)
    total = (frames - 1) * hop + FFT
    folded = torch.nn.functional.fold(filtered.transpose(-1, -2), (1, total), (1, FFT), stride=(1, hop))[:, 0, 0]
    start = margin + OFFSET
    return folded[:, start : start + signal.shape[-1]] / OLA_SUM


def unwhiten(excitation: Tensor, mel: Tensor, log_equaliser: Tensor) -> Tensor:
    """Put the envelope of `mel` `[B, n_mels, F]` back on an excitation `[B, F * hop]`."""
    return apply_gain(excitation, torch.exp(log_gain(pad_mel(mel), log_equaliser)))


def whiten(audio: Tensor, mel: Tensor, log_equaliser: Tensor | None = None) -> Tensor:
    """Take the envelope of `mel` out of `audio` `[B, F * hop]`."""
    return apply_gain(audio, torch.exp(-log_gain(pad_mel(mel), log_equaliser)))
