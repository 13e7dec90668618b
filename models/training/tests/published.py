"""Random checkpoints in the two published layouts, and the networks that they belong to, each written out from its description.

Nothing here is shared with the package: keys, shapes and arithmetic are stated a second time.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


class Weights:
    """Seeded weights of the size that keeps a layer's output near 1."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.state: State = {}

    def draw(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator)

    def plain(self, key: str, *shape: int) -> None:
        fan = math.prod(shape[1:])
        self.state[f"{key}.weight"] = self.draw(*shape) / math.sqrt(fan)
        self.state[f"{key}.bias"] = 0.2 * self.draw(shape[0])

    def normed(self, key: str, *shape: int) -> None:
        """Weight norm over all axes but the first; the lengths are not those of the directions."""
        self.state[f"{key}.bias"] = 0.2 * self.draw(shape[0])
        self.state[f"{key}.weight_g"] = 0.5 + torch.rand(shape[0], *[1] * (len(shape) - 1), generator=self.generator)
        self.state[f"{key}.weight_v"] = 3.0 * self.draw(*shape)


def lmnt_state(channels: int = 64, layers: int = 30, mels: int = 80, seed: int = 0) -> State:
    w = Weights(seed)
    w.plain("input_projection", channels, 1, 1)
    w.plain("diffusion_embedding.projection1", 512, 128)
    w.plain("diffusion_embedding.projection2", 512, 512)
    for name in ("conv1", "conv2"):
        w.plain(f"spectrogram_upsampler.{name}", 1, 1, 3, 32)
        w.state[f"spectrogram_upsampler.{name}.weight"] *= 4.0
    for i in range(layers):
        w.plain(f"residual_layers.{i}.dilated_conv", 2 * channels, channels, 3)
        w.plain(f"residual_layers.{i}.diffusion_projection", channels, 512)
        w.plain(f"residual_layers.{i}.conditioner_projection", 2 * channels, mels, 1)
        w.plain(f"residual_layers.{i}.output_projection", 2 * channels, channels, 1)
    w.plain("skip_projection", channels, channels, 1)
    w.plain("output_projection", 1, channels, 1)
    return w.state


def lmnt_checkpoint(state: State, cycle: int = 10, steps: int = 50, last_beta: float = 0.05, **params: object) -> dict:
    """As `weights.pt` is: with optimiser, scaler and parameters."""
    known = {"residual_layers": sum(k.endswith("dilated_conv.bias") for k in state), "residual_channels": len(state["input_projection.bias"])}
    betas = torch.linspace(1e-4, last_beta, steps, dtype=torch.float64).tolist()
    audio = {"sample_rate": 22_050, "n_mels": 80, "n_fft": 1024, "hop_samples": 256, "crop_mel_frames": 62, "audio_len": 110_250}
    more = {"dilation_cycle_length": cycle, "unconditional": False, "noise_schedule": betas}
    fast = {"inference_noise_schedule": [1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5], "learning_rate": 2e-4, "max_grad_norm": None}
    moments = {i: {"step": torch.tensor(7.0), "exp_avg": 0.0 * v, "exp_avg_sq": 0.0 * v} for i, v in enumerate(state.values())}
    groups = [{"lr": 2e-4, "betas": (0.9, 0.999), "eps": 1e-8, "params": list(range(len(state)))}]
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 0}
    return {
        "step": 1_000_578,
        "model": state,
        "optimizer": {"state": moments, "param_groups": groups},
        "params": {**audio, **known, **more, **fast, **params},
        "scaler": scaler,
    }


def lmnt_noise(state: State, audio: Tensor, mel: Tensor, t: Tensor, cycle: int = 10, steps: int = 50) -> Tensor:
    """The noise in `audio [B, N]` at fractional steps `t [B]`."""

    def conv(key: str, x: Tensor, **more: int) -> Tensor:
        return F.conv1d(x, state[f"{key}.weight"], state[f"{key}.bias"], **more)

    def fc(key: str, x: Tensor) -> Tensor:
        return x @ state[f"{key}.weight"].T + state[f"{key}.bias"]

    exponents = torch.arange(64).unsqueeze(0) * 4.0 / 63.0
    angles = torch.arange(steps).unsqueeze(1) * 10.0**exponents
    table = torch.cat([angles.sin(), angles.cos()], dim=1)
    below, above = table[t.floor().long()], table[t.ceil().long()]
    e = torch.lerp(below, above, (t - t.floor()).unsqueeze(1))
    for key in ("projection1", "projection2"):
        e = F.silu(fc(f"diffusion_embedding.{key}", e))
    c = mel.unsqueeze(1)
    for key in ("conv1", "conv2"):
        name = f"spectrogram_upsampler.{key}"
        c = F.leaky_relu(F.conv_transpose2d(c, state[f"{name}.weight"], state[f"{name}.bias"], stride=(1, 16), padding=(1, 8)), 0.4)
    c = c.squeeze(1)

    layers = sum(k.endswith("dilated_conv.bias") for k in state)
    x = F.relu(conv("input_projection", audio.unsqueeze(1)))
    skips = []
    for i in range(layers):
        key, d = f"residual_layers.{i}", 2 ** (i % cycle)
        y = x + fc(f"{key}.diffusion_projection", e).unsqueeze(-1)
        y = conv(f"{key}.dilated_conv", y, padding=d, dilation=d) + conv(f"{key}.conditioner_projection", c)
        first, second = y.chunk(2, dim=1)
        y = conv(f"{key}.output_projection", first.sigmoid() * second.tanh())
        residual, skip = y.chunk(2, dim=1)
        x = (x + residual) / math.sqrt(2.0)
        skips.append(skip)
    x = torch.stack(skips).sum(0) / math.sqrt(layers)
    return conv("output_projection", F.relu(conv("skip_projection", x))).squeeze(1)


