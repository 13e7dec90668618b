"""Discriminators, small enough for a CPU: complex spectrograms at several resolutions, and the waveform folded by several periods.

Magnitudes alone do not see the inside of a pitch period: a vocoder judged by them makes pulses whose phases agree too well at every
frequency. The periods (Kong et al. 2020, HiFi-GAN, arXiv:2010.05646) see samples, the spectrograms (Jang et al. 2021, UnivNet,
arXiv:2106.07889; complex as in Defossez et al. 2022, EnCodec, arXiv:2210.13438) see real and imaginary parts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad
from torch.nn.utils.parametrizations import weight_norm

# Score map and the features on the way to it.
Verdict = tuple[Tensor, list[Tensor]]
PERIODS = (2, 3, 5, 7, 11)
SIZES = (512, 1024, 2048)
# Added to the power before its compression: far below anything heard, so that quiet bands are seen.
POWER_FLOOR = 1e-10
# Exponent of the magnitude that is left of a complex bin.
COMPRESSION = 0.3


class Convolutions(nn.Module):
    """A row of convolutions and a score."""

    def __init__(self, layers: list[nn.Conv2d], score: nn.Conv2d) -> None:
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.score = weight_norm(score)

    def forward(self, x: Tensor) -> Verdict:
        features = []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.1)
            features.append(x)
        return self.score(x), features


class Spectrogram(nn.Module):
    """One resolution: `[B, T]` audio as real and imaginary parts over time and frequency."""

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        layers = [
            nn.Conv2d(2, channels, (3, 9), (1, 2), (1, 4)),
            nn.Conv2d(channels, channels, (3, 9), (2, 2), (1, 4)),
            nn.Conv2d(channels, 2 * channels, (3, 9), (2, 2), (1, 4)),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1),
        ]
        self.convolutions = Convolutions(layers, nn.Conv2d(2 * channels, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> Verdict:
        with torch.autocast(audio.device.type, enabled=False):
            spectrum = torch.stft(audio.float(), self.n_fft, self.n_fft // 4, self.n_fft, self.window, return_complex=True)
            parts = torch.stack([spectrum.real, spectrum.imag], 1) / self.window.pow(2).sum().sqrt()
            power = parts.pow(2).sum(1, keepdim=True) + POWER_FLOOR
            x = (parts * power ** ((COMPRESSION - 1) / 2)).transpose(2, 3)
        return self.convolutions(x)


class Period(nn.Module):
    """The waveform folded to `[B, 1, T / period, period]`: each column is every `period`-th sample."""

    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        widths = (1, *channels)
        layers = [nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0)) for a, b in zip(widths, widths[1:], strict=False)]
        self.convolutions = Convolutions(layers, nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio: Tensor) -> Verdict:
        missing = -audio.shape[1] % self.period
        x = pad(audio[:, None], (0, missing), mode="reflect")
        return self.convolutions(x.unflatten(-1, (-1, self.period)))


class Discriminator(nn.Module):
    """All periods and resolutions side by side."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        widths = (channels, 2 * channels, 4 * channels, 4 * channels)
        self.parts = nn.ModuleList([*(Period(p, widths) for p in PERIODS), *(Spectrogram(n, channels) for n in SIZES)])

    def forward(self, audio: Tensor) -> list[Verdict]:
        return [part(audio) for part in self.parts]


def discriminator_loss(real: list[Verdict], fake: list[Verdict]) -> Tensor:
    """Hinge (Lim and Ye 2017, arXiv:1705.02894)."""
    terms = [torch.relu(1 - r.float()).mean() + torch.relu(1 + f.float()).mean() for (r, _), (f, _) in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def generator_losses(real: list[Verdict], fake: list[Verdict]) -> tuple[Tensor, Tensor]:
    """The adversarial and the feature-matching term; the latter relative to the size of each feature."""
    adversarial = torch.stack([-f.float().mean() for f, _ in fake]).mean()
    matching = []
    for (_, wanted), (_, found) in zip(real, fake, strict=True):
        for a, b in zip(wanted, found, strict=True):
            a = a.detach().float()
            matching.append((a - b.float()).abs().mean() / a.abs().mean().clamp(min=1e-3))
    return adversarial, torch.stack(matching).mean()
