"""The `hifigan` mel convention: what Tacotron 2, FastSpeech 2, Glow-TTS and Matcha pipelines emit.

22,050 Hz, n_fft 1024, hop 256, 80 bands over 0-8,000 Hz, Slaney scale and norm, reflect padding of (n_fft - hop) / 2,
magnitude sqrt(|X|^2 + 1e-9), natural log clamped at 1e-5. Frames = samples / hop; frame f is centred on sample f * hop + hop / 2.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

SAMPLE_RATE = 22_050
N_FFT = 1024
HOP = 256
N_MELS = 80
F_MIN = 0.0
F_MAX = 8_000.0
FLOOR = 1e-5
EPSILON = 1e-9
LOG_FLOOR = math.log(FLOOR)


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's scale (Auditory Toolbox): linear below 1 kHz, logarithmic above."""
    linear = hz / (200.0 / 3)
    log = 15.0 + np.log(np.maximum(hz, 1e-9) / 1000.0) / (math.log(6.4) / 27.0)
    return np.where(hz >= 1000.0, log, linear)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    linear = mel * (200.0 / 3)
    log = 1000.0 * np.exp((math.log(6.4) / 27.0) * (mel - 15.0))
    return np.where(mel >= 15.0, log, linear)


@lru_cache(maxsize=1)
def filterbank() -> np.ndarray:
    """Triangular filters of unit area, `[n_mels, n_fft / 2 + 1]`, float64."""
    edges = _mel_to_hz(np.linspace(*_hz_to_mel(np.array([F_MIN, F_MAX])), N_MELS + 2))
    bins = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return weights * (2.0 / (edges[2:] - edges[:-2]))[:, None]


@lru_cache(maxsize=4)
def _tensors(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    bank = torch.tensor(filterbank(), dtype=dtype, device=device)
    return bank, torch.hann_window(N_FFT, dtype=dtype, device=device)


def mel_of_padded(padded: Tensor) -> Tensor:
    """Mel of audio that already carries (n_fft - hop) / 2 = 384 samples of context on each side.

    `padded` is `[B, F * hop + 768]`; the result `[B, n_mels, F]`, in double precision where `padded` is, else in single.
    """
    if padded.dtype != torch.float64:
        padded = padded.float()
    bank, window = _tensors(padded.device, padded.dtype)
    spectrum = torch.stft(padded, N_FFT, HOP, N_FFT, window, center=False, return_complex=True)
    magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + EPSILON)
    return torch.log(torch.clamp(bank @ magnitude, min=FLOOR))


def mel_spectrogram(audio: Tensor) -> Tensor:
    """Mel of whole clips, `[B, N]` -> `[B, n_mels, N // hop]`, with the convention's reflect padding.

    Computed in double precision, as in Rust: near the floor what a single-precision FFT gives differs by 1e-4 from processor to processor.
    """
    margin = (N_FFT - HOP) // 2
    padded = torch.nn.functional.pad(audio.double()[:, None], (margin, margin), mode="reflect")[:, 0]
    return mel_of_padded(padded).float()
