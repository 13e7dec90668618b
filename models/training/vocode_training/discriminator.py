"""Multi-resolution spectrogram discriminators (Jang et al. 2021, UnivNet, arXiv:2106.07889), small enough for a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu


class Spectrogram(nn.Module):
    """One resolution: `[B, T]` audio -> score map and the features on the way to it."""

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

        def conv(inputs: int, kernel: tuple[int, int], stride: int) -> nn.Module:
            padding = (kernel[0] // 2, kernel[1] // 2)
            return nn.utils.parametrizations.weight_norm(nn.Conv2d(inputs, channels, kernel, (1, stride), padding))

        self.convs = nn.ModuleList([conv(1, (3, 9), 2), conv(channels, (3, 9), 2), conv(channels, (3, 9), 2), conv(channels, (3, 3), 1)])
        self.score = nn.utils.parametrizations.weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        with torch.autocast(audio.device.type, enabled=False):
            spectrum = torch.stft(audio.float(), self.n_fft, self.n_fft // 4, self.n_fft, self.window, return_complex=True)
            power = (spectrum.real**2 + spectrum.imag**2) / self.window.pow(2).sum()
            x = 0.5 * torch.log10(power + 1e-6).transpose(1, 2)[:, None]
        features = []
        for conv in self.convs:
            x = leaky_relu(conv(x), 0.1)
            features.append(x)
        return self.score(x), features


class Discriminator(nn.Module):
    """Three resolutions side by side."""

    def __init__(self, channels: int = 16, sizes: tuple[int, ...] = (512, 1024, 2048)) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Spectrogram(n, channels) for n in sizes)

    def forward(self, audio: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        return [part(audio) for part in self.parts]


def discriminator_loss(real: list[tuple[Tensor, list[Tensor]]], fake: list[tuple[Tensor, list[Tensor]]]) -> Tensor:
    """Least squares (Mao et al. 2017)."""
    terms = [((1 - r) ** 2).mean() + (f**2).mean() for (r, _), (f, _) in zip(real, fake, strict=True)]
    return torch.stack([term.float() for term in terms]).mean()


def generator_losses(real: list[tuple[Tensor, list[Tensor]]], fake: list[tuple[Tensor, list[Tensor]]]) -> tuple[Tensor, Tensor]:
    """The adversarial and the feature-matching term."""
    adversarial = torch.stack([((1 - f) ** 2).mean().float() for f, _ in fake]).mean()
    matching = [(a.detach() - b).abs().mean().float() for (_, r), (_, f) in zip(real, fake, strict=True) for a, b in zip(r, f, strict=True)]
    return adversarial, torch.stack(matching).mean()
