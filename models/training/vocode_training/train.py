"""Train the default model: `python -m vocode_training.train --data SPEECH --out RUN`.

Flow matching with sample prediction in the excitation domain: y_t = (1 - t) n + t x, the network estimates x.
A run stops by wall clock, writes `RUN/last.pt` every few minutes, and goes on from it when started again.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint, losses
from .data import MARGIN, Recordings, measure_equaliser
from .network import SIGMA_DATA, Config, Model


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of recordings; may be given again")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--init", type=Path, help="start from the weights of this checkpoint")
    parser.add_argument("--skip", action="append", default=[], help="leave out files under folders of this name (a speaker)")
    parser.add_argument("--minutes", type=float, default=60.0, help="wall clock of this run, earlier parts included")
    parser.add_argument("--decay-minutes", type=float, default=0.0, help="cosine decay of the learning rate to 2%% over the last minutes")
    parser.add_argument("--save-minutes", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--frames", type=int, default=64, help="crop length")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument("--spectral", type=float, default=0.0, help="weight of the log-spectral loss on the estimate")
    parser.add_argument("--optimiser", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    for name, value in Config().to_dict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    return parser.parse_args()


def make_optimisers(model: Model, kind: str, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the stack and the conditioner's products, AdamW for the rest."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        inner = parameter.ndim == 2 and not name.startswith(("denoiser.input", "denoiser.output", "denoiser.step"))
        (matrices if inner and kind == "muon" else others).append(parameter)
    optimisers: list[torch.optim.Optimizer] = [torch.optim.AdamW(others, lr, betas=(0.9, 0.98), weight_decay=0.01)]
    if matrices:
        optimisers.append(torch.optim.Muon(matrices, lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return optimisers


def sample_times(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """t = sigmoid(N(-0.3, 1)): more of the middle, where the few-step samplers spend their calls."""
    normal = torch.randn(count, generator=generator, device=device)
    return torch.sigmoid(normal - 0.3).clamp(max=0.995)


class Objective(nn.Module):
    """The loss of one batch; a module, so that it compiles and casts as a whole."""

    def __init__(self, model: Model, spectral: float) -> None:
        super().__init__()
        self.model = model
        self.spectral = spectral

    def forward(self, y: Tensor, x: Tensor, t: Tensor, mel: Tensor) -> tuple[Tensor, Tensor]:
        """The raw network output and its target, in units of unit variance."""
        denoiser = self.model.denoiser
        cond = self.model.conditioner(mel)[..., MARGIN:-MARGIN]
        c_in, c_skip, c_out = denoiser.scales(t)
        return denoiser.network(c_in * y, t, cond), (x - c_skip * y) / c_out


def loss_of(state: checkpoint.State, objective: Objective, data: Recordings, args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    batch = data.crops(args.batch, args.frames, state.generator, state.log_equaliser)
    x = batch.excitation
    t = sample_times(len(x), state.generator, x.device)
    noise = torch.randn(x.shape, generator=state.generator, device=x.device) * batch.inside
    y = (1 - t[:, None]) * noise + t[:, None] * x
    with torch.autocast(x.device.type, torch.bfloat16):
        output, target = objective(y, x, t, batch.mel)
    output = output.float()
    loss, bands = losses.weighted_error((output - target) * batch.inside)
    total = loss.mean()
    if args.spectral > 0:
        _, c_skip, c_out = state.model.denoiser.scales(t)
        total = total + args.spectral * losses.log_spectral_distance(c_skip * y + c_out * output, x, t)
    return total, torch.cat([loss.mean().detach()[None], bands])


def learning_rate(args: argparse.Namespace, state: checkpoint.State) -> float:
    warm = min(1.0, (state.step + 1) / 200)
    left = args.minutes * 60 - state.wall_seconds
    decay = args.decay_minutes * 60
    if decay <= 0 or left >= decay:
        return args.lr * warm
    return args.lr * warm * (0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * max(left, 0.0) / decay)))


def start(args: argparse.Namespace, device: torch.device, data: Recordings) -> checkpoint.State:
    torch.manual_seed(args.seed)
    model = Model(Config(**{k: getattr(args, k) for k in Config().to_dict()}))
    equaliser = None
    if args.init:
        model, equaliser = checkpoint.load_model(args.init)
        model.train()
    model.to(device)
    if equaliser is None:
        equaliser = measure_equaliser(data)
    generator = torch.Generator(device).manual_seed(args.seed + 1)
    optimisers = make_optimisers(model, args.optimiser, args.lr)
    state = checkpoint.State(model, checkpoint.moving_average(model, args.ema), optimisers, generator, equaliser.to(device))
    last = args.out / "last.pt"
    if last.exists():
        state.restore(last)
        print(f"going on from {last}: step {state.step}, {state.wall_seconds / 60:.1f} min")
    return state


def run(args: argparse.Namespace) -> None:
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = Recordings(args.data, "train", device, tuple(args.skip))
    args.out.mkdir(parents=True, exist_ok=True)
    state = start(args, device, data)
    print(f"{len(data.paths)} clips, {data.seconds / 60:.1f} min; {state.model.parameter_count() / 1e6:.2f} M parameters; {device}")
    objective = Objective(state.model, args.spectral)
    if args.compile:
        objective.compile()
    seen = args.batch * args.frames * 256 / 22_050
    begin, saved = time.monotonic() - state.wall_seconds, time.monotonic()
    recent: list[Tensor] = []
    last_log = (time.monotonic(), state.step)
    with (args.out / "log.jsonl").open("a") as log:
        while state.wall_seconds < args.minutes * 60:
            for optimiser in state.optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(args, state)
            loss, record = loss_of(state, objective, data, args)
            for optimiser in state.optimisers:
                optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
            for optimiser in state.optimisers:
                optimiser.step()
            state.average.update_parameters(state.model)
            state.step += 1
            state.audio_seconds += seen
            state.wall_seconds = time.monotonic() - begin
            recent.append(record)
            if state.step % 100 == 0:
                mean = torch.stack(recent).mean(0).tolist()
                recent.clear()
                now = time.monotonic()
                speed = (state.step - last_log[1]) * seen / (now - last_log[0])
                last_log = (now, state.step)
                row = {"step": state.step, "audio_s": round(state.audio_seconds), "min": round(state.wall_seconds / 60, 2),
                       "loss": round(mean[0], 4), "bands": [round(b, 3) for b in mean[1:]], "audio_s_per_s": round(speed, 1)}
                log.write(json.dumps(row) + "\n")
                log.flush()
                to_go = args.minutes - state.wall_seconds / 60
                print(f"{row['step']:7d}  loss {row['loss']:.4f}  bands {row['bands']}  {speed:.1f} audio s/s  {to_go:.0f} min to go", flush=True)
            if time.monotonic() - saved > args.save_minutes * 60:
                state.save(args.out / "last.pt")
                saved = time.monotonic()
    state.save(args.out / "last.pt")


if __name__ == "__main__":
    run(arguments())
