"""Spectrograms of what was made beside its recording: `python -m vocode_training.picture RECORDING.flac MADE.wav -o PICTURE.png`.

Both from 0 Hz to half the sample rate, on one scale of dB below the recording's loudest bin, and a stretch of both closer up, where the single
harmonics and a pulsing at the rate of the frames can be seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from .data import read_clip
from .mel import HIFIGAN

RANGE = 90.0  # dB
RATE = HIFIGAN.sample_rate


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("made", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the PNG")
    parser.add_argument("--title", default="", help="words for the top")
    parser.add_argument("--from", dest="begin", type=float, default=0.5, help="start of the closer view in seconds")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of the closer view")
    return parser.parse_args()


def decibels(audio: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Power of each bin and frame in dB, `[bins, frames]`."""
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(torch.from_numpy(audio), n_fft, hop, window=window, return_complex=True)
    return 20 * np.log10(np.maximum(spectrum.abs().numpy() / window.sum().item(), 1e-7))


def draw(recording: np.ndarray, made: np.ndarray, begin: float, seconds: float, title: str) -> Figure:
    """Two rows, the recording above what was made; the closer view on the right."""
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    grid = figure.subplots(2, 2, sharex="col", sharey=True, width_ratios=(1, 1))
    views = ((256, 0.0, len(recording) / RATE), (64, begin, begin + seconds))
    for column, (hop, start, end) in enumerate(views):
        frames = slice(round(start * RATE / hop), round(end * RATE / hop))
        pair = [decibels(a, 1024, hop)[:, frames] for a in (recording, made)]
        top = pair[0].max()
        for axes, name, values in zip(grid[:, column], ("recording", "vocode"), pair, strict=True):
            axes.imshow(values, origin="lower", aspect="auto", extent=(start, end, 0, RATE / 2000), vmin=top - RANGE, vmax=top, cmap="magma")
            axes.set_title(name, fontsize=9)
            axes.tick_params(labelsize=8)
        grid[1, column].set_xlabel("s", fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel("kHz", fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure


def main() -> None:
    args = arguments()
    recording, made = read_clip(args.recording), read_clip(args.made)
    length = min(len(recording), len(made))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    draw(recording[:length], made[:length], args.begin, args.seconds, args.title).savefig(args.output, dpi=90)
    # Spectrograms are noise to PNG: 48 colours halve it and look the same.
    Image.open(args.output).convert("RGB").quantize(48, dither=Image.Dither.NONE).save(args.output, optimize=True)


if __name__ == "__main__":
    main()
