"""Quality and speed of every solver by steps: `python -m vocode_training.sweep --data SPEECH --binary vocode --out ../../docs`.

Runs the program on held-out clips with each solver that fits the model and each number of steps, one run at a time and nothing beside it, then
scores what it made. Writes `sampling.md`, a table, and `sampling.png`, PESQ-wb against the real-time factor. Only the runs need a quiet machine:
`--work DIR --no-scores` makes them and keeps what they made, the same without `--no-scores` scores it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from matplotlib import style
from matplotlib.figure import Figure

from . import metrics
from .evaluate import load_clips
from .systems import Clip, read_wav, run_binary

# Numbers of steps; a solver may call the denoiser twice a step.
STEPS = (1, 2, 3, 4, 6, 12, 25, 50)


@dataclass(frozen=True)
class Point:
    """One solver at one number of steps: means over the clips, the real-time factor over all of them together."""

    solver: str
    steps: int
    calls: int
    schedule: str
    pesq: float
    mr_stft: float
    log_mel: float
    dnsmos: float
    distillmos: float
    real_time_factor: float


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every measurement of the program on clips takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.tsv")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--limit", type=int, default=4, help="clips of each speaker, spread over the list; 0: all")
    parser.add_argument("--binary", type=Path, required=True, help="the vocode program")
    parser.add_argument("--bundle", type=Path, help="its built-in model where none is given")
    parser.add_argument("--processes", type=int, default=2)
    return parser


def arguments() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, nargs="*", default=list(STEPS))
    parser.add_argument("--solvers", nargs="*", help="only these of the solvers that fit the model")
    parser.add_argument("--listeners", action="store_true", help="score with DNSMOS and DistillMOS too")
    parser.add_argument("--out", type=Path, required=True, help="folder for the table and the plot")
    parser.add_argument("--name", default="sampling", help="their name")
    parser.add_argument("--work", type=Path, help="folder that keeps the audio and the timings; what it holds is not made again")
    parser.add_argument("--no-scores", action="store_true", help="stop when the audio is made")
    parser.add_argument("--machine", default="this machine", help="what it ran on, in words for the page")
    return parser.parse_args()


def solvers(binary: Path, bundle: Path | None) -> list[str]:
    """Those that fit the model, its default first."""
    model = ["--model", str(bundle)] if bundle else []
    done = subprocess.run([str(binary), "schedules", "--json", *model], check=True, capture_output=True, text=True)
    lines = json.loads(done.stdout)["solvers"]
    return [line["name"] for line in sorted(lines, key=lambda line: not line["default"])]


def score_clip(job: tuple[Clip, Path, bool]) -> tuple[float, ...]:
    """PESQ-wb, MR-STFT, log-mel difference, DNSMOS and DistillMOS of one clip, in a worker process."""
    clip, folder, listeners = job
    torch.set_num_threads(1)
    audio = read_wav(folder, clip)
    heard = (metrics.dnsmos(audio)[0], metrics.distillmos(audio)) if listeners else (np.nan, np.nan)
    return metrics.pesq_wb(audio, clip.audio), metrics.mr_stft(audio, clip.audio), metrics.log_mel_l1(audio, clip.audio), *heard


def make(args: argparse.Namespace, clips: list[Clip], solver: str, steps: int, out: Path) -> list[dict[str, Any]]:
    """The audio of one point in `out`, and the program's summaries beside it."""
    summaries = out / "summaries.json"
    if not summaries.exists():
        out.mkdir(parents=True, exist_ok=True)
        made = run_binary(args.binary, args.bundle, ["--solver", solver, "--steps", str(steps)], {clip.name: clip.mel for clip in clips}, out)
        summaries.write_text(json.dumps(made))
    return json.loads(summaries.read_text())


def score(args: argparse.Namespace, clips: list[Clip], solver: str, steps: int, out: Path, made: list[dict[str, Any]]) -> Point:
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        scores = np.mean(list(pool.map(score_clip, [(clip, out, args.listeners) for clip in clips])), 0)
    factor = sum(line["seconds"] for line in made) / sum(line["audio_seconds"] for line in made)
    return Point(solver, steps, made[0]["steps"], made[0]["schedule"], *map(float, scores), factor)


def table(points: list[Point], clips: list[Clip], machine: str, plot_name: str = "sampling.png") -> str:
    """The page with the table; the learned judges have columns where they were asked."""
    listeners = not any(np.isnan(p.distillmos) for p in points)
    seconds = sum(len(clip.audio) for clip in clips) / metrics.RATE
    lines = [
        "# Solvers and steps",
        "",
        f"The built-in model on {len(clips)} held-out clips ({seconds:.0f} s) and {machine}, written by",
        "`python -m vocode_training.sweep --data SPEECH --binary vocode --out ../../docs` from `models/training`. Steps are those of the schedule: the",
        "model's own of that length where it has one, else even ones. Some solvers call the denoiser several times a step, and time goes by calls. Higher is",
        "better for PESQ-wb, lower for the rest.",
        "",
        f"![PESQ-wb against the real-time factor]({plot_name})",
        "",
        f"| solver | steps | schedule | denoiser calls | PESQ-wb | MR-STFT | log-mel L1 |{' DNSMOS | DistillMOS |' * listeners} real-time factor |",
        f"|---|---:|---|---:|---:|---:|---:|{'---:|---:|' * listeners}---:|",
    ]
    for p in points:
        heard = f" {p.dnsmos:.2f} | {p.distillmos:.2f} |" * listeners
        lines.append(
            f"| {p.solver} | {p.steps} | {p.schedule} | {p.calls} | {p.pesq:.2f} | {p.mr_stft:.3f} | {p.log_mel:.3f} |{heard} {p.real_time_factor:.3f} |"
        )
    return "\n".join(lines) + "\n"


def plot(points: list[Point], path: Path) -> None:
    style.use(Path(__file__).with_name("plots.mplstyle"))
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for solver in dict.fromkeys(p.solver for p in points):
        line = [p for p in points if p.solver == solver]
        axes.plot([p.real_time_factor for p in line], [p.pesq for p in line], marker="o", markersize=4, label=solver)
        for p in line:
            axes.annotate(str(p.steps), (p.real_time_factor, p.pesq), textcoords="offset points", xytext=(4, 4), fontsize=7)
    axes.set(xscale="log", xlabel="real-time factor", ylabel="PESQ-wb", title="Quality against speed; the numbers are steps")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    args = arguments()
    clips = load_clips(args.data, args.split, args.limit)
    fitting = solvers(args.binary, args.bundle)
    chosen = args.solvers or fitting
    if unknown := set(chosen) - set(fitting):
        raise SystemExit(f"--solvers {' '.join(sorted(unknown))}: expected some of {', '.join(fitting)}")
    with TemporaryDirectory() as folder:
        work = args.work or Path(folder)
        places = {(solver, steps): work / f"{solver}-{steps}" for solver in chosen for steps in args.steps}
        made = {point: make(args, clips, *point, out) for point, out in places.items()}
        if args.no_scores:
            return
        points = []
        for (solver, steps), out in places.items():
            points.append(score(args, clips, solver, steps, out, made[solver, steps]))
            print(points[-1], flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / f"{args.name}.md").write_text(table(points, clips, args.machine, f"{args.name}.png"))
    plot(points, args.out / f"{args.name}.png")


if __name__ == "__main__":
    main()
