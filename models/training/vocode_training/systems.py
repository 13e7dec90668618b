"""What an evaluation compares: each system turns the mels of some clips into audio."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
import torch

from . import checkpoint, reference
from .mel import HIFIGAN, Convention
from .network import Model


@dataclass(frozen=True)
class Clip:
    """One recording cut to whole frames, and the mel that every system starts from."""

    name: str
    speaker: str
    audio: np.ndarray  # a multiple of the hop
    convention: Convention = HIFIGAN

    @property
    def mel(self) -> np.ndarray:
        return self.convention.mel(torch.from_numpy(self.audio)[None])[0].numpy()


# One waveform of F * hop samples for a mel [n_mels, F].
Synthesiser = Callable[[np.ndarray], np.ndarray]


def griffin_lim(mel: np.ndarray, iterations: int = 32, convention: Convention = HIFIGAN) -> np.ndarray:
    """Griffin-Lim with momentum (Perraudin et al. 2013) on the pseudo-inverse of the filterbank.

    librosa centres frame f on f * hop; one frame more on each side, and a cut to where the convention has it.
    """
    hop, sizes = convention.hop, {"hop_length": convention.hop, "win_length": convention.win_length, "n_fft": convention.n_fft}
    padded = np.pad(mel.astype(np.float64), ((0, 0), (1, 1)), mode="edge")
    magnitude = np.maximum(np.linalg.pinv(convention.filterbank()) @ np.exp(padded), 1e-5)
    audio = librosa.griffinlim(magnitude, n_iter=iterations, **sizes, momentum=0.99, random_state=0)
    return audio[hop - convention.centre :][: mel.shape[1] * hop].astype(np.float32)


class TorchGraphs:
    """The averaged model of a checkpoint, with the interface of a bundle's graphs."""

    def __init__(self, model: Model, log_equaliser: torch.Tensor, passes: int, momentum: float = 0.0) -> None:
        self.passes, self.momentum, self.sharpening = passes, momentum, 0.0
        self.model = model.eval()
        self.convention = model.convention
        self.hop, self.floor = model.convention.hop, model.convention.log_floor
        self.log_equaliser = log_equaliser.cpu().numpy()
        self.conditioner_context = model.config.conditioner_context()
        self.denoiser_context = model.config.denoiser_context()

    @staticmethod
    def load(path: Path, passes: int, momentum: float) -> TorchGraphs:
        return TorchGraphs(*checkpoint.load_model(path), passes, momentum)

    @torch.inference_mode()
    def conditioner(self, mel: np.ndarray) -> np.ndarray:
        return self.model.conditioner(torch.from_numpy(mel)).numpy()

    @torch.inference_mode()
    def denoiser(self, x: np.ndarray, t: np.ndarray, cond: np.ndarray) -> np.ndarray:
        return self.model.denoiser(torch.from_numpy(x), torch.from_numpy(t), torch.from_numpy(cond)).numpy()


def checkpoint_synthesiser(path: Path, steps: int, passes: int, momentum: float, seed: int = 0) -> Synthesiser:
    """A training checkpoint, sampled in Python on a uniform grid, with as many passes of mel consistency of this momentum."""
    graphs = TorchGraphs.load(path, passes, momentum)
    times = reference.uniform_times(steps)
    return lambda mel: reference.synthesise(graphs, mel, times, seed)


def run_binary(binary: Path, bundle: Path | None, arguments: list[str], mels: Mapping[str, np.ndarray], out: Path) -> list[dict[str, Any]]:
    """`vocode MELS -o OUT` over all mels at once, `OUT/NAME.wav` of each: the model is loaded once. Returns its summary of each."""
    with tempfile.TemporaryDirectory() as folder:
        for name, mel in mels.items():
            np.save(Path(folder) / f"{name}.npy", mel)
        command = [str(binary), folder, "-o", str(out), "--format", "f32", "--force", "--json", *arguments]
        if bundle is not None:
            command += ["--model", str(bundle)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{binary.name} failed with exit code {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def read_wav(folder: Path, clip: Clip) -> np.ndarray:
    """`FOLDER/NAME.wav` (or .flac) cut to the clip's length; at most one frame may be missing at the end."""
    found = [p for p in (folder / f"{clip.name}{s}" for s in (".wav", ".flac")) if p.exists()]
    if not found:
        raise SystemExit(f"{folder} holds no {clip.name}.wav")
    audio, rate = soundfile.read(found[0], dtype="float32")
    missing, expected = len(clip.audio) - len(audio), clip.convention.sample_rate
    if rate != expected or audio.ndim != 1 or missing > clip.convention.hop:
        raise SystemExit(f"{found[0]}: need mono at {expected} Hz, {len(clip.audio)} samples; found {audio.shape} at {rate} Hz")
    return np.pad(audio, (0, max(missing, 0)))[: len(clip.audio)]
