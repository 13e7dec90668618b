"""What every training run shares: options, the clock, the log, checkpoints, scores on the way and the learning rate."""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from . import checkpoint, mel, monitor, parallel, warm
from .augment import SLOWEST, Augmentation
from .data import Recordings, measure_equaliser
from .network import Config, Model
from .systems import Clip

LOG_EVERY = 50


def add_options(parser: argparse.ArgumentParser, *, minutes: float, batch: int, lr: float, ema: float) -> None:
    """The options that every run takes, with the defaults of its stage."""
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of recordings; may be given again")
    mel.add_option(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; started again, it goes on from its last.pt")
    parser.add_argument("--skip", action="append", default=[], help="leave out files under folders of this name (a speaker)")
    parser.add_argument("--minutes", type=float, default=minutes, help="wall clock of this run, earlier parts included")
    parser.add_argument("--decay-minutes", type=float, default=0.0, help="cosine decay of the learning rate to 2%% over the last minutes")
    parser.add_argument("--updates", type=int, default=0, help="also stop after so many updates of this run, earlier parts included")
    parser.add_argument("--decay-updates", type=int, default=0, help="the decay over the last of --updates instead of minutes: other work slows those")
    parser.add_argument("--save-minutes", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=batch, help="crops a process")
    parser.add_argument("--frames", type=int, default=64, help="crop length")
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--ema", type=float, default=ema)
    parser.add_argument("--optimiser", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--precision", choices=["auto", "bf16", "float32"], default="auto", help="auto: by a short timing at the start")
    parser.add_argument("--processes", type=int, default=1, help="processes that share the work, gradients averaged; each takes --threads")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", type=float, default=0.05, help="share of the crops 31 dB down")
    parser.add_argument("--low-pass", type=float, default=0.1, help="share of the crops low-passed at 3.4 to 8 kHz")
    parser.add_argument("--smooth", type=float, default=0.0, help="share of the mels that are blurred")
    parser.add_argument("--noise", type=float, default=0.0, help="share of the mels with noise on them")
    parser.add_argument("--contrast", type=float, default=0.0, help="share of the mels with another contrast")
    parser.add_argument("--slow", type=float, default=0.0, help=f"share of the crops played more slowly, down to {SLOWEST} of their speed: lower voices")
    parser.add_argument("--score-data", type=Path, help="folder with a manifest: score the moving average on it and keep the best as best.pt")
    parser.add_argument("--score-split", default="valid")
    parser.add_argument("--score-clips", type=int, default=24)
    parser.add_argument("--score-minutes", type=float, default=30.0)


def augmentation(args: argparse.Namespace) -> Augmentation:
    return Augmentation(args.quiet, args.low_pass, args.smooth, args.noise, args.contrast, args.slow)


def device_of(args: argparse.Namespace) -> torch.device:
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    if args.threads > 1 and os.environ.get("OMP_WAIT_POLICY") != "PASSIVE":
        print("several threads that spin lose most of their speed beside any other work: set OMP_WAIT_POLICY=PASSIVE, or use --processes", flush=True)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_optimisers(model: Model, kind: str, lr: float) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of the stack, AdamW for the rest; or AdamW for all."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        inner = parameter.ndim == 2 and name.startswith("denoiser.layers")
        (matrices if inner and kind == "muon" else others).append(parameter)
    betas = (0.9, 0.98) if kind == "muon" else (0.8, 0.99)
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr, betas=betas, weight_decay=0.01)]
    if matrices:
        optimisers.append(torch.optim.Muon(matrices, lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return optimisers


def start(args: argparse.Namespace, device: torch.device, data: Recordings, config: Config | None, init: Path | None) -> checkpoint.State:
    """A fresh state, or one from `init` where given: widened to `config` where that asks for more channels, and retuned to another convention."""
    torch.manual_seed(args.seed)
    equaliser = None
    if init:
        model, known = warm.load_start(init)
        model = warm.widened(model, config or model.config, args.seed)
        if model.convention == args.convention:
            equaliser = known
        else:
            model = warm.retuned(model, args.convention)
    else:
        model = Model(config or Config(), args.convention)
    model.train().to(device)
    if equaliser is None:
        equaliser = measure_equaliser(data)
    generator = torch.Generator(device).manual_seed(args.seed + 1 + 1000 * parallel.rank())
    optimisers = make_optimisers(model, args.optimiser, args.lr)
    average = checkpoint.moving_average(model, args.ema)
    return checkpoint.State(model, average, optimisers, generator, equaliser.to(device))


def resume(args: argparse.Namespace, state: checkpoint.State) -> None:
    last = args.out / "last.pt"
    if last.exists():
        state.restore(last)
        say(f"going on from {last}: step {state.step}, {state.wall_seconds / 60:.1f} min")


def say(text: str) -> None:
    if parallel.rank() == 0:
        print(text, flush=True)


def rate_factor(args: argparse.Namespace, state: checkpoint.State) -> float:
    """Warm-up over 200 updates, then 1, then a cosine to 0.02 at the end of the updates, where their decay is asked for, or of the clock."""
    warm_up = min(1.0, (state.step + 1) / 200)
    left, decay = args.minutes * 60 - state.wall_seconds, args.decay_minutes * 60
    if args.updates and args.decay_updates:
        left, decay = args.updates - state.step, args.decay_updates
    if decay <= 0 or left >= decay:
        return warm_up
    return warm_up * (0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * max(left, 0.0) / decay)))


