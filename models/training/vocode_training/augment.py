"""What training does to recordings and mels, so that the model meets more than a studio's: gain, a low-pass, lower voices, and mels as acoustic models make
them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .losses import low_passed

SLOWEST = 0.65
# Samples on each side that a value between samples is made of, and the shape of their Kaiser window.
REACH = 16
KAISER = 8.0


@dataclass(frozen=True)
class Augmentation:
    """How often, as shares of the crops, and how much."""

    quiet: float = 0.05  # 31 dB below the usual level
    low_pass: float = 0.1  # at 3.4 to 8 kHz: what a telephone or a narrow microphone sends
    smooth: float = 0.0  # mel blurred by a triangle of up to 2 frames and 2 bands (Bak et al. 2024, arXiv:2409.02517)
    noise: float = 0.0  # normal noise of up to 0.2 on the mel (Flow2GAN, arXiv:2512.23278)
    contrast: float = 0.0  # mel stretched about its mean by 0.8 to 1.1
    slow: float = 0.0  # played at SLOWEST of their speed or more: lower voices than the corpus has


class Dice:
    """Random numbers of one generator on its device."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def uniform(self, count: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(count, generator=self.generator, device=self.generator.device) * (high - low) + low

    def chosen(self, count: int, share: float) -> Tensor:
        return self.uniform(count) < share


def speeds(count: int, how: Augmentation, dice: Dice) -> Tensor:
    """At what speed each crop is played, `[count]` from SLOWEST to 1."""
    if not how.slow:
        return torch.ones(count, device=dice.generator.device)
    return torch.where(dice.chosen(count, how.slow), dice.uniform(count, SLOWEST, 1.0), 1.0)


def samples(signal: Tensor, places: Tensor) -> Tensor:
    """`signal [N]` at `places [B, T]` (float64): float32 `[B, T]`. Rows whose places are not all whole are read by a sinc in a Kaiser window."""

    def at(index: Tensor) -> Tensor:
        return signal[index.clamp(0, len(signal) - 1)].float()

    whole = places.floor().long()
    values = at(whole)
    between = (places != whole).any(1)
    if bool(between.any()):
        taps = torch.arange(1 - REACH, REACH + 1, device=signal.device)
        away = (places[between] - whole[between]).float()[..., None] - taps
        window = torch.i0(KAISER * (1 - (away / REACH).square()).clamp(min=0).sqrt()) / torch.i0(torch.tensor(KAISER))
        values[between] = (at(whole[between][..., None] + taps) * torch.sinc(away) * window).sum(-1)
    return values


def recording(audio: Tensor, rate: int, how: Augmentation, dice: Dice) -> Tensor:
    """Gain of -9 to +3 dB, or -40 to -28; some crops low-passed. `[B, T]` at `rate`, both."""
    count = len(audio)
    decibels = dice.uniform(count, -9.0, 3.0) - 31.0 * dice.chosen(count, how.quiet)
    audio = audio * 10 ** (decibels / 20)[:, None]
    passed = dice.chosen(count, how.low_pass)
    return low_passed(audio, torch.where(passed, dice.uniform(count, 3400.0, 8000.0), rate), rate)


def _smoothed(mel: Tensor, width: Tensor, dim: int) -> Tensor:
    """Triangular average over `dim` of `[B, n_mels, F]`, half-width `width [B]` (0: unchanged), edges repeated."""
    reach = 2
    offsets = torch.arange(-reach, reach + 1, device=mel.device)
    weights = (1 - offsets.abs() / (width[:, None] + 1e-6).clamp(min=1e-6)).clamp(min=0)
    weights[:, reach] = 1.0
    weights = weights / weights.sum(1, keepdim=True)
    padding = (reach, reach, 0, 0) if dim == 2 else (0, 0, reach, reach)
    padded = torch.nn.functional.pad(mel[:, None], padding, mode="replicate")[:, 0]
    return (padded.unfold(dim, 2 * reach + 1, 1) * weights[:, None, None]).sum(-1)


def mel(clean: Tensor, floor: float, how: Augmentation, dice: Dice) -> Tensor:
    """A mel `[B, n_mels, F]` as an acoustic model might have made it; values at `floor`, that of silence, stay there."""
    if not (how.smooth or how.noise or how.contrast):
        return clean
    count = len(clean)
    blurred = dice.chosen(count, how.smooth)
    found = _smoothed(clean, dice.uniform(count, 0.0, 3.0) * blurred, 2)
    found = _smoothed(found, dice.uniform(count, 0.0, 3.0) * blurred, 1)
    normal = torch.randn(clean.shape, generator=dice.generator, device=clean.device)
    found = found + normal * (0.2 * dice.uniform(count) * dice.chosen(count, how.noise))[:, None, None]
    factor = torch.where(dice.chosen(count, how.contrast), dice.uniform(count, 0.8, 1.1), 1.0)[:, None, None]
    centre = found.mean((1, 2), keepdim=True)
    found = centre + (found - centre) * factor
    return torch.where(clean <= floor, clean, found).clamp(min=floor)
