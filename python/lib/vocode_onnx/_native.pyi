from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

_Tensor: TypeAlias = Any
"""A torch tensor; torch need not be there."""

_Convention: TypeAlias = MelConvention | str | PathLike[str]
_Layout: TypeAlias = Literal["bands-first", "frames-first", "auto"]
_Solver: TypeAlias = Literal["euler", "heun", "midpoint", "dpm-solver++", "predictor-corrector", "ancestral", "ddim"]

@final
class MelConvention:
    """What the numbers of a mel mean: rate, FFT, hop, bands and the logarithm."""

    def __init__(self, name: str = "hifigan", *, mean: float | None = None, std: float | None = None) -> None: ...
    @staticmethod
    def from_toml(text: str) -> MelConvention: ...
    @staticmethod
    def names() -> list[str]: ...
    def normalized(self, mean: float | None = None, std: float | None = None) -> MelConvention: ...
    @property
    def name(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def n_fft(self) -> int: ...
    @property
    def win_length(self) -> int: ...
    @property
    def hop(self) -> int: ...
    @property
    def n_mels(self) -> int: ...
    @property
    def f_min(self) -> float: ...
    @property
    def f_max(self) -> float: ...
    @property
    def mean(self) -> float: ...
    @property
    def std(self) -> float: ...

@final
class AudioStream(Iterator[NDArray[np.float32]]):
    """The audio of ``Vocoder.stream``: float32 arrays, [samples] each, full scale 1."""

    def __iter__(self) -> AudioStream: ...
    def __next__(self) -> NDArray[np.float32]: ...

@final
class Vocoder:
    """A loaded vocoder: mel spectrogram in, speech out."""

    def __init__(
        self,
        model: str | PathLike[str] | None = "default",
        provider: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto",
        threads: int | None = None,
        *,
        precision: Literal["auto", "float", "int8"] = "auto",
        device: int = 0,
        ort_lib: str | PathLike[str] | None = None,
    ) -> None: ...
    def decode(
        self,
        mel: ArrayLike | _Tensor,
        steps: int | None = None,
        seed: int = 0,
        *,
        schedule: str | Sequence[float] | None = None,
        solver: _Solver | None = None,
        mel_convention: _Convention | None = None,
        layout: _Layout = "bands-first",
        lengths: Sequence[int] | None = None,
        trim_padding: bool = False,
        approximate_mel: bool = False,
        restore: bool = False,
        sharpen: float | None = None,
        sample_rate: int | None = None,
        watermark: bool | int | None = None,
        watermark_key: bytes | None = None,
    ) -> NDArray[np.float32]:
        """[n_mels, frames] -> [samples]; [batch, n_mels, frames] -> [batch, samples]."""

    def stream(
        self,
        mels: Iterable[ArrayLike | _Tensor],
        steps: int | None = None,
        seed: int = 0,
        *,
        schedule: str | Sequence[float] | None = None,
        solver: _Solver | None = None,
        mel_convention: _Convention | None = None,
        layout: _Layout = "bands-first",
        sharpen: float | None = None,
        sample_rate: int | None = None,
        chunk_frames: int | None = None,
        watermark: bool | int | None = None,
        watermark_key: bytes | None = None,
    ) -> AudioStream:
        """[n_mels, any] each -> [samples] each."""

    def mel(self, audio: ArrayLike | _Tensor, rate: int, *, mel_convention: _Convention | None = None) -> NDArray[np.float32]:
        """[samples] or [1, samples] -> [n_mels, frames]."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def hop(self) -> int: ...
    @property
    def n_mels(self) -> int: ...
    @property
    def mel_convention(self) -> MelConvention: ...
    @property
    def schedules(self) -> list[str]: ...
    @property
    def default_schedule(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def model_sha256(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def provider_note(self) -> str | None: ...
    @property
    def precision(self) -> str: ...

@final
class Place:
    """A stretch of a recording, and what was found of a watermark in it alone."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def log10_false_alarm(self) -> float: ...
    @property
    def speed(self) -> float: ...
    @property
    def payload(self) -> int | None: ...

@final
class Detection:
    """What was found of a watermark in a recording."""

    def is_marked(self, false_alarm: float = 1e-6) -> bool: ...
    @property
    def seconds(self) -> float: ...
    @property
    def false_alarm(self) -> float: ...
    @property
    def log10_false_alarm(self) -> float: ...
    @property
    def payload(self) -> int | None: ...
    @property
    def places(self) -> list[Place]: ...

def detect(audio: ArrayLike | _Tensor, rate: int, key: bytes | None = None) -> Detection:
    """Looks for the watermark of a key; [samples] or [1, samples]."""

def main(arguments: list[str]) -> int: ...
def look_in_package(folder: str | PathLike[str]) -> None: ...