class Log:
    """`out/log.jsonl` and the terminal, written by the first process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "log.jsonl"

    def write(self, row: dict[str, object]) -> None:
        if parallel.rank() == 0:
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(" ".join(f"{k} {v}" for k, v in row.items()), flush=True)


class Scoring:
    """Scores the moving average every `score_minutes`, and keeps the best."""

    def __init__(self, args: argparse.Namespace, schedules: dict[str, tuple[float, ...]], passes: int, momentum: float) -> None:
        self.args, self.schedules, self.passes, self.momentum = args, schedules, passes, momentum
        here = args.score_data is not None and parallel.rank() == 0
        self.clips: list[Clip] = monitor.clips(args.score_data, args.score_split, args.score_clips, args.convention) if here else []
        self.due = args.score_minutes * 60

    def run(self, state: checkpoint.State, log: Log) -> None:
        """Best is the mean of PESQ-wb over the schedules; all scores of a checkpoint stand in the log."""
        if not self.clips:
            return
        found = {name: monitor.score(state, self.clips, times, self.passes, self.momentum) for name, times in self.schedules.items()}
        log.write({"step": state.step, "min": round(state.wall_seconds / 60, 1), "scores": found})
        mean = sum(row["pesq"] for row in found.values()) / len(found)
        if mean > state.best_score:
            state.best_score = mean
            shutil.copy2(self.args.out / "last.pt", self.args.out / "best.pt")


def run(args: argparse.Namespace, state: checkpoint.State, update: Callable[[], dict[str, Tensor]], rates: list[float], scoring: Scoring) -> None:
    """Call `update` until the clock runs out; its scalars and vectors are averaged into `out/log.jsonl`. `rates`: one an optimiser."""
    log = Log(args.out)
    seen = args.batch * args.frames * args.convention.hop / args.convention.sample_rate * parallel.size()
    begin = parallel.agreed(time.monotonic()) - state.wall_seconds
    saved = logged = begin + state.wall_seconds
    scored = saved if state.step else saved - 1e9
    recent: list[dict[str, Tensor]] = []
    while state.wall_seconds < args.minutes * 60 and not 0 < args.updates <= state.step:
        factor = rate_factor(args, state)
        for optimiser, rate in zip(state.optimisers, rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        recent.append(update())
        state.average.update_parameters(state.model)
        state.step += 1
        state.audio_seconds += seen
        now = parallel.agreed(time.monotonic())
        state.wall_seconds = now - begin
        if state.step % LOG_EVERY == 0:
            log.write(_row(args, state, recent, len(recent) * seen / (now - logged)))
            recent.clear()
            logged = now
        if now - saved > args.save_minutes * 60:
            state.save(args.out / "last.pt")
            saved = now
        if args.score_data and now - scored > args.score_minutes * 60:
            state.save(args.out / "last.pt")
            scoring.run(state, log)
            saved = scored = logged = now
    state.save(args.out / "last.pt")
    scoring.run(state, log)


def _row(args: argparse.Namespace, state: checkpoint.State, recent: list[dict[str, Tensor]], speed: float) -> dict[str, object]:
    keys = sorted({k for r in recent for k in r})
    means = {k: torch.stack([r[k].float() for r in recent if k in r]).mean(0).tolist() for k in keys}
    rounded = {k: [round(x, 3) for x in v] if isinstance(v, list) else round(v, 4) for k, v in means.items()}
    minutes = state.wall_seconds / 60
    clock = {"step": state.step, "audio_s": round(state.audio_seconds), "min": round(minutes, 2), "to_go": round(args.minutes - minutes)}
    return {**clock, **rounded, "audio_s_per_s": round(speed, 1)}
