"""Measures one system in this process: `python -m peers.child KEY FOLDER SETTINGS` prints a line of JSON.

FOLDER holds the mels and what `prepare` wrote; SETTINGS are JSON. The memory is the most that this process held, or the program that it started.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .systems import HOP, SAMPLE_RATE, SYSTEMS, VOCODE, System

# Runs of the slowest, whatever the budget.
LEAST = 3


@dataclass(frozen=True)
class Settings:
    """How much is measured: at most `runs`, after one to warm up, and no more than three once `budget` seconds are spent."""

    binary: str
    threads: int
    runs: int
    budget: float


def repeat(measure: Callable[[], float], settings: Settings) -> list[float]:
    """What `measure` returns, as often as the settings say; the first time is dropped."""
    measure()
    began, values = time.perf_counter(), []
    while len(values) < settings.runs and (len(values) < LEAST or time.perf_counter() - began < settings.budget):
        values.append(measure())
    return values


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def in_python(system: System, folder: Path, settings: Settings) -> dict:
    import numpy as np

    from .runs import python_run

    mel = np.load(folder / system.mel)
    seconds = mel.shape[1] * HOP / SAMPLE_RATE
    run = python_run(system, mel, folder, settings.threads)

    def measure() -> float:
        began = time.perf_counter()
        audio = run()
        taken = time.perf_counter() - began
        if audio.shape != (mel.shape[1] * HOP,) or not np.isfinite(audio).all():
            raise SystemExit(f"{system.key} made {audio.shape} samples for {mel.shape[1]} frames, or numbers that are not finite")
        return taken

    taken = repeat(measure, settings)
    return {
        "real_time_factor": spread([value / seconds for value in taken]),
        # No sample can be heard before the last is there.
        "first_audio_ms": spread([1000 * value for value in taken]),
        "peak_mib": own_peak(),
        "runs": len(taken),
    }


def own_peak() -> float:
    """MiB. Not `getrusage`, where a process starts with its parent's peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def by_program(system: System, folder: Path, settings: Settings) -> dict:
    """The program's own clocks: a synthesis without model load, and the first audio of a stream in `vocode bench`."""
    import resource

    model = ["--model", str(folder / system.model)] if system.model else []
    common = ["--steps", str(system.steps), "--threads", str(settings.threads), "--json", *model]
    files = [str(folder / system.mel), "-o", str(folder / "out.wav"), "--force"]

    def measure() -> float:
        line = program(settings.binary, *files, *common)
        return line["seconds"] / line["audio_seconds"]

    factors = repeat(measure, settings)
    # This process is small: the largest of those that it has waited for was vocode.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    small = ["--runs", "1", "--seconds", "1.5", "--thread-counts", str(settings.threads), "--streams", "0"]
    first = program(settings.binary, "bench", *small, *common)["rows"][0]["first_audio_ms"]
    return {
        "real_time_factor": spread(factors),
        "first_audio_ms": {figure: first[figure] for figure in ("median", "min", "max")},
        "peak_mib": peak,
        "runs": len(factors),
    }


def program(binary: str, *words: str) -> dict:
    done = subprocess.run([binary, *words], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main(words: list[str]) -> None:
    key, folder, settings = words
    system = next(system for system in SYSTEMS if system.key == key)
    measure = by_program if system.engine == VOCODE else in_python
    print(json.dumps(measure(system, Path(folder), Settings(**json.loads(settings)))))


if __name__ == "__main__":
    main(sys.argv[1:])
