"""What stands for your acoustic model in the recipes beside it: models with the methods and the outputs of Matcha-TTS and FastSpeech 2, that say one sentence.

Their mels are those of a recording in this repository. They are torch tensors where torch is installed, and NumPy arrays otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import vocode_onnx

RECORDING = Path(__file__).resolve().parents[2] / "models/demo/demo.flac"


def mel_of(recording: Path = RECORDING, convention: str = "hifigan") -> np.ndarray:
    """The mel of a recording, [80, frames], in a convention."""
    audio, rate = soundfile.read(recording, dtype="float32")
    return vocode_onnx.Vocoder().mel(audio, rate, mel_convention=convention)


def tensor(array: np.ndarray) -> Any:
    """The array as a model of torch hands it over."""
    try:
        import torch
    except ImportError:
        return array
    return torch.from_numpy(array)


class Matcha:
    """As `MatchaTTS.synthesise`: a batch of normalised mels, [batch, 80, frames], and how many frames of each are not padding."""

    def synthesise(self, text: str) -> dict[str, Any]:
        mel = mel_of(convention="matcha")
        return {"decoder_outputs": tensor(np.pad(mel, [(0, 0), (0, 8)])[None]), "mel_lengths": tensor(np.array([mel.shape[1]]))}


class FastSpeech2:
    """As `FastSpeech2.forward`: the mel after the post-net, [batch, frames, 80]."""

    def __call__(self, text: str) -> Any:
        return tensor(np.ascontiguousarray(mel_of(convention="fastspeech2").T)[None])
