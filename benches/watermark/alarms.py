"""False alarms on audio without a watermark, and the trade between them and what is found.

    python benches/watermark/alarms.py --vocode target/release/vocode --keys 1 FOLDER... -o alarms.json
    python benches/watermark/alarms.py --roc alarms.json --marked NAME=FOLDER... -o roc.png

Each file is looked at with the public key, and with further keys: the probability is about the key.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

ENDINGS = {".wav", ".flac", ".mp3", ".ogg"}


def detect(vocode: str, files: list[str], key: int) -> list[dict]:
    """What `vocode detect` says of the files under a key; the public one for 0."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(f"a key of benches/watermark, {key}")
        file.flush()
        flags = ["--key", file.name] if key else []
        answer = subprocess.run([vocode, "detect", *files, "--json", *flags], capture_output=True, text=True)
    if answer.returncode not in (0, 1):
        print(answer.stderr)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def upper(count: int, confidence: float = 0.95) -> float:
    """The upper limit of a Poisson mean of which so many were seen, by bisection (Garwood 1936)."""
    low, high = 0.0, 10.0 + 4 * count
    for _ in range(100):
        mean = (low + high) / 2
        below = sum(math.exp(-mean) * mean**n / math.factorial(n) for n in range(count + 1))
        low, high = (mean, high) if below > 1 - confidence else (low, mean)
    return high


def alarms(args: argparse.Namespace) -> None:
    files = sorted(str(path) for folder in args.folders for path in Path(folder).rglob("*") if path.suffix in ENDINGS)
    chances, windows, seconds = [], [], 0.0
    for key in range(args.keys):
        for start in range(0, len(files), 200):
            for one in detect(args.vocode, files[start : start + 200], key):
                chances.append(one["log10_false_alarm"])
                windows += [place["log10_false_alarm"] for place in one["places"]]
                seconds += one["seconds"]
    hours = seconds / 3600
    report = {"files": len(files), "keys": args.keys, "hours": hours, "windows": len(windows)}
    for limit in (-1, -2, -3, -4, -5, -6):
        files_beyond, windows_beyond = (sum(c <= limit for c in found) for found in (chances, windows))
        report[f"1e{limit}"] = {
            "files": files_beyond,
            "share_of_files": files_beyond / len(chances),
            "windows": windows_beyond,
            "per_hour": files_beyond / hours,
            "per_hour_at_most": upper(files_beyond) / hours,
        }
    report["smallest_log10"] = min(chances)
    print(json.dumps(report, indent=1))
    args.output.write_text(json.dumps({**report, "log10": chances}) + "\n")


def roc(args: argparse.Namespace) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    plt.style.use(Path(__file__).resolve().parents[2] / "models/training/vocode_training/plots.mplstyle")
    unmarked = np.sort(json.loads(args.roc.read_text())["log10"])
    limits = np.linspace(-30, 0, 601)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for named in args.marked:
        name, folder = named.split("=", 1)
        files = sorted(str(path) for path in Path(folder).rglob("*") if path.suffix in ENDINGS)
        found = np.array([one["log10_false_alarm"] for one in detect(args.vocode, files, 0)])
        left.plot(limits, [(found <= limit).mean() for limit in limits], label=f"{name} ({len(found)})")
    left.axvline(-6, color="grey", lw=0.8)
    left.set(xlabel="log10 of the false-alarm probability asked for", ylabel="found", ylim=(-0.02, 1.02), title="10 s of marked audio")
    left.invert_xaxis()
    left.legend(loc="center right", fontsize=8)
    share = np.arange(1, len(unmarked) + 1) / len(unmarked)
    right.step(unmarked, share, where="post", label="measured")
    right.plot(limits, 10**limits, "--", color="grey", label="the bound")
    right.set(xlim=(0, -7), ylim=(1 / len(unmarked) / 2, 1.5), yscale="log", xlabel="log10 of the false-alarm probability asked for")
    right.set(ylabel="share of files without a mark that meet it", title=f"{len(unmarked)} looks at audio without a mark")
    right.legend()
    figure.savefig(args.output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="folders of audio without a watermark")
    parser.add_argument("--vocode", default="target/release/vocode", help="the program")
    parser.add_argument("--keys", type=int, default=1)
    parser.add_argument("--roc", type=Path, help="what a run without this wrote")
    parser.add_argument("--marked", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    roc(args) if args.roc else alarms(args)


if __name__ == "__main__":
    main()
