"""What every training run shares: options, the clock, the log, checkpoints and the learning rate."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from . import checkpoint, warm
from .data import Recordings, measure_equaliser
from .mel import HOP, SAMPLE_RATE
from .network import Config, Model

LOG_EVERY = 100


def add_options(parser: argparse.ArgumentParser, *, minutes: float, batch: int, lr: float, ema: float) -> None:
    """The options that every run takes, with the defaults of its stage."""
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of recordings; may be given again")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; started again, it goes on from its last.pt")
    parser.add_argument("--skip", action="append", default=[], help="leave out files under folders of this name (a speaker)")
    parser.add_argument("--minutes", type=float, default=minutes, help="wall clock of this run, earlier parts included")
    parser.add_argument("--decay-minutes", type=float, default=0.0, help="cosine decay of the learning rate to 2%% over the last minutes")
    parser.add_argument("--save-minutes", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--frames", type=int, default=64, help="crop length")
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--ema", type=float, default=ema)
    parser.add_argument("--optimiser", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)


def device_of(args: argparse.Namespace) -> torch.device:
    if args.threads:
        torch.set_num_threads(args.threads)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def make_optimisers(model: Model, kind: str, lr: float) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices of the stack and the conditioner's products, AdamW for the rest."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        inner = parameter.ndim == 2 and not name.startswith(("denoiser.input", "denoiser.output", "denoiser.step"))
        (matrices if inner and kind == "muon" else others).append(parameter)
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr, betas=(0.9, 0.98), weight_decay=0.01)]
    if matrices:
        optimisers.append(torch.optim.Muon(matrices, lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return optimisers


def start(args: argparse.Namespace, device: torch.device, data: Recordings, config: Config, init: Path | None) -> checkpoint.State:
    """A fresh state, from `init` where given, or the one that `out` holds."""
    torch.manual_seed(args.seed)
    model, equaliser = warm.load_start(init) if init else (Model(config), None)
    model.train().to(device)
    if equaliser is None:
        equaliser = measure_equaliser(data)
    generator = torch.Generator(device).manual_seed(args.seed + 1)
    optimisers = make_optimisers(model, args.optimiser, args.lr)
    average = checkpoint.moving_average(model, args.ema)
    return checkpoint.State(model, average, optimisers, generator, equaliser.to(device))


def resume(args: argparse.Namespace, state: checkpoint.State) -> None:
    last = args.out / "last.pt"
    if last.exists():
        state.restore(last)
        print(f"going on from {last}: step {state.step}, {state.wall_seconds / 60:.1f} min", flush=True)


def rate_factor(args: argparse.Namespace, state: checkpoint.State) -> float:
    """Warm-up over 200 updates, then 1, then a cosine to 0.02 at the end of the clock."""
    warm = min(1.0, (state.step + 1) / 200)
    left, decay = args.minutes * 60 - state.wall_seconds, args.decay_minutes * 60
    if decay <= 0 or left >= decay:
        return warm
    return warm * (0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * max(left, 0.0) / decay)))


def run(args: argparse.Namespace, state: checkpoint.State, update: Callable[[], dict[str, Tensor]]) -> None:
    """Call `update` until the clock runs out; its scalars and vectors are averaged into `out/log.jsonl`."""
    args.out.mkdir(parents=True, exist_ok=True)
    seen = args.batch * args.frames * HOP / SAMPLE_RATE
    begin = time.monotonic() - state.wall_seconds
    saved = logged = time.monotonic()
    recent: list[dict[str, Tensor]] = []
    with (args.out / "log.jsonl").open("a") as log:
        while state.wall_seconds < args.minutes * 60:
            for optimiser in state.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = args.lr * rate_factor(args, state)
            recent.append(update())
            state.average.update_parameters(state.model)
            state.step += 1
            state.audio_seconds += seen
            now = time.monotonic()
            state.wall_seconds = now - begin
            if state.step % LOG_EVERY == 0:
                means = {k: torch.stack([r[k] for r in recent]).mean(0).tolist() for k in recent[0]}
                speed = len(recent) * seen / (now - logged)
                recent.clear()
                logged = now
                row = {"step": state.step, "audio_s": round(state.audio_seconds), "min": round(state.wall_seconds / 60, 2), **_rounded(means)}
                log.write(json.dumps(row) + "\n")
                log.flush()
                to_go = args.minutes - state.wall_seconds / 60
                print(f"{row['step']:7d}  {_rounded(means)}  {speed:.1f} audio s/s  {to_go:.0f} min to go", flush=True)
            if now - saved > args.save_minutes * 60:
                state.save(args.out / "last.pt")
                saved = now
    state.save(args.out / "last.pt")


def _rounded(means: dict[str, float | list[float]]) -> dict[str, float | list[float]]:
    return {k: [round(x, 3) for x in v] if isinstance(v, list) else round(v, 4) for k, v in means.items()}
