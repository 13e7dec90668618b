"""DiffWave (Kong et al. 2021, arXiv:2009.09761) with the weights of either published layout, and its plain form in PyTorch.

Where the two layouts differ, the network carries the difference: `steps` (the step embedding), one upsampler or one a layer,
and `step_stays` (whether a layer's step bias goes on along the residual path). The rows of every gated convolution are in one
order, gate (sigmoid) before content (tanh).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose2d, leaky_relu, linear, silu

LEAK = 0.4


class Affine(NamedTuple):
    """`weight [out, in, ...]` and `bias [out]`."""

    weight: Tensor
    bias: Tensor

    def halves(self) -> tuple[Affine, Affine]:
        """First and last half of the outputs."""
        (w0, w1), (b0, b1) = self.weight.chunk(2), self.bias.chunk(2)
        return Affine(w0, b0), Affine(w1, b1)

    def rounded(self) -> Affine:
        """With the weight as it is after storage in float16."""
        return Affine(self.weight.half().float(), self.bias)


@dataclass(frozen=True)
class StepTable:
    """lmnt: one row of 128 waves a training step, `[T, 128]`; a fractional step lies on the line between its neighbours."""

    rows: Tensor

    @staticmethod
    def of(steps: int) -> StepTable:
        """sin and cos of n 10^(4j/63), j = 0 .. 63, rounded in float32 at every stage as in training."""
        frequency = 10.0 ** (torch.arange(64) * 4.0 / 63.0)
        angle = torch.arange(steps)[:, None] * frequency
        return StepTable(torch.cat([torch.sin(angle), torch.cos(angle)], 1))

    def __call__(self, t: Tensor) -> Tensor:
        t = t.clamp(0, len(self.rows) - 1)
        low = self.rows[t.floor().long()]
        return low + (self.rows[t.ceil().long()] - low) * (t - t.floor())[:, None]


@dataclass(frozen=True)
class StepWaves:
    """philsyn: sin and cos of t 10^(-4j/63), j = 0 .. 63, at any t."""

    frequency: Tensor

    @staticmethod
    def new() -> StepWaves:
        return StepWaves(torch.exp(torch.arange(64) * -(math.log(10_000.0) / 63)))

    def __call__(self, t: Tensor) -> Tensor:
        angle = t[:, None] * self.frequency
        return torch.cat([torch.sin(angle), torch.cos(angle)], 1)


class Upsampler(NamedTuple):
    """Two transposed convolutions over (band, time), weights `[3, 2 * stride]` and biases `[1]`, each before a leaky ReLU."""

    first: Affine
    second: Affine

    def strides(self) -> tuple[int, int]:
        return self.first.weight.shape[1] // 2, self.second.weight.shape[1] // 2


@dataclass(frozen=True)
class Layer:
    """One gated residual layer of C channels, with M mel bands and S skip channels."""

    dilation: int
    # Step bias [C, E], dilated taps [2C, C, 3], condition [2C, M], residual [C, C], skip [S, C].
    step: Affine
    taps: Affine
    cond: Affine
    residual: Affine
    skip: Affine


@dataclass(frozen=True)
class DiffWave:
    """`x [B, N]`, `t [B]` in training steps and `mel [B, n_mels, F]` -> the noise in x, N = F * hop."""

    input: Affine
    steps: StepTable | StepWaves
    step1: Affine
    step2: Affine
    layers: list[Layer]
    # One for all layers, or one a layer.
    upsamplers: list[Upsampler]
    skip: Affine
    output: Affine
    step_stays: bool

    @property
    def channels(self) -> int:
        return len(self.input.bias)

    @property
    def n_mels(self) -> int:
        return self.layers[0].cond.weight.shape[1]

    @property
    def hop(self) -> int:
        return math.prod(self.upsamplers[0].strides())

    @property
    def shared(self) -> bool:
        """Whether one upsampler serves all layers: then the conditioner runs all of it, otherwise only the first convolutions."""
        return len(self.upsamplers) == 1

    def contexts(self) -> tuple[int, int]:
        """Frames on each side that one denoiser call and one conditioner call see, exactly."""
        first, second = self.upsamplers[0].strides()
        samples = sum(layer.dilation for layer in self.layers)
        denoiser = math.ceil(samples / self.hop)
        if self.shared:
            rows = _sources(*_sources(0, self.hop - 1, second), first)
            return denoiser, max(-rows[0], rows[1])
        # The first layer's output, and so its condition, is seen from everything but its own taps away.
        far = samples - self.layers[0].dilation
        low, high = _sources(-far, self.hop - 1 + far, second)
        denoiser = max(denoiser, -(low // first), high // first)
        rows = _sources(0, first - 1, first)
        return denoiser, max(-rows[0], rows[1])

    def rounded(self) -> DiffWave:
        """With every matrix as it is after storage in float16."""
        layers = [
            Layer(layer.dilation, *(a.rounded() for a in (layer.step, layer.taps, layer.cond, layer.residual, layer.skip))) for layer in self.layers
        ]
        parts = {name: getattr(self, name).rounded() for name in ("input", "step1", "step2", "skip", "output")}
        upsamplers = [Upsampler(u.first.rounded(), u.second.rounded()) for u in self.upsamplers]
        return replace(self, layers=layers, upsamplers=upsamplers, **parts)

    def conditioner(self, mel: Tensor) -> Tensor:
        """`cond`: `[B, n_mels, N]` where the upsampler is shared, the first convolutions' `[B, layers * n_mels, F * stride]` otherwise."""
        if self.shared:
            (upsampler,) = self.upsamplers
            return _upsample(_upsample(mel, upsampler.first), upsampler.second)
        return torch.cat([_upsample(mel, u.first) for u in self.upsamplers], 1)

    def denoiser(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        embedding = silu(linear(silu(linear(self.steps(t), *self.step1)), *self.step2))
        state = torch.relu(conv1d(x[:, None], self.input.weight[..., None], self.input.bias))
        total = torch.zeros(1)
        for i, layer in enumerate(self.layers):
            layer_cond = cond if self.shared else _upsample(cond.chunk(len(self.layers), 1)[i], self.upsamplers[i].second)
            biased = state + linear(embedding, *layer.step)[..., None]
            both = conv1d(biased, *layer.taps, padding=layer.dilation, dilation=layer.dilation) + pointwise(layer_cond, layer.cond)
            gate, content = both.chunk(2, 1)
            product = torch.sigmoid(gate) * torch.tanh(content)
            state = ((biased if self.step_stays else state) + pointwise(product, layer.residual)) * math.sqrt(0.5)
            total = total + pointwise(product, layer.skip)
        y = torch.relu(pointwise(total * math.sqrt(1.0 / len(self.layers)), self.skip))
        return pointwise(y, self.output)[:, 0]


def pointwise(x: Tensor, affine: Affine) -> Tensor:
    return conv1d(x, affine.weight[..., None], affine.bias)


def _upsample(bands: Tensor, affine: Affine) -> Tensor:
    """`[B, M, W]` -> `[B, M, W * stride]`."""
    stride = affine.weight.shape[1] // 2
    image = conv_transpose2d(bands[:, None], affine.weight[None, None], affine.bias, (1, stride), (1, stride // 2))
    return leaky_relu(image, LEAK)[:, 0]


def _sources(low: int, high: int, stride: int) -> tuple[int, int]:
    """First and last input of a transposed convolution that its outputs `low ..= high` are made of."""
    return (low - stride // 2) // stride, (high + stride // 2) // stride
