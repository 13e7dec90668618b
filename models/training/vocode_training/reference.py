"""The sampler in NumPy: what the Rust engine must reproduce, in the fewest lines.

The noise is a pure function of (seed, step, sample): Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy
as 1, 2, 3") followed by Box-Muller in float64.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
import torch
from scipy.ndimage import gaussian_filter1d

from . import consistency, conventions, envelope
from .ddpm import Row
from .mel import Convention

U32 = np.uint64(0xFFFFFFFF)
LOW = np.uint64(32)

# A mel value this much above the floor is still at it; the same in `src/dsp/silence.rs`.
AT_FLOOR = 0.01


def philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
    """Ten rounds of Philox4x32: `counter [4, n]` (uint64 holding 32 bits) and a key of two words -> `[4, n]`."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> LOW) ^ c1 ^ np.uint64(k0), p1 & U32, (p0 >> LOW) ^ c3 ^ np.uint64(k1), p0 & U32
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3])


def noise(seed: int, step: int, count: int, start: int = 0) -> np.ndarray:
    """White Gaussian noise of samples `start .. start + count`; step 0 is the first state, step k + 1 the noise of row k."""
    first, last = start // 4, (start + count + 3) // 4
    block = np.arange(first, last, dtype=np.uint64)
    counter = np.stack([block & U32, block >> LOW, np.full_like(block, step), np.zeros_like(block)])
    bits = philox(counter, (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    uniform = (bits.astype(np.float64) + 0.5) / 2.0**32
    radius = np.sqrt(-2.0 * np.log(uniform[0::2]))
    angle = 2.0 * np.pi * uniform[1::2]
    normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(4, -1)
    return normal.T.reshape(-1)[start - 4 * first :][:count].astype(np.float32)


class Graphs(Protocol):
    """The two networks of a bundle and how far each sees, in frames; samples a frame, and the mel of silence."""

    conditioner_context: int
    denoiser_context: int
    hop: int
    floor: float
    convention: Convention
    log_equaliser: np.ndarray
    passes: int
    momentum: float
    sharpening: float

    def conditioner(self, mel: np.ndarray) -> np.ndarray: ...

    def denoiser(self, x: np.ndarray, t: np.ndarray, cond: np.ndarray) -> np.ndarray: ...


@dataclass
class OnnxGraphs:
    """A bundle's graphs in ONNX Runtime on the CPU."""

    manifest: dict[str, Any]
    sessions: tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]

    @staticmethod
    def load(folder: Path, threads: int = 1) -> OnnxGraphs:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        manifest = tomllib.loads((folder / "bundle.toml").read_text())
        conditioner, denoiser = (
            onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
            for name in ("conditioner", "denoiser")
        )
        return OnnxGraphs(manifest, (conditioner, denoiser))

    @property
    def conditioner_context(self) -> int:
        return self.manifest["context"]["conditioner"]

    @property
    def denoiser_context(self) -> int:
        return self.manifest["context"]["denoiser"]

    @property
    def hop(self) -> int:
        return self.manifest["mel"]["hop"]

    @property
    def floor(self) -> float:
        return conventions.floor_value(self.manifest["mel"])

    @property
    def convention(self) -> Convention:
        """Of a model in the excitation domain."""
        return Convention.of(self.manifest["mel"])

    @property
    def log_equaliser(self) -> np.ndarray:
        return np.array(self.manifest["envelope"]["log_equaliser"], np.float32)

    @property
    def passes(self) -> int:
        return self.manifest.get("consistency", {}).get("passes", 0)

    @property
    def momentum(self) -> float:
        return self.manifest.get("consistency", {}).get("momentum", 0.0)

    @property
    def sharpening(self) -> float:
        return self.manifest.get("sharpening", {}).get("bands", 0.0)

    def schedule(self, name: str | None = None) -> dict[str, Any]:
        """A named schedule, the default one where no name is given."""
        schedules = self.manifest["schedules"]
        return schedules["named"][name or schedules["default"]]

    def times(self, name: str | None = None) -> list[float]:
        """The time grid of a named schedule."""
        schedule = self.schedule(name)
        return schedule["times"] if "times" in schedule else uniform_times(schedule["steps"])

    @property
    def time_axis(self) -> int:
        """Of the condition as the graphs hold it; here it is the last."""
        dims = self.sessions[0].get_outputs()[0].shape
        return next(axis for axis, dim in enumerate(dims) if axis > 0 and isinstance(dim, str))

    def conditioner(self, mel: np.ndarray) -> np.ndarray:
        return np.moveaxis(self.sessions[0].run(None, {"mel": mel})[0], self.time_axis, -1)

    def denoiser(self, x: np.ndarray, t: np.ndarray, cond: np.ndarray) -> np.ndarray:
        cond = np.ascontiguousarray(np.moveaxis(cond, -1, self.time_axis))
        return self.sessions[1].run(None, {"x": x, "t": t, "cond": cond})[0]


def uniform_times(steps: int) -> list[float]:
    return [i / steps for i in range(steps)]


def conditions(graphs: Graphs, mel: np.ndarray) -> np.ndarray:
    """Conditions of a clip and of what the denoiser sees outside it, where the mel is at its floor."""
    reach, context = graphs.denoiser_context, graphs.conditioner_context
    frames, outside = mel.shape[1] + 2 * reach, reach + context
    cond = graphs.conditioner(np.pad(mel.astype(np.float32), ((0, 0), (outside, outside)), constant_values=graphs.floor)[None])
    rate = cond.shape[-1] // (frames + 2 * context)
    return np.ascontiguousarray(cond[..., context * rate : (context + frames) * rate])


def predict(graphs: Graphs, state: np.ndarray, t: float, cond: np.ndarray) -> np.ndarray:
    """The denoiser's answer for a clip; outside it the state is zero at every step."""
    margin = graphs.denoiser_context * graphs.hop
    return graphs.denoiser(np.pad(state, margin)[None], np.array([t], np.float32), cond)[0, margin : margin + len(state)]


def sample_excitation(graphs: Graphs, mel: np.ndarray, times: list[float], seed: int) -> np.ndarray:
    """Flow sampling, `mel [n_mels, F]` -> excitation `[F * hop]`.

    Euler steps towards the estimate of the clean signal: y + (t' - t) / (1 - t) (estimate - y), the last one exact.
    """
    cond = conditions(graphs, mel)
    state = noise(seed, 0, mel.shape[1] * graphs.hop)
    for t, following in zip(times, [*times[1:], 1.0], strict=True):
        estimate = predict(graphs, state, t, cond)
        g = (following - t) / (1.0 - t)
        state = (np.float32(1.0 - g) * state + np.float32(g) * estimate).astype(np.float32)
    return state


def sample_waveform(graphs: Graphs, mel: np.ndarray, rows: list[Row], seed: int, clamp: tuple[float, float] | None = None) -> np.ndarray:
    """Ancestral sampling of a DDPM, `mel [n_mels, F]` -> audio `[F * hop]`; the state is clamped after every step where asked."""
    cond = conditions(graphs, mel)
    state = noise(seed, 0, mel.shape[1] * graphs.hop)
    for k, row in enumerate(rows):
        epsilon = predict(graphs, state, row.t, cond).astype(np.float64)
        state = row.c1 * (state - row.c2 * epsilon) + row.sigma * noise(seed, k + 1, len(state))
        state = (state if clamp is None else np.clip(state, *clamp)).astype(np.float32)
    return state


def synthesise(graphs: Graphs, mel: np.ndarray, times: list[float], seed: int = 0, passes: int | None = None) -> np.ndarray:
    """`mel [n_mels, F]` in the convention of the graphs -> audio `[F * hop]`, with the bundle's passes of mel consistency or as many as are asked for."""
    mel = sharpened(graphs.convention, mel, graphs.sharpening)
    excitation = torch.from_numpy(sample_excitation(graphs, mel, times, seed))
    heard = torch.from_numpy(mel)[None]
    audio = envelope.unwhiten(graphs.convention, excitation[None], heard, torch.from_numpy(graphs.log_equaliser))
    audio = consistency.refine(graphs.convention, audio, heard, graphs.passes if passes is None else passes, graphs.momentum)[0].numpy()
    return silenced(audio, mel, graphs.floor, graphs.hop)


def sharpened(convention: Convention, mel: np.ndarray, amount: float) -> np.ndarray:
    """`mel [n_mels, F]` with `amount` times what each band stands out of those around it, under a Gaussian of a standard deviation of one band,
    added to it; the energy of each frame stays, and nothing gets below the floor. The Rust twin is `src/mel/sharpen.rs`."""
    if not amount:
        return mel
    around = gaussian_filter1d(mel.astype(np.float64), 1.0, axis=0, mode="nearest", truncate=4.0)
    sharp = mel + amount * (mel - around)
    louder = np.log(convention.energies(sharp) / convention.energies(mel)) / 2
    return np.maximum(sharp - louder, convention.log_floor).astype(np.float32)


def silenced(audio: np.ndarray, mel: np.ndarray, floor: float, hop: int) -> np.ndarray:
    """`audio [F * hop]` with zeros where a frame of `mel [n_mels, F]` and its neighbours are at the floor, and a fade in the frames beside
    those. The Rust twin is `src/dsp/silence.rs`."""
    at_floor = np.pad((mel <= floor + AT_FLOOR).all(0), 2, constant_values=True)
    silent = at_floor[:-2] & at_floor[1:-1] & at_floor[2:]
    before, here, after = silent[:-2], silent[1:-1], silent[2:]
    fade = (np.arange(hop, dtype=np.float32) + np.float32(0.5)) / np.float32(hop)
    gains = np.ones((mel.shape[1], hop), np.float32)
    gains[after], gains[before], gains[here] = fade[::-1], fade, 0.0
    return audio * gains.ravel()