def philsyn_state(channels: int = 64, layers: int = 30, mels: int = 80, seed: int = 0) -> State:
    w = Weights(seed)
    w.normed("init_conv.0.conv", channels, 1, 1)
    w.plain("residual_layer.fc_t1", 512, 128)
    w.plain("residual_layer.fc_t2", 512, 512)
    for i in range(layers):
        key = f"residual_layer.residual_blocks.{i}"
        w.plain(f"{key}.fc_t", channels, 512)
        w.normed(f"{key}.dilated_conv_layer.conv", 2 * channels, channels, 3)
        for n in range(2):
            w.normed(f"{key}.upsample_conv2d.{n}", 1, 1, 3, 32)
            w.state[f"{key}.upsample_conv2d.{n}.weight_g"] *= 4.0
        w.normed(f"{key}.mel_conv.conv", 2 * channels, mels, 1)
        w.normed(f"{key}.res_conv", channels, channels, 1)
        w.normed(f"{key}.skip_conv", channels, channels, 1)
    w.normed("final_conv.0.conv", channels, channels, 1)
    w.plain("final_conv.2.conv", 1, channels, 1)
    return w.state


def philsyn_checkpoint(state: State) -> dict:
    """As the `.pkl` files are."""
    return {"iter": 1_000_000, "model_state_dict": state, "optimizer_state_dict": {"state": {}, "param_groups": []}, "training_time_seconds": 123_456}


def philsyn_noise(state: State, audio: Tensor, mel: Tensor, t: Tensor, cycle: int = 10) -> Tensor:
    """The noise in `audio [B, N]` at steps `t [B]`."""

    def weight(key: str) -> Tensor:
        if f"{key}.weight" in state:
            return state[f"{key}.weight"]
        v = state[f"{key}.weight_v"]
        length = v.pow(2).flatten(1).sum(1).sqrt().reshape(-1, *[1] * (v.ndim - 1))
        return state[f"{key}.weight_g"] * v / length

    def conv(key: str, x: Tensor, **more: int) -> Tensor:
        return F.conv1d(x, weight(key), state[f"{key}.bias"], **more)

    def fc(key: str, x: Tensor) -> Tensor:
        return F.linear(x, weight(key), state[f"{key}.bias"])

    frequencies = torch.exp(torch.arange(64) * -math.log(10_000) / 63)
    e = t.unsqueeze(1) * frequencies
    e = torch.cat([e.sin(), e.cos()], dim=1)
    for key in ("fc_t1", "fc_t2"):
        e = fc(f"residual_layer.{key}", e)
        e = e * torch.sigmoid(e)

    channels = len(state["init_conv.0.conv.bias"])
    layers = sum(k.endswith("res_conv.bias") for k in state)
    h = F.relu(conv("init_conv.0.conv", audio.unsqueeze(1)))
    total = torch.zeros(())
    for i in range(layers):
        key, d = f"residual_layer.residual_blocks.{i}", 2 ** (i % cycle)
        x = h
        x += fc(f"{key}.fc_t", e).unsqueeze(-1)  # In place: what the residual path keeps has it too.
        y = conv(f"{key}.dilated_conv_layer.conv", x, padding=d, dilation=d)
        c = mel.unsqueeze(1)
        for n in range(2):
            name = f"{key}.upsample_conv2d.{n}"
            c = F.leaky_relu(F.conv_transpose2d(c, weight(name), state[f"{name}.bias"], stride=(1, 16), padding=(1, 8)), 0.4)
        y = y + conv(f"{key}.mel_conv.conv", c.squeeze(1))
        y = torch.tanh(y[:, :channels]) * torch.sigmoid(y[:, channels:])
        h = (x + conv(f"{key}.res_conv", y)) * math.sqrt(0.5)
        total = total + conv(f"{key}.skip_conv", y)
    y = F.relu(conv("final_conv.0.conv", total * math.sqrt(1.0 / layers)))
    return conv("final_conv.2.conv", y).squeeze(1)
