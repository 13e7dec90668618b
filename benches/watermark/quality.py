"""What a watermark does to quality: PESQ-wb, DistillMOS and DNSMOS with and without on recordings, the strongest change, and the time it takes.

    python benches/watermark/quality.py --vocode target/release/vocode RECORDINGS... -o quality.json --worst docs/watermark-worst.png
    python benches/watermark/quality.py --vocode target/release/vocode --pairs 15 MEL -o speed.json

Needs the environment of models/training, with PYTHONPATH=models/training, and matplotlib for the picture.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

RATE = 22_050
MARK = "--watermark=cafe0123"


def make(args: argparse.Namespace, folder: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Recording, audio without and audio with the watermark, of each file."""
    import soundfile

    mels = folder / "mel"
    subprocess.run([args.vocode, "mel", *args.files, "-o", mels, "--quiet"], check=True)
    triples = []
    for name, flags in (("without", []), ("with", [MARK])):
        command = [args.vocode, mels, "-o", folder / name, "--quiet", "--format", "f32", "--precision", "float", *flags]
        subprocess.run(command, check=True)
    for path in args.files:
        made = [soundfile.read(folder / name / f"{path.stem}.wav", dtype="float32")[0] for name in ("without", "with")]
        recording = soundfile.read(path, dtype="float32")[0][: len(made[0])]
        triples.append((np.pad(recording, (0, len(made[0]) - len(recording))), *made))
    return triples


def scores(recording: np.ndarray, made: np.ndarray) -> dict[str, float]:
    from vocode_training import metrics

    return {
        "PESQ-wb": metrics.pesq_wb(made, recording),
        "DistillMOS": metrics.distillmos(made),
        "DNSMOS": metrics.dnsmos(made)[0],
    }


def quality(args: argparse.Namespace) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        triples = make(args, Path(folder))
    pairs = [[scores(recording, made) for made in (without, marked)] for recording, without, marked in triples]
    report: dict = {"clips": len(pairs)}
    for name in pairs[0][0]:
        without, marked = (np.array([pair[n][name] for pair in pairs]) for n in (0, 1))
        change = marked - without
        report[name] = {
            "without": without.mean(),
            "with": marked.mean(),
            "change": change.mean(),
            "standard_error": change.std(ddof=1) / np.sqrt(len(change)),
            "worst": change.min(),
        }
    levels = [10 * np.log10(((m - w) ** 2).sum() / (w**2).sum()) for _, w, m in triples]
    report["change_decibels"] = {"mean": float(np.mean(levels)), "strongest": float(np.max(levels))}
    if args.worst:
        worst = int(np.argmin([pair[1]["PESQ-wb"] - pair[0]["PESQ-wb"] for pair in pairs]))
        report["worst_clip"] = args.files[worst].name
        picture(*triples[worst][1:], args.worst)
    return report


def picture(without: np.ndarray, marked: np.ndarray, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 1, figsize=(10, 8), sharex=True, layout="constrained")
    for axis, samples, title in zip(axes, (without, marked, marked - without), ("without", "with", "the difference"), strict=True):
        image = axis.specgram(samples + 1e-9, NFFT=1024, noverlap=768, Fs=RATE, vmin=-140, vmax=-40, cmap="magma")[3]
        axis.set(title=title, ylabel="Hz")
    axes[-1].set_xlabel("s")
    figure.colorbar(image, ax=axes, label="dB")
    figure.savefig(path, dpi=80)


def speed(args: argparse.Namespace) -> dict:
    """Seconds that a synthesis takes without and with, one after the other, the order changing from pair to pair."""
    ratios, medians = [], {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as folder:
        for index in range(args.pairs + 1):
            taken = {}
            order = [("without", []), ("with", [MARK])]
            for name, flags in order if index % 2 else order[::-1]:
                command = [args.vocode, *args.files, "-o", f"{folder}/a.wav", "--force", "--json", *flags]
                answer = subprocess.run(command, check=True, capture_output=True, text=True)
                taken[name] = json.loads(answer.stdout)["seconds"]
            if index:  # The first pair warms up.
                ratios.append(taken["with"] / taken["without"])
                for name, seconds in taken.items():
                    medians[name].append(seconds)
            time.sleep(0.1)
    spread = np.percentile(ratios, [25, 75])
    return {
        "pairs": args.pairs,
        "median_ratio": float(np.median(ratios)),
        "quartiles": spread.tolist(),
        "median_seconds": {name: float(np.median(seconds)) for name, seconds in medians.items()},
        "least_seconds": {name: float(np.min(seconds)) for name, seconds in medians.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="recordings at 22,050 Hz; with --pairs one mel")
    parser.add_argument("--vocode", default="target/release/vocode", help="the program")
    parser.add_argument("--pairs", type=int, default=0, help="measure the time in so many pairs")
    parser.add_argument("--worst", type=Path, help="picture of the clip that loses most")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    report = speed(args) if args.pairs else quality(args)
    text = json.dumps(report, indent=1)
    print(text)
    args.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
