"""The shapes of HiFi-GAN and Vocos, written from their papers, with random weights: they take the time of the trained ones and say nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import fold, leaky_relu

from .systems import HOP, MELS

SLOPE = 0.1
N_FFT = 1024
# The largest magnitude that Vocos makes.
LOUDEST = 100.0


class Residual(nn.Module):
    """One residual stack of HiFi-GAN: pairs of convolutions, the first of each pair dilated."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Conv1d:
            return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=(kernel - 1) * dilation // 2)

        self.pairs = nn.ModuleList(nn.ModuleList([convolution(d), convolution(1)]) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in self.pairs:
            x = x + plain(leaky_relu(dilated(leaky_relu(x, SLOPE)), SLOPE))
        return x


class HifiGan(nn.Module):
    """HiFi-GAN's generator (Kong et al. 2020, arXiv:2010.05646, appendix A.1): 512 channels are V1, 128 are V2. `[B, 80, F]` -> `[B, F * 256]`."""

    STRIDES, KERNELS = (8, 8, 2, 2), (16, 16, 4, 4)
    GAPS, DILATIONS = (3, 7, 11), (1, 3, 5)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(MELS, channels, 7, padding=3)
        self.ups, self.gaps = nn.ModuleList(), nn.ModuleList()
        for stride, kernel in zip(self.STRIDES, self.KERNELS, strict=True):
            self.ups.append(nn.ConvTranspose1d(channels, channels // 2, kernel, stride, padding=(kernel - stride) // 2))
            channels //= 2
            self.gaps.append(nn.ModuleList(Residual(channels, size, self.DILATIONS) for size in self.GAPS))
        self.last = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.first(mel)
        for up, gaps in zip(self.ups, self.gaps, strict=True):
            x = up(leaky_relu(x, SLOPE))
            x = sum(gap(x) for gap in gaps) / len(gaps)
        return torch.tanh(self.last(leaky_relu(x)))[:, 0]


class Block(nn.Module):
    """A ConvNeXt block over frames."""

    def __init__(self, width: int, inner: int, layers: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.wide, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.scale = nn.Parameter(torch.full((width,), 1.0 / layers))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).transpose(1, 2))
        return x + (self.scale * self.narrow(nn.functional.gelu(self.wide(y)))).transpose(1, 2)


class VocosSpectrum(nn.Module):
    """Vocos (Siuzdak 2023, arXiv:2306.00814) up to the spectrum: `[B, mels, F]` -> real and imaginary part `[B, 513, F]`."""

    def __init__(self, mels: int = MELS, width: int = 512, inner: int = 1536, layers: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv1d(mels, width, 7, padding=3)
        self.before, self.after = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(Block(width, inner, layers) for _ in range(layers))
        self.head = nn.Linear(width, N_FFT + 2)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        x = self.before(self.first(mel).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        log_magnitude, phase = self.head(self.after(x.transpose(1, 2))).transpose(1, 2).chunk(2, 1)
        magnitude = log_magnitude.exp().clamp(max=LOUDEST)
        return magnitude * torch.cos(phase), magnitude * torch.sin(phase)


class Vocos(nn.Module):
    """The whole of it: `[B, 80, F]` -> `[B, F * 256]`."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = VocosSpectrum()
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def forward(self, mel: Tensor) -> Tensor:
        real, imaginary = self.spectrum(mel)
        frames = torch.fft.irfft(torch.complex(real, imaginary), dim=1) * self.window[:, None]
        return self.overlap(frames) / self.overlap((self.window**2)[None, :, None].expand(1, -1, mel.shape[2]))

    @staticmethod
    def overlap(frames: Tensor) -> Tensor:
        """Adds frames up and cuts what the first and last windows reach beyond the clip."""
        count = frames.shape[2]
        whole = fold(frames, (1, (count - 1) * HOP + N_FFT), (1, N_FFT), stride=(1, HOP))[:, 0, 0]
        margin = (N_FFT - HOP) // 2
        return whole[:, margin : margin + count * HOP]


def network(model: str) -> nn.Module:
    """A network by name, its random weights always the same."""
    torch.manual_seed(0)
    match model:
        case "hifigan-v1":
            return HifiGan(512).eval()
        case "hifigan-v2":
            return HifiGan(128).eval()
        case "vocos":
            return Vocos().eval()
    raise ValueError(f"no network is called {model}")


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
