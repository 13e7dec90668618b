"""Losses of the flow training and of the finishing."""

from __future__ import annotations

from functools import lru_cache

import librosa
import torch
from torch import Tensor

from .mel import Convention

# Edges in Hz of the bands of the log; the last ends at Nyquist.
BANDS = (0, 1000, 2000, 4000, 8000)
# FFT and bands of each mel of `log_mels`, beside that of the convention. An audio codec adds windows of 32 to 128 samples (Kumar et al. 2023,
# arXiv:2306.06546). From a mel nobody can tell where in a period the pulse was: a distance in windows shorter than a period then asks for its
# mean, which is flat. With them the kurtosis of the pulses fell to 0.9 where speech has 2 to 3 (RUNS.md).
MEL_SIZES = ((256, 40), (512, 80), (1024, 160), (2048, 210))
# FFT, hop and window of `stft_distance`: the windows of the published metric.
RESOLUTIONS = ((512, 120, 240), (1024, 240, 600), (2048, 240, 1200))
# Windows inside a pitch period.
SHORT_SIZES = (64, 128, 256)
# Exponent of the ERB weights in the flow loss: at 1 the bins at 9 kHz have a fortieth of the weight of the lowest.
ERB_POWER = 0.5
# Least value of a band of MEL_SIZES, whose filters have unit area.
FLOOR = 1e-5


def erb_weights(bins: int, rate: int, device: torch.device, power: float = 1.0) -> Tensor:
    """One over the equivalent rectangular bandwidth (Glasberg and Moore 1990) to `power`, mean 1: `[bins]` from 0 Hz to Nyquist."""
    hertz = torch.linspace(0, rate / 2, bins, device=device)
    weights = (1.0 / (24.7 * (1 + 0.00437 * hertz))) ** power
    return weights / weights.mean()


