"""Makes the samples of this folder: recordings of voices that no training heard, and what vocode and Griffin-Lim make of their mels.

    PYTHONPATH=models/training python samples/make.py UNHEARD --vocode target/release/vocode

in the environment of models/training; UNHEARD is the folder of left-out recordings that models/training/DATA.md tells how to get. It prints the
table of README.md and draws docs/samples.png of one clip.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from matplotlib.figure import Figure

from vocode_training.mel import HIFIGAN
from vocode_training.metrics import pesq_wb
from vocode_training.picture import RANGE, decibels
from vocode_training.systems import griffin_lim

# Name, file, and from where to where in seconds: from pause to pause.
CLIPS = (
    ("joe", "ohf.en_US-joe/0000.flac", 0.0, 3.5),
    ("paola", "ohf.it_IT-paola/0000.flac", 0.0, 3.45),
    ("singer", "singing-vocadito/0000.flac", 0.45, 3.5),
)
STEPS = (2, 4)
HOP, SAMPLE_RATE = HIFIGAN.hop, HIFIGAN.sample_rate
PICTURED = "paola"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unheard", type=Path)
    parser.add_argument("--vocode", type=Path, default=Path("target/release/vocode"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--picture", type=Path, default=Path(__file__).parents[1] / "docs/samples.png")
    args = parser.parse_args()
    for name, file, start, end in CLIPS:
        audio = read(args.unheard / file, start, end)
        mel = HIFIGAN.mel(torch.from_numpy(audio)[None])[0].numpy()
        made = {"recording": audio} | {f"{steps}-steps": vocode(args.vocode, mel, steps) for steps in STEPS} | {"griffin-lim": griffin_lim(mel)}
        for system, samples in made.items():
            soundfile.write(args.out / f"{name}-{system}.flac", np.clip(samples, -1, 1), SAMPLE_RATE, subtype="PCM_16")
        scores = [f"[play]({name}-{system}.flac) {pesq_wb(samples, audio):.2f}" for system, samples in made.items() if system != "recording"]
        print(f"| {name} | [play]({name}-recording.flac) | {' | '.join(scores)} |")
        if name == PICTURED:
            titles = ("recording", "vocode, 4 steps", "Griffin-Lim, 32 iterations")
            draw(dict(zip(titles, (made["recording"], made["4-steps"], made["griffin-lim"]), strict=True))).savefig(args.picture, dpi=90)


def vocode(program: Path, mel: np.ndarray, steps: int) -> np.ndarray:
    """What the program makes of a mel [80, F] with seed 0: [F * HOP]."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "mel.npy", mel)
        command = [program, f"{folder}/mel.npy", "-o", f"{folder}/out.raw", "--format", "f32", "--steps", steps, "--quiet"]
        subprocess.run([str(word) for word in command], check=True)
        return np.fromfile(f"{folder}/out.raw", "<f4")


def draw(clips: dict[str, np.ndarray]) -> Figure:
    """Spectrograms side by side, on one scale of dB below the loudest bin of the first."""
    figure = Figure(figsize=(11, 2.9), layout="constrained")
    pictures = [decibels(audio, 1024, HOP) for audio in clips.values()]
    for axes, title, values in zip(figure.subplots(1, len(clips), sharey=True), clips, pictures, strict=True):
        extent = (0, values.shape[1] * HOP / SAMPLE_RATE, 0, SAMPLE_RATE / 2000)
        axes.imshow(values, origin="lower", aspect="auto", extent=extent, vmin=pictures[0].max() - RANGE, vmax=pictures[0].max(), cmap="magma")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("s", fontsize=9)
        axes.tick_params(labelsize=8)
    figure.axes[0].set_ylabel("kHz", fontsize=9)
    return figure


def read(path: Path, start: float, end: float) -> np.ndarray:
    """Whole frames of a mono recording, [F * HOP], its peak at 0.8 of full scale."""
    rate = soundfile.info(path).samplerate
    if rate != SAMPLE_RATE:
        raise SystemExit(f"{path}: {rate} Hz, expected {SAMPLE_RATE} Hz")
    audio, _ = soundfile.read(path, start=round(start * rate), stop=round(end * rate), dtype="float32")
    audio = audio[: len(audio) // HOP * HOP]
    return audio * np.float32(0.8 / np.abs(audio).max())


main()
