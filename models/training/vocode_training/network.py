"""Folded DiffWave: DiffWave's gated dilated residual stack (Kong et al. 2021, arXiv:2009.09761) over the waveform folded 16:1.

The waveform `[B, T]` is read as `[B, T / fold, fold]`; everything after that is channels-last, and a dilated convolution of
three taps is one matrix product over three shifted copies. The conditioner runs once per clip at frame rate and yields one
bias per layer and frame; the denoiser adds it by broadcasting over the steps of a frame.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from .mel import HIFIGAN, Convention
from .stack import Stack

# Spread of the mel about its centre that the conditioner divides by, in nepers.
MEL_SPREAD = 2.5
# Spread of the data that the preconditioning assumes (Karras et al. 2022, arXiv:2206.00364), in units of the noise.
SIGMA_DATA = 1.1


@dataclass(frozen=True)
class Config:
    """Sizes of one network; `dilations` repeat 1, 2, ... 2^(cycle - 1). What its mel decides comes last, see `hearing`."""

    fold: int = 16
    channels: int = 64
    layers: int = 12
    cycle: int = 6
    cond_channels: int = 256
    cond_blocks: int = 2
    step_channels: int = 256
    hop: int = 256
    n_mels: int = 80
    mel_centre: float = -5.0  # about the mean of what the conditioner hears, in nepers

    def hearing(self, convention: Convention) -> Config:
        """These sizes for mels of `convention`. The centre is that of `hifigan`, moved by what filters of another area do to every band."""
        if convention.hop % self.fold:
            raise ValueError(f"the hop of {convention.name!r} is {convention.hop}: expected a multiple of the fold of {self.fold}")
        moved = float(np.mean(convention.log_sums()) - np.mean(HIFIGAN.log_sums()))
        return replace(self, hop=convention.hop, n_mels=convention.n_mels, mel_centre=round(moved, 2) + Config.mel_centre)

    @staticmethod
    def sizes() -> dict[str, int]:
        """The sizes that may be chosen, with their defaults: all but what the mel decides."""
        return {name: size for name, size in asdict(Config()).items() if name not in ("hop", "n_mels", "mel_centre")}

    def dilations(self) -> list[int]:
        return [2 ** (i % self.cycle) for i in range(self.layers)]

    def denoiser_context(self) -> int:
        """Frames on each side that one denoiser call sees."""
        return math.ceil(sum(self.dilations()) * self.fold / self.hop)

    def conditioner_context(self) -> int:
        """Frames on each side that the conditioner sees: one kernel of 5, then one of 7 a block."""
        return 2 + 3 * self.cond_blocks

    def to_dict(self) -> dict[str, int | float]:
        return asdict(self)


class ConvNeXt(nn.Module):
    """A ConvNeXt block over frames, `[B, C, F]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, 2 * channels)
        self.contract = nn.Linear(2 * channels, channels)
        nn.init.zeros_(self.contract.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).transpose(1, 2))
        return x + self.contract(nn.functional.gelu(self.expand(y))).transpose(1, 2)


class Conditioner(nn.Module):
    """`mel [B, n_mels, F]` -> `cond [B, layers * 2 * channels, F]`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.cond_channels
        self.config = config
        self.input = nn.Conv1d(config.n_mels, width, 5, padding=2)
        self.blocks = nn.ModuleList(ConvNeXt(width) for _ in range(config.cond_blocks))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.layers * 2 * config.channels)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.input((mel - self.config.mel_centre) / MEL_SPREAD)
        for block in self.blocks:
            x = block(x)
        return self.output(self.norm(x.transpose(1, 2))).transpose(1, 2)


class Layer(nn.Module):
    """The weights of one gated residual layer and its plain form, `[B, S, C]` with S folded steps."""

    def __init__(self, config: Config, dilation: int) -> None:
        super().__init__()
        c = config.channels
        self.dilation = dilation
        # Three taps side by side; their bias is the condition's.
        self.taps = nn.Linear(3 * c, 2 * c, bias=False)
        self.residual = nn.Linear(c, c)
        self.skip = nn.Linear(c, c)

    def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """`bias [B, F, 2C]`: condition and step embedding of this layer. Returns the next state and the skip."""
        d, steps = self.dilation, x.shape[1]
        padded = nn.functional.pad(x, (0, 0, d, d))
        shifted = torch.cat([padded[:, :steps], x, padded[:, 2 * d : 2 * d + steps]], -1)
        u = self.taps(shifted)
        u = u.unflatten(1, (bias.shape[1], -1)) + bias[:, :, None]
        gate, content = u.flatten(1, 2).chunk(2, -1)
        product = torch.sigmoid(gate) * torch.tanh(content)
        return (x + self.residual(product)) * math.sqrt(0.5), self.skip(product)


class Denoiser(nn.Module):
    """`y [B, F * hop]`, `t [B]`, `cond [B, layers * 2C, F]` -> estimate of the clean signal `[B, F * hop]`.

    t runs from 0 (noise) to 1 (data), y = (1 - t) noise + t data. With v = (1 - t)^2 + (t s)^2 the network sees
    y / sqrt(v), and its output F is scaled back by c_skip = t s^2 / v and c_out = (1 - t) s / sqrt(v).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.input = nn.Linear(config.fold, c)
        # The condition is one value a frame; this tells the steps of a frame apart.
        self.offset_bias = nn.Parameter(torch.zeros(config.hop // config.fold, c))
        self.step1 = nn.Linear(128, config.step_channels)
        self.step2 = nn.Linear(config.step_channels, config.step_channels)
        self.step_out = nn.Linear(config.step_channels, config.layers * 2 * c)
        self.layers = nn.ModuleList(Layer(config, d) for d in config.dilations())
        self.skip = nn.Linear(c, c)
        self.output = nn.Linear(c, config.fold)
        nn.init.zeros_(self.output.weight)

    def embed(self, t: Tensor) -> Tensor:
        """Sinusoids of 1000 t, two SiLU layers, one bias per layer: `[B] -> [B, layers * 2C]`."""
        frequency = torch.exp(torch.arange(64, device=t.device) * (-math.log(10_000.0) / 63))
        angle = 1000.0 * t[:, None] * frequency
        waves = torch.cat([torch.sin(angle), torch.cos(angle)], -1)
        return self.step_out(silu(self.step2(silu(self.step1(waves)))))

    def network(self, scaled: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """The raw output F for a scaled input."""
        bias = cond.transpose(1, 2) + self.embed(t)[:, None]
        x = self.input(scaled.unflatten(-1, (-1, self.config.fold)))
        x = torch.relu(x.unflatten(1, (-1, len(self.offset_bias))) + self.offset_bias.to(x.dtype)).flatten(1, 2)
        bias = bias.unflatten(-1, (len(self.layers), -1))
        fast = self.training and x.device.type == "cpu"
        total = self.fast_stack(x, bias) if fast else self.plain_stack(x, bias)
        y = torch.relu(self.skip(total * math.sqrt(1.0 / len(self.layers))))
        return self.output(y).flatten(1)

    def plain_stack(self, x: Tensor, bias: Tensor) -> Tensor:
        """`x [B, S, C]`, `bias [B, F, L, 2C]` -> sum of the skips."""
        total: Tensor | None = None
        for i, layer in enumerate(self.layers):
            x, skip = layer(x, bias[:, :, i])
            total = skip if total is None else total + skip
        assert total is not None
        return total

    def fast_stack(self, x: Tensor, bias: Tensor) -> Tensor:
        """The same by `Stack`, in the type of `x` (bf16 under autocast)."""
        c = self.config.channels
        taps = torch.stack([layer.taps.weight for layer in self.layers]).unflatten(2, (3, c)).transpose(1, 2)
        weights = [taps.contiguous()]
        weights += [torch.stack([getattr(layer, name).weight for layer in self.layers]) for name in ("residual", "skip")]
        weights += [torch.stack([getattr(layer, name).bias for layer in self.layers]) for name in ("residual", "skip")]
        return Stack.apply(x, bias.to(x.dtype), *(w.to(x.dtype) for w in weights), self.config.dilations())

    @staticmethod
    def scales(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c_in, c_skip and c_out, each `[B, 1]`."""
        t = t[:, None]
        v = (1 - t) ** 2 + (t * SIGMA_DATA) ** 2
        return v**-0.5, t * SIGMA_DATA**2 / v, (1 - t) * SIGMA_DATA * v**-0.5

    def forward(self, y: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        c_in, c_skip, c_out = self.scales(t)
        return c_skip * y + c_out * self.network(c_in * y, t, cond).float()


class Model(nn.Module):
    """Conditioner and denoiser together, for mels of one convention."""

    def __init__(self, config: Config, convention: Convention = HIFIGAN) -> None:
        super().__init__()
        self.convention = convention
        config = self.config = config.hearing(convention)
        self.conditioner = Conditioner(config)
        self.denoiser = Denoiser(config)

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())