def low_passed(signal: Tensor, cutoff: Tensor, rate: int) -> Tensor:
    """`[B, T]` at `rate` without what lies above `cutoff [B]` Hz, the edge 300 Hz wide; untouched where all cut-offs lie above Nyquist.

    Recordings that were published band-limited are compared below their limit only: both sides pass through this.
    """
    if bool((cutoff >= rate / 2).all()):
        return signal
    hertz = torch.linspace(0, rate / 2, signal.shape[1] // 2 + 1, device=signal.device)
    mask = ((cutoff[:, None] - hertz) / 300.0 + 0.5).clamp(0, 1)
    return torch.fft.irfft(torch.fft.rfft(signal.float()) * mask, signal.shape[1])


def error_spectrum(error: Tensor, n_fft: int = 1024, hop: int = 256) -> Tensor:
    """Power spectrum of an error signal `[B, T]` -> `[B, bins, frames]`, 1 for white noise of unit variance."""
    window = torch.hann_window(n_fft, device=error.device)
    spectrum = torch.stft(error.float(), n_fft, hop, n_fft, window, return_complex=True)
    return (spectrum.real**2 + spectrum.imag**2) / window.pow(2).sum()


def weighted_error(error: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Robust ERB-weighted mean of the error spectrum per item `[B]`, and the plain mean per band of BANDS."""
    power = error_spectrum(error)
    robust = power / (1 + power / 100)
    loss = (robust.mean(-1) * erb_weights(power.shape[1], rate, power.device, ERB_POWER)).mean(-1)
    with torch.no_grad():
        profile = power.mean((0, 2))
        edges = [*(round(b / (rate / 2) * (len(profile) - 1)) for b in BANDS), len(profile) - 1]
        bands = torch.stack([profile[a:b].mean() for a, b in zip(edges, edges[1:], strict=False)])
    return loss, bands


def log_spectral_distance(estimate: Tensor, target: Tensor, weight: Tensor, rate: int) -> Tensor:
    """Multi-resolution distance of log magnitudes, `weight [B]` an item; mean over three resolutions.

    Works in the excitation domain as well as on waveforms: a gain per bin cancels in the difference of logs.
    """
    total = torch.zeros((), device=estimate.device)
    for n_fft in (512, 1024, 2048):
        a = torch.sqrt(error_spectrum(estimate, n_fft, n_fft // 4) + 1e-3)
        b = torch.sqrt(error_spectrum(target, n_fft, n_fft // 4) + 1e-3)
        distance = (torch.log(a) - torch.log(b)).abs().mean(-1)
        weights = erb_weights(a.shape[1], rate, a.device).sqrt()
        total = total + ((distance * weights).mean(-1) * weight).mean() / weights.mean()
    return total / 3


def _magnitude(audio: Tensor, n_fft: int, hop: int, win: int, floor: float) -> Tensor:
    """Magnitudes `[B, bins, frames]` with `floor` added to the power; Hann window of `win` samples, scaled to unit power."""
    window = torch.hann_window(win, device=audio.device)
    spectrum = torch.stft(audio.float(), n_fft, hop, win, window, return_complex=True)
    return torch.sqrt((spectrum.real**2 + spectrum.imag**2) / window.pow(2).sum() + floor)


def stft_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """Spectral convergence plus log-magnitude L1 over RESOLUTIONS (Yamamoto et al. 2020, arXiv:1910.11480), mean."""
    total = torch.zeros((), device=estimate.device)
    for size in RESOLUTIONS:
        a, b = _magnitude(estimate, *size, 1e-9), _magnitude(target, *size, 1e-9)
        convergence = ((a - b).pow(2).sum((1, 2)) / b.pow(2).sum((1, 2)).clamp(min=1e-6)).sqrt().mean()
        total = total + convergence + (torch.log(a) - torch.log(b)).abs().mean()
    return total / len(RESOLUTIONS)


def short_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """L1 of log magnitudes in windows of 3 to 12 ms (SHORT_SIZES, hop a quarter): shorter than a pitch period, they see where in it energy lies."""
    total = torch.zeros((), device=estimate.device)
    for n in SHORT_SIZES:
        a, b = _magnitude(estimate, n, n // 4, n, 1e-9), _magnitude(target, n, n // 4, n, 1e-9)
        total = total + (torch.log(a) - torch.log(b)).abs().mean()
    return total / len(SHORT_SIZES)


def level_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """L1 of the log levels of 32 bands up to Nyquist in pieces of 0.2 s, in nepers. What no distance of single bins can ask for: of a noise that cannot
    be foretold these want the median, and the treble came out 3 to 7 dB too low (RUNS.md, small-4)."""

    def levels(signal: Tensor) -> Tensor:
        # Without the last bin, that of Nyquist, as the bands are of 16 bins.
        power = error_spectrum(signal)[:, :-1]
        pooled = torch.nn.functional.avg_pool2d(power, (power.shape[1] // 32, min(16, power.shape[2])))
        return 0.5 * torch.log(pooled + 1e-10)

    return (levels(estimate) - levels(target)).abs().mean()


@lru_cache(maxsize=16)
def _mel_bank(rate: int, n_fft: int, bands: int, device: torch.device) -> Tensor:
    """Slaney's filters up to Nyquist, `[bands, bins]`, without those too narrow to hold a bin."""
    bank = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands)
    return torch.from_numpy(bank[bank.sum(1) > 0]).to(device)


def log_mels(convention: Convention, audio: Tensor) -> list[Tensor]:
    """Natural-log mels of `[B, T]` audio: the convention's and, for what it leaves out (other resolutions, the top of the spectrum), MEL_SIZES."""
    found = [convention.of_padded(audio)]
    for n_fft, bands in MEL_SIZES:
        bank, window = _mel_bank(convention.sample_rate, n_fft, bands, audio.device), torch.hann_window(n_fft, device=audio.device)
        spectrum = torch.stft(audio.float(), n_fft, n_fft // 4, n_fft, window, return_complex=True)
        magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-9)
        found.append(torch.log(torch.clamp(bank @ magnitude, min=FLOOR)))
    return found


def log_mel_distance(convention: Convention, estimate: Tensor, target: list[Tensor]) -> Tensor:
    """L1 between the `log_mels` of `[B, T]` audio and those of its target, the mean over sizes."""
    return torch.stack([(a - b).abs().mean() for a, b in zip(log_mels(convention, estimate), target, strict=True)]).mean()
