"""Many short mels in one batch that is killed twice and started again: python3 benches/batch.py [--count 10000] [--vocode target/release/vocode]

Makes mels of a second (stretches of the demo), starts `vocode mels -o out --skip-existing`, kills it with SIGKILL at about a third and at two thirds, and
lets the third run end. Fails unless there is one whole WAV for each mel, nothing else, and no file that was there at a kill was made again. Then it
measures a part of them on one thread, and tells how near the batch comes to as many such threads as there are. Needs NumPy; 500 MB of disk for 10,000.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FRAMES = 86
HOP = 256
RATE = 22_050
SECONDS = FRAMES * HOP / RATE


def make_mels(folder: Path, count: int) -> None:
    demo = np.load(ROOT / "models/demo/demo.npy")
    folder.mkdir()
    for index in range(count):
        start = index * 37 % (demo.shape[1] - FRAMES)
        np.save(folder / f"{index:05}.npy", demo[:, start : start + FRAMES])


def made(folder: Path) -> dict[str, tuple[int, int]]:
    """The WAVs of a folder, each with its time and its inode: another file under the same name has others."""
    if not folder.is_dir():
        return {}
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir() if not path.name.startswith(".")}


def run(vocode: Path, mels: Path, out: Path, kill_at: int | None, *flags: str) -> float:
    """Seconds of one run; with `kill_at` it is killed once there are so many files."""
    began = time.monotonic()
    with subprocess.Popen([vocode, mels, "-o", out, "--skip-existing", *flags]) as batch:
        while batch.poll() is None:
            if kill_at is not None and len(made(out)) >= kill_at:
                batch.send_signal(signal.SIGKILL)
                kill_at = None
            time.sleep(0.02 if kill_at is None else 0.2)
    if batch.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"vocode ended with {batch.returncode}")
    return time.monotonic() - began


def check(out: Path, count: int) -> None:
    """Each sound is there, once and whole, and nothing else is."""
    names = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    if names != [f"{index:05}.wav" for index in range(count)]:
        raise SystemExit(f"{len(names)} files in {out}, expected {count} WAVs")
    for name in names:
        with wave.open(str(out / name)) as file:
            if file.getnframes() != FRAMES * HOP or len(file.readframes(FRAMES * HOP)) != 2 * FRAMES * HOP:
                raise SystemExit(f"{name} is not whole")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--vocode", type=Path, default=ROOT / "target/release/vocode")
    parser.add_argument("--alone", type=int, default=500, help="mels of the measurement on one thread")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        mels, out = Path(scratch) / "mels", Path(scratch) / "out"
        make_mels(mels, args.count)
        seconds, kept = 0.0, {}
        for kill_at in (args.count // 3, 2 * args.count // 3, None):
            seconds += run(args.vocode, mels, out, kill_at)
            there = made(out)
            if any(there.get(name) != file for name, file in kept.items()):
                raise SystemExit("a file that was there was made again")
            hidden = sum(path.name.startswith(".") for path in out.iterdir())
            print(f"{len(there) - len(kept)} made, {len(there)} there, {hidden} half-made under names of their own", flush=True)
            kept = there
        check(out, args.count)
        few, cores = Path(scratch) / "few", len(os.sched_getaffinity(0))
        make_mels(few, args.alone)
        alone = args.alone / run(args.vocode, few, Path(scratch) / "alone", None, "--threads", "1")
        rate = args.count / seconds
        print(f"{args.count} mels of {SECONDS:.2f} s, killed twice: {seconds:.0f} s, {rate:.1f} mels/s, real-time factor {seconds / args.count / SECONDS:.4f}")
        print(f"on one thread {alone:.1f} mels/s; {cores} cores make {rate / (cores * alone):.0%} of {cores} times as many")


if __name__ == "__main__":
    main()
