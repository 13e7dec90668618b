"""Make a bundle of a checkpoint: `python -m vocode_training.export RUN/last.pt --out ../default --training-data "..."`.

Writes `conditioner.onnx`, `denoiser.onnx` and `bundle.toml`, after comparing the graphs with PyTorch on random input.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from . import bundle, checkpoint, conventions, envelope, integers, onnx_model
from .conventions import toml
from .network import MEL_SPREAD, Model
from .schedules import FINISHED

TOLERANCE = 1e-4
# Schedules that a bundle offers beside those that the model is finished for: even ones of so many steps.
EVEN = {"fine": 6, "finest": 12}
SCHEDULES = [*(s.name for s in FINISHED), *EVEN]


def of_schedule(words: str) -> tuple[str, int]:
    name, _, passes = words.partition("=")
    if name not in SCHEDULES:
        raise ValueError
    return name, int(passes)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--name", default="default")
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--licence", default="MIT OR Apache-2.0")
    parser.add_argument("--description", default="Folded DiffWave in the excitation domain, flow with sample prediction.")
    parser.add_argument("--training-data", required=True, help="what it learned from and under which licence, in words")
    parser.add_argument("--schedule", choices=SCHEDULES, default="fast", help="the default schedule")
    parser.add_argument("--passes", type=int, default=2, help="passes that bring the audio closer to its mel")
    parser.add_argument("--momentum", type=float, default=0.0, help="how much of the change from pass to pass is made once more")
    parser.add_argument("--sharpen", type=float, default=0.0, help="how much mels are sharpened across bands before all else")
    parser.add_argument("--passes-of", type=of_schedule, action="append", default=[], metavar="NAME=N", help="other passes after this schedule")
    parser.add_argument("--integers", type=Path, action="append", metavar="CORPUS", help="also the denoiser in integers, its scales measured on these")
    parser.add_argument("--half", action="store_true", help="store matrices as float16, in ten bits of precision: half the size, computed in float32")
    return parser.parse_args(words)


def numbers(values: np.ndarray, per_line: int = 12) -> str:
    """A TOML array of floats over several lines."""
    items = [f"{v:.5f}" for v in values.tolist()]
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[\n  " + ",\n  ".join(lines) + ",\n]"


def manifest(args: argparse.Namespace, model: Model, log_equaliser: np.ndarray) -> str:
    """`bundle.toml` without the hashes."""
    config = model.config
    grids = {s.name: f"times = {list(s.times)}" for s in FINISHED} | {name: f"steps = {steps}" for name, steps in EVEN.items()}
    passes = {name: f", passes = {count}" for name, count in args.passes_of}
    schedules = "\n".join(f"{name} = {{ {grid}{passes.get(name, '')} }}" for name, grid in grids.items())
    return f"""\
format = 1
name = {toml(args.name)}
version = {toml(args.version)}
licence = {toml(args.licence)}
description = {toml(args.description)}
training_data = {toml(args.training_data)}

[mel]
{conventions.lines(model.convention.table())}
[diffusion]
process = "flow"
prediction = "sample"
domain = "excitation"

[schedules]
default = {toml(args.schedule)}

[schedules.named]
{schedules}

[context]
denoiser = {config.denoiser_context()}
conditioner = {config.conditioner_context()}

[envelope]
fft = {envelope.FFT}
window = {envelope.window_length(model.convention)}
lifter = {envelope.LIFTER}
smooth = {len(envelope.SMOOTH)}
log_equaliser = {numbers(log_equaliser)}

[consistency]
passes = {args.passes}
momentum = {args.momentum}

[sharpening]
bands = {args.sharpen}
"""


def rounded(values: torch.Tensor) -> torch.Tensor:
    """Float16 of ten significant bits, one less than it has: it packs 6% smaller, and the models of a crate have to fit into 10 MiB."""
    fraction, exponent = torch.frexp(values.double())
    return torch.ldexp((fraction * 1024).round() / 1024, exponent).half()


def round_to_half(model: Model) -> None:
    """Round the matrices to what is stored of them."""
    # The graph holds this one with the layers' share in it.
    share = {"denoiser.skip.weight": model.config.layers**-0.5}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                scale = share.get(name, 1.0)
                parameter.copy_(rounded(parameter.double() * scale).double() / scale)


@torch.inference_mode()
def parity(model: Model, conditioner: bytes, denoiser: bytes, mel: torch.Tensor, x: torch.Tensor, t: torch.Tensor) -> float:
    """Greatest difference of the graphs' outputs from PyTorch's, for `mel [B, n_mels, F]`, `x [B, F * hop]`, `t [B]`."""
    run = [onnxruntime.InferenceSession(g, providers=["CPUExecutionProvider"]).run for g in (conditioner, denoiser)]
    expected_cond = model.conditioner(mel)
    expected = model.denoiser(x, t, expected_cond)
    cond = run[0](None, {"mel": mel.numpy()})[0]
    found = run[1](None, {"x": x.numpy(), "t": t.numpy(), "cond": cond})[0]
    return max(np.abs(cond.transpose(0, 2, 1) - expected_cond.numpy()).max(), np.abs(found - expected.numpy()).max())


def random_input(model: Model, frames: int = 24) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A batch of two, each with its own time."""
    generator = torch.Generator().manual_seed(0)
    config = model.config
    mel = torch.randn(2, config.n_mels, frames, generator=generator) * MEL_SPREAD + config.mel_centre
    noise = torch.randn(2, frames * config.hop, generator=generator)
    return mel.clamp(min=model.convention.log_floor), noise, torch.tensor([0.0, 0.6])


def export(args: argparse.Namespace) -> float:
    """Write the bundle; returns the greatest difference from PyTorch."""
    model, log_equaliser = checkpoint.load_model(args.checkpoint)
    if args.half:
        round_to_half(model)
    conditioner, denoiser = (g.SerializeToString() for g in onnx_model.graphs(model, args.half))
    difference = parity(model, conditioner, denoiser, *random_input(model))
    if not difference <= TOLERANCE:  # NaN too
        raise SystemExit(f"the graphs differ from PyTorch by {difference:.2e}, more than {TOLERANCE:.0e}: nothing was written")
    bundle.write(args.out, conditioner, denoiser, manifest(args, model, log_equaliser.numpy()))
    if args.integers:
        integers.add(args.out, args.integers)
    return float(difference)


def main(words: list[str] | None = None) -> None:
    args = arguments(words)
    difference = export(args)
    size = sum(p.stat().st_size for p in args.out.glob("*.onnx")) / 1e6
    print(f"{args.out}: {size:.1f} MB, within {difference:.1e} of PyTorch")


if __name__ == "__main__":
    main()
