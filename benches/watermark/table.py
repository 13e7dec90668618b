"""How often a watermark is found after each edit, beside resemble-perth.

    vocode MELS -o marked --watermark=cafe0123 && vocode MELS -o plain
    python benches/watermark/table.py marked --clips 50 -o attacks.json
    python benches/watermark/table.py marked --clips 200 --only "MP3 64" -o mp3.json
    python benches/watermark/table.py marked-30 --clips 20 --seconds 30 -o long.json
    python benches/watermark/table.py plain --peer --clips 10 -o perth.json

MELS are .npy of as many seconds as are looked at, or more. Needs numpy, soundfile and librosa, ffmpeg and sox; the peer needs resemble-perth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from attacks import ATTACKS, RATE

PAYLOAD = "cafe0123"


def clips_of(args: argparse.Namespace) -> list[np.ndarray]:
    """The first seconds of the first files of a folder."""
    paths = sorted(args.audio.glob("*.wav"))[: args.clips]
    return [soundfile.read(path, dtype="float32", stop=int(args.seconds * RATE))[0] for path in paths]


def detect(vocode: str, clips: list[np.ndarray]) -> list[dict]:
    """What `vocode detect` says of each."""
    with tempfile.TemporaryDirectory() as folder:
        for index, clip in enumerate(clips):
            soundfile.write(f"{folder}/{index:04}.wav", clip, RATE)
        answer = subprocess.run([vocode, "detect", folder, "--json"], capture_output=True, text=True)
    if answer.returncode not in (0, 1):
        raise SystemExit(answer.stderr)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def again(vocode: str) -> Callable[[np.ndarray], np.ndarray]:
    """The mel of a clip, and vocode's audio of that."""

    def remade(clip: np.ndarray) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            soundfile.write(f"{folder}/a.wav", clip, RATE)
            subprocess.run([vocode, "mel", f"{folder}/a.wav", "-o", f"{folder}/a.npy", "--quiet"], check=True)
            subprocess.run([vocode, f"{folder}/a.npy", "-o", f"{folder}/b.wav", "--quiet"], check=True)
            return soundfile.read(f"{folder}/b.wav", dtype="float32")[0]

    return remade


def row(found: list[dict]) -> dict:
    """Clips, those that were found at one false alarm in a million, those whose payload was read, and read wrongly."""
    chances = sorted(one["log10_false_alarm"] for one in found)
    return {
        "clips": len(found),
        "found": sum(one["marked"] for one in found),
        "read": sum(one["payload"] == PAYLOAD for one in found),
        "wrong": sum(one["payload"] not in (None, PAYLOAD) for one in found),
        "median_log10": chances[len(chances) // 2],
        "worst_log10": chances[-1],
    }


def ours(args: argparse.Namespace) -> dict[str, dict]:
    table, clips = {}, clips_of(args)
    edits = {**ATTACKS, "vocode on its mel": again(args.vocode)}
    for name, edit in edits.items():
        if args.only in name:
            table[name] = row(detect(args.vocode, [edit(clip) for clip in clips]))
            print(f"{name:32} {table[name]}", flush=True)
    return table


def peer(args: argparse.Namespace) -> dict[str, dict]:
    """The same for resemble-perth's implicit watermark, in the same audio without ours."""
    import perth

    marker = perth.PerthImplicitWatermarker()
    clips = clips_of(args)
    false = sum(float(marker.get_watermark(clip, sample_rate=RATE)) >= 0.5 for clip in clips)
    marked = [np.asarray(marker.apply_watermark(clip, sample_rate=RATE, watermark=None), np.float32) for clip in clips]
    table = {"no watermark": {"clips": len(clips), "found": false}}
    for name, edit in ATTACKS.items():
        if args.only in name:
            hits = [float(marker.get_watermark(edit(clip), sample_rate=RATE)) >= 0.5 for clip in marked]
            table[name] = {"clips": len(hits), "found": sum(hits)}
            print(f"{name:32} {table[name]}", flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocode", default="target/release/vocode", help="the program")
    parser.add_argument("audio", type=Path, help="folder of marked audio; with --peer of audio that is not")
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each clip")
    parser.add_argument("--only", default="", help="edits whose name holds this")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    table = peer(args) if args.peer else ours(args)
    args.output.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
