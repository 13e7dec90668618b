"""A mel convention that models are trained in: one value that the analysis, the envelope, the consistency pass and the losses are given.

Models are trained in natural logarithms of magnitudes. What differs from that by more than a formula of each value is another convention;
what does not (another logarithm, offsets, a normalisation) vocode converts exactly, and no model of its own is needed for it.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import conventions
from .conventions import Table


@dataclass(frozen=True)
class Convention:
    """The numbers of a mel `log(max(sum_k filter[band, k] sqrt(|X[k]|^2 + magnitude_epsilon), floor))`, X the FFT of a frame under a periodic
    Hann window of `win_length` samples, centred in `n_fft`."""

    name: str
    sample_rate: int
    n_fft: int
    win_length: int
    hop: int
    n_mels: int
    f_min: float
    f_max: float
    scale: str  # slaney or htk
    norm: str  # slaney: filters of unit area over Hz; none: of unit peak
    framing: str  # hop or center
    magnitude_epsilon: float
    floor: float

    @staticmethod
    def of(table: Table) -> Convention:
        """The table of a manifest or of a TOML file, or ValueError where it is not of the kind that models are trained in."""
        usual = {"kind": "ln", "scale": 1.0, "offset": 0.0, "mean": 0.0, "std": 1.0, "floor_mode": "clamp", "clip": None}
        compression = usual | {"kind": None} | table["compression"]
        odd = [f"compression.{key} = {compression[key]}" for key, value in usual.items() if compression[key] != value]
        odd += [f"{key} = {table[key]}" for key in ("power", "gain") if table.get(key, 1.0) != 1.0]
        if odd:
            raise ValueError(
                f"convention {table['name']!r} has {', '.join(odd)}: models are trained on natural logarithms of magnitudes, "
                "clamped at a floor; give the convention without it, which vocode converts to and from exactly"
            )
        fields = {name: table[name] for name in Convention.__dataclass_fields__ if name not in ("floor", "magnitude_epsilon")}
        return Convention(**fields, magnitude_epsilon=table.get("magnitude_epsilon", 0.0), floor=compression["floor"])

    def table(self) -> Table:
        """What `of` takes: the `[mel]` table of a bundle."""
        fields = asdict(self)
        epsilon, floor = fields.pop("magnitude_epsilon"), fields.pop("floor")
        return {**fields, "power": 1.0, "magnitude_epsilon": epsilon, "gain": 1.0, "compression": {"kind": "ln", "floor": floor}}

    @property
    def log_floor(self) -> float:
        """The mel value of silence."""
        return math.log(self.floor)

    @property
    def before(self) -> int:
        """Samples before the first frame's own that its FFT reaches: what reflection pads on each side."""
        return (self.n_fft - self.hop) // 2 if self.framing == "hop" else self.n_fft // 2

    @property
    def centre(self) -> int:
        """The sample of its own, of `hop`, on which a frame's window is centred."""
        return self.n_fft // 2 - self.before

    @property
    def after(self) -> int:
        """Samples after the last frame's own that its FFT reaches."""
        return self.n_fft // 2 + self.centre - self.hop

    @property
    def nyquist(self) -> float:
        return self.sample_rate / 2

    def filterbank(self) -> np.ndarray:
        """Triangular filters `[n_mels, n_fft / 2 + 1]`, float64."""
        return _filterbank(self)

    def log_sums(self) -> np.ndarray:
        """Natural logarithm of the sum of each filter, `[n_mels]`: the mel of a spectrum of ones."""
        return np.log(self.filterbank().sum(1))

    def energies(self, mel: np.ndarray) -> np.ndarray:
        """Energy of each frame of `mel [n_mels, F]`, to a common factor: the squared magnitude behind a band times its width."""
        edges = _edges(self)
        widths = edges[2:] - edges[:-2]
        weights = widths if self.norm == "slaney" else 1.0 / widths
        return np.sum(weights[:, None] * np.exp(2.0 * mel.astype(np.float64)), 0)

    def of_padded(self, padded: Tensor) -> Tensor:
        """Mel of audio that already carries `before` samples of context at its start and `after` at its end.

        `padded` is `[B, before + F * hop + after]`; the result `[B, n_mels, F]`, in double precision where `padded` is, else in single.
        """
        if padded.dtype != torch.float64:
            padded = padded.float()
        bank, _ = _tensors(self, padded.device, padded.dtype)
        return torch.log(torch.clamp(bank @ self.magnitudes(self.spectrum(padded)), min=self.floor))

    def spectrum(self, padded: Tensor) -> Tensor:
        """Frames of `padded`, as `of_padded` takes it: complex, `[B, n_fft / 2 + 1, F]`."""
        window = _tensors(self, padded.device, padded.dtype)[1]
        return torch.stft(padded, self.n_fft, self.hop, self.win_length, window, center=False, return_complex=True)

    def magnitudes(self, spectrum: Tensor) -> Tensor:
        """`sqrt(|X|^2 + magnitude_epsilon)`; without an epsilon, its gradient at nothing at all is held finite."""
        return torch.sqrt(spectrum.real**2 + spectrum.imag**2 + max(self.magnitude_epsilon, 1e-18))

    def mel(self, audio: Tensor) -> Tensor:
        """Mel of whole clips padded by reflection: `[B, N]` -> `[B, n_mels, F]`, F = N // hop in hop framing and 1 + N // hop in centred.

        Computed in double precision, as in Rust: near the floor what a single-precision FFT gives differs by 1e-4 from processor to processor.
        """
        padded = torch.nn.functional.pad(audio.double()[:, None], (self.before, self.before), mode="reflect")[:, 0]
        return self.of_padded(padded).float()

    def whole(self, audio: np.ndarray) -> np.ndarray:
        """The clip cut to a multiple of the hop, so that a synthesis of its mel is as long, or in centred framing a hop longer."""
        return audio[: len(audio) // self.hop * self.hop]


HIFIGAN = Convention.of(conventions.HIFIGAN)
VOCOS24K = Convention.of(conventions.VOCOS24K)


def convention(word: str) -> Convention:
    """`--convention`: a name or a TOML file."""
    try:
        return Convention.of(conventions.named(word))
    except (ValueError, KeyError, TypeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_option(parser: argparse.ArgumentParser, **more: Any) -> None:
    """The option `--convention`."""
    presets = [name for name, table in conventions.PRESETS.items() if table["compression"]["kind"] == "ln"]
    words = f"the mel convention: {', '.join(presets)}, or a TOML file in the words of `vocode --mel-convention`"
    parser.add_argument("--convention", type=convention, default=HIFIGAN, help=words, **more)


def _hz_to_mel(hz: np.ndarray, scale: str) -> np.ndarray:
    """Slaney's scale (Auditory Toolbox): linear below 1 kHz, logarithmic above. HTK's: 2595 log10(1 + f / 700)."""
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    linear = hz / (200.0 / 3)
    log = 15.0 + np.log(np.maximum(hz, 1e-9) / 1000.0) / (math.log(6.4) / 27.0)
    return np.where(hz >= 1000.0, log, linear)


def _mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    linear = mel * (200.0 / 3)
    log = 1000.0 * np.exp((math.log(6.4) / 27.0) * (mel - 15.0))
    return np.where(mel >= 15.0, log, linear)


def _edges(c: Convention) -> np.ndarray:
    """Where the triangles begin, peak and end, in Hz: `[n_mels + 2]`."""
    return _mel_to_hz(np.linspace(*_hz_to_mel(np.array([c.f_min, c.f_max]), c.scale), c.n_mels + 2), c.scale)


@lru_cache(maxsize=8)
def _filterbank(c: Convention) -> np.ndarray:
    edges = _edges(c)
    bins = np.arange(c.n_fft // 2 + 1) * c.sample_rate / c.n_fft
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return weights * (2.0 / (edges[2:] - edges[:-2]))[:, None] if c.norm == "slaney" else weights


@lru_cache(maxsize=8)
def _tensors(c: Convention, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    bank = torch.tensor(c.filterbank(), dtype=dtype, device=device)
    return bank, torch.hann_window(c.win_length, dtype=dtype, device=device)
