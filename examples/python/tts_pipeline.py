"""A text-to-speech pipeline on vocode's live call: mel frames go out as they are made, sound comes back while later frames are being made.

    vocode serve &
    python tts_pipeline.py ../../models/demo/demo.flac -o speech.wav
    python tts_pipeline.py ../../models/demo/demo.flac --play

`acoustic_model` stands where yours goes: it hands over the mel of a recording a few frames at a time, at the speed of a model that is
`--speed` times faster than real time. Everything else is what a pipeline needs.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import vocode_onnx
from stand_in import mel_of


def acoustic_model(recording: Path, frames: int, speed: float) -> Iterator[np.ndarray]:
    """Mels [80, frames] of a recording."""
    mel = mel_of(recording)
    for start in range(0, mel.shape[1], frames):
        time.sleep(frames * 256 / 22_050 / speed)
        yield mel[:, start : start + frames]


class Player:
    """Plays floats through `aplay`."""

    def __init__(self, rate: int) -> None:
        self.process = subprocess.Popen(["aplay", "-q", "-t", "raw", "-f", "FLOAT_LE", "-c", "1", "-r", str(rate)], stdin=subprocess.PIPE)

    def write(self, audio: np.ndarray) -> None:
        self.process.stdin.write(audio.tobytes())
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def speak(args: argparse.Namespace) -> None:
    """One utterance from its first frame to its last sample."""
    mels = acoustic_model(args.recording, args.frames, args.speed)
    with vocode_onnx.Client(args.addr, api_key=args.api_key) as client, client.live(mels, seed=args.seed, timeout=args.timeout) as stream:
        began, first = time.monotonic(), None
        rate = stream.sample_rate
        sink = Player(rate) if args.play else soundfile.SoundFile(args.output, "w", rate, 1)
        for audio in stream:
            first = first or time.monotonic() - began
            sink.write(audio)
        sink.close()
        print(f"{stream.summary.samples / rate:.2f} s of audio in {time.monotonic() - began:.2f} s, the first after {1000 * first:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, help="recording whose mel is sent")
    parser.add_argument("-o", "--output", type=Path, default=Path("speech.wav"))
    parser.add_argument("--play", action="store_true", help="play with aplay instead of writing a file")
    parser.add_argument("--addr", default="127.0.0.1:50051")
    parser.add_argument("--api-key")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=16, help="mel frames a message")
    parser.add_argument("--speed", type=float, default=4.0, help="how much faster than real time mels are made")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds that the whole call may take")
    try:
        speak(parser.parse_args())
    except vocode_onnx.VocodeError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
