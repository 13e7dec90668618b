"""vocode beside other vocoders: `benches/peers/run --machine "two cores of ..."`.

Measures each system in a process of its own, one after another, on the same mel and the same processors, and writes `peers.md`, `peers.json` and
`peers.png`. Nothing else should run meanwhile. It needs Linux and a release build of vocode that finds ONNX Runtime.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from . import ROOT
from .report import page, plot
from .systems import HOP, SAMPLE_RATE, SYSTEMS, System

VERSIONS = ("torch", "onnxruntime", "librosa", "numpy")


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/peers/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/vocode", help="the vocode program")
    parser.add_argument("--mel", type=Path, default=ROOT / "models/demo/demo.npy", help="its frames are repeated to --seconds")
    parser.add_argument("--seconds", type=float, default=4.0, help="audio of a synthesis")
    parser.add_argument("--threads", type=int, default=2, help="threads, and processors that all are held to")
    parser.add_argument("--runs", type=int, default=7, help="syntheses of each, at most")
    parser.add_argument("--budget", type=float, default=12.0, help="seconds after which three syntheses must do")
    parser.add_argument("--only", default="", help="systems whose key holds this regular expression")
    parser.add_argument("--machine", default="this machine", help="what it runs on, in words for the page")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder for peers.md, peers.json and peers.png")
    return parser.parse_args(words)


def chosen(pattern: str) -> list[System]:
    systems = [system for system in SYSTEMS if re.search(pattern, system.key)]
    if not systems:
        raise SystemExit(f"--only {pattern}: no such system; there are {', '.join(system.key for system in SYSTEMS)}")
    return systems


def hold(threads: int) -> None:
    """Keeps this process and its children to as many processors as threads."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < threads:
        raise SystemExit(f"--threads {threads}: this process may use {len(processors)} processors; give it no more threads")
    os.sched_setaffinity(0, processors[:threads])
    # What sizes its pools by the environment.
    os.environ.update({name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")})


def write_mels(source: Path, seconds: float, folder: Path) -> float:
    """The mel of the comparison, `[80, F]`, in natural logarithms and in decibels from 0 to 1; returns how long it plays."""
    mel = np.load(source).astype(np.float32)
    frames = max(1, round(seconds * SAMPLE_RATE / HOP))
    mel = np.resize(mel.T, (frames, mel.shape[0])).T.copy()
    np.save(folder / "mel.npy", mel)
    decibels = 20.0 * mel / np.log(10.0)
    np.save(folder / "mel01.npy", np.clip((decibels - 20.0 + 100.0) / 100.0, 0.0, 1.0).astype(np.float32))
    return frames * HOP / SAMPLE_RATE


def module(name: str, *words: str) -> dict:
    """Runs a module of this package in a process of its own; returns the JSON that it prints."""
    command = [sys.executable, "-m", f"peers.{name}", *words]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"peers.{name} {words[0]} failed; what it said is above")
    return json.loads(done.stdout.splitlines()[-1])


def compare(args: argparse.Namespace, systems: list[System]) -> dict:
    settings = {"binary": str(args.binary.resolve()), "threads": args.threads, "runs": args.runs, "budget": args.budget}
    rows = []
    with TemporaryDirectory() as name:
        seconds = write_mels(args.mel, args.seconds, Path(name))
        parameters = module("prepare", name, *sorted({system.model for system in systems}))
        for system in systems:
            figures = module("child", system.key, name, json.dumps(settings))
            row = {"key": system.key, "name": system.name, "engine": system.engine, "steps": system.steps, "streams": system.streams}
            rows.append({**row, "parameters": parameters.get(system.model), **figures})
            print(
                f"{system.key:18} real-time factor {figures['real_time_factor']['median']:.3f}, "
                f"first audio {figures['first_audio_ms']['median']:.0f} ms, {figures['peak_mib']:.0f} MiB",
                flush=True,
            )
    versions = {"Python": platform.python_version(), **{name: version(name) for name in VERSIONS}}
    return {"machine": args.machine, "threads": args.threads, "seconds": seconds, "versions": versions, "rows": rows}


def main(words: list[str] | None = None) -> None:
    args = arguments(words)
    systems = chosen(args.only)
    if not args.binary.is_file():
        raise SystemExit(f"--binary {args.binary}: there is no such program; build it with cargo build --release, or name another")
    hold(args.threads)
    result = compare(args, systems)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
    command = f"benches/peers/run --seconds {args.seconds:g} --threads {args.threads} --runs {args.runs} --budget {args.budget:g}"
    command += f" --machine {shlex.quote(args.machine)}"
    (args.out / "peers.md").write_text(page(result, command))
    plot(result, args.out / "peers.png")


if __name__ == "__main__":
    main()
