"""Losses of the flow training."""

from __future__ import annotations

from functools import lru_cache

import librosa
import torch
from torch import Tensor

from .mel import FLOOR, SAMPLE_RATE, mel_of_padded

BANDS = (0, 1000, 2000, 4000, 8000, SAMPLE_RATE // 2)
# FFT and bands of each mel of `log_mel_distance`, beside that of the convention.
MEL_SIZES = ((512, 48), (1024, 96), (2048, 160))


def erb_weights(bins: int, device: torch.device) -> Tensor:
    """One over the equivalent rectangular bandwidth (Glasberg and Moore 1990), mean 1: `[bins]` from 0 Hz to Nyquist."""
    hertz = torch.linspace(0, SAMPLE_RATE / 2, bins, device=device)
    weights = 1.0 / (24.7 * (1 + 0.00437 * hertz))
    return weights / weights.mean()


def error_spectrum(error: Tensor, n_fft: int = 1024, hop: int = 256) -> Tensor:
    """Power spectrum of an error signal `[B, T]` -> `[B, bins, frames]`, 1 for white noise of unit variance."""
    window = torch.hann_window(n_fft, device=error.device)
    spectrum = torch.stft(error.float(), n_fft, hop, n_fft, window, return_complex=True)
    return (spectrum.real**2 + spectrum.imag**2) / window.pow(2).sum()


def weighted_error(error: Tensor) -> tuple[Tensor, Tensor]:
    """Robust ERB-weighted mean of the error spectrum per item `[B]`, and the plain mean per band of BANDS."""
    power = error_spectrum(error)
    robust = power / (1 + power / 100)
    loss = (robust.mean(-1) * erb_weights(power.shape[1], power.device)).mean(-1)
    with torch.no_grad():
        profile = power.mean((0, 2))
        edges = [round(b / (SAMPLE_RATE / 2) * (len(profile) - 1)) for b in BANDS]
        bands = torch.stack([profile[a:b].mean() for a, b in zip(edges, edges[1:], strict=False)])
    return loss, bands


def log_spectral_distance(estimate: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Multi-resolution distance of log magnitudes, `weight [B]` an item; mean over three resolutions.

    Works in the excitation domain as well as on waveforms: a gain per bin cancels in the difference of logs.
    """
    total = torch.zeros((), device=estimate.device)
    for n_fft in (512, 1024, 2048):
        a = torch.sqrt(error_spectrum(estimate, n_fft, n_fft // 4) + 1e-3)
        b = torch.sqrt(error_spectrum(target, n_fft, n_fft // 4) + 1e-3)
        distance = (torch.log(a) - torch.log(b)).abs().mean(-1)
        weights = erb_weights(a.shape[1], a.device).sqrt()
        total = total + ((distance * weights).mean(-1) * weight).mean() / weights.mean()
    return total / 3


def stft_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude L1 over three resolutions (Yamamoto et al. 2020, arXiv:1910.11480), mean."""
    total = torch.zeros((), device=estimate.device)
    for n_fft, hop in ((512, 50), (1024, 120), (2048, 240)):
        a = torch.sqrt(error_spectrum(estimate, n_fft, hop).clamp(min=1e-9))
        b = torch.sqrt(error_spectrum(target, n_fft, hop).clamp(min=1e-9))
        convergence = ((a - b).pow(2).sum((1, 2)) / b.pow(2).sum((1, 2)).clamp(min=1e-6)).sqrt().mean()
        total = total + convergence + (torch.log(a) - torch.log(b)).abs().mean()
    return total / 3


@lru_cache(maxsize=8)
def _mel_bank(n_fft: int, bands: int, device: torch.device) -> Tensor:
    """Slaney's filters up to Nyquist, `[bands, bins]`."""
    return torch.from_numpy(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=n_fft, n_mels=bands)).to(device)


def log_mel_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """L1 of natural-log mels of `[B, T]` audio: the mean of the convention's and, for what it leaves out (other resolutions, the top of the
    spectrum), of several more (Lee et al. 2023, BigVGAN, and its second version)."""
    distances = [(mel_of_padded(estimate) - mel_of_padded(target)).abs().mean()]
    for n_fft, bands in MEL_SIZES:
        bank, window = _mel_bank(n_fft, bands, estimate.device), torch.hann_window(n_fft, device=estimate.device)

        def mel(audio: Tensor, n_fft: int = n_fft, bank: Tensor = bank, window: Tensor = window) -> Tensor:
            spectrum = torch.stft(audio.float(), n_fft, n_fft // 4, n_fft, window, return_complex=True)
            magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-9)
            return torch.log(torch.clamp(bank @ magnitude, min=FLOOR))

        distances.append((mel(estimate) - mel(target)).abs().mean())
    return torch.stack(distances).mean()
