"""Make a bundle of a published DiffWave checkpoint: `python -m vocode_training.import_diffwave weights.pt --out DIR`.

Takes `weights.pt` of lmnt-com/diffwave and the `.pkl` files of philsyn/DiffWave-Vocoder, told apart by their keys. Only weights are
loaded: a file with code in it is refused. Sizes come from the tensors; lmnt's files hold the rest, philsyn's need flags:

    python -m vocode_training.import_diffwave 1000000.pkl --out DIR --dilation-cycle 10 --betas 1e-4:0.05:50

The bundle is written only if the graphs agree with PyTorch on random input.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from . import bundle, conventions, ddpm
from .conventions import Table, toml
from .diffwave import checkpoint, graph
from .diffwave.checkpoint import Checkpoint
from .diffwave.layouts import CheckpointError
from .diffwave.network import DiffWave

TOLERANCE = 1e-4
SOURCES = {"lmnt": "lmnt-com/diffwave", "philsyn": "philsyn/DiffWave-Vocoder"}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--mel", metavar="NAME|FILE", help=f"mel convention: {', '.join(conventions.PRESETS)}, or TOML [lmnt's: lmnt, philsyn's: tacotron2]")
    parser.add_argument("--dilation-cycle", type=int, metavar="LAYERS", help="dilations repeat 1, 2, ... 2^(LAYERS - 1) [what the checkpoint says]")
    parser.add_argument("--betas", metavar="START:END:STEPS|LIST", help="noise schedule of the training [what the checkpoint says]")
    parser.add_argument("--fast", metavar="LIST", help="betas of the short schedule [the checkpoint's, or the paper's of 6 steps that fits]")
    parser.add_argument("--name", default="diffwave")
    parser.add_argument("--version", help="[the training step]")
    parser.add_argument("--licence", default="not said by the checkpoint")
    parser.add_argument("--description", help="[sizes and origin]")
    parser.add_argument("--training-data", default="not said by the checkpoint", help="what it learned from and under which licence, in words")
    parser.add_argument("--half", action="store_true", help="store matrices as float16: half the size, computed in float32")
    return parser.parse_args(words)


def numbers(flag: str, words: str | None) -> list[float] | None:
    """START:END:STEPS, both ends included, or a comma list."""
    if words is None:
        return None
    try:
        if ":" not in words:
            return [float(word) for word in words.split(",")]
        start, end, steps = words.split(":")
        return np.linspace(float(start), float(end), int(steps)).tolist()
    except ValueError as error:
        raise CheckpointError(f"{flag} {words}: expected START:END:STEPS or numbers with commas between ({error})") from error


def convention(word: str | None, source: Checkpoint, network: DiffWave) -> Table:
    """The mel that the model was trained on, which must have the network's bands and hop."""
    if word is not None:
        try:
            found = conventions.named(word)
        except ValueError as error:
            raise CheckpointError(f"--mel: {error}") from error
    elif source.layout == "philsyn":
        found = conventions.TACOTRON2
    else:
        names = {"sample_rate": "sample_rate", "n_fft": "n_fft", "hop": "hop_samples", "n_mels": "n_mels"}
        found = conventions.lmnt(**{ours: source.params[theirs] for ours, theirs in names.items() if theirs in source.params})
    for field, expected in (("n_mels", network.n_mels), ("hop", network.hop)):
        if found.get(field) != expected:
            raise CheckpointError(f"the network takes mels with {field} = {expected}, and the convention has {found.get(field)}: --mel sets another")
    return found


def schedules(betas: list[float], asked: list[float] | None, stored: Any) -> dict[str, Any]:
    """Named schedules, the default first: a short one where one fits, and the full one."""
    for candidate in [asked] if asked else [*([stored] if stored else []), *ddpm.PUBLISHED]:
        try:
            ddpm.fast(betas, candidate)
        except (ValueError, TypeError) as error:
            if asked:
                raise CheckpointError(f"--fast: {error}") from error
        else:
            return {"fast": {"betas": candidate}, "full": {"full": True}}
    return {"full": {"full": True}}


def training_betas(betas: list[float]) -> Any:
    """Ends and length where evenly spaced, the list otherwise."""
    even = np.linspace(betas[0], betas[-1], len(betas))
    return {"start": betas[0], "end": betas[-1], "steps": len(betas)} if np.allclose(betas, even, rtol=1e-12, atol=0) else betas


def manifest(args: argparse.Namespace, source: Checkpoint, network: DiffWave, betas: list[float]) -> str:
    """`bundle.toml` without the hashes."""
    named = schedules(betas, numbers("--fast", args.fast), source.params.get("inference_noise_schedule"))
    sizes = f"{network.channels} channels, {len(network.layers)} layers, T = {len(betas)}"
    step = "" if source.step is None else f" at step {source.step}"
    denoiser, conditioner = network.contexts()
    # lmnt's sampler holds the state within full scale after every step, philsyn's does not.
    clamp = "clamp = [-1.0, 1.0]\n" if source.layout == "lmnt" else ""
    return f"""\
format = 1
name = {toml(args.name)}
version = {toml(args.version or str(source.step or 1))}
licence = {toml(args.licence)}
description = {toml(args.description or f"DiffWave, {sizes}, from a checkpoint of {SOURCES[source.layout]}{step}.")}
training_data = {toml(args.training_data)}

[mel]
{conventions.lines(convention(args.mel, source, network))}
[diffusion]
process = "ddpm"
betas = {toml(training_betas(betas))}
prediction = "epsilon"
domain = "waveform"
{clamp}
[schedules]
default = {toml(next(iter(named)))}

[schedules.named]
{"".join(f"{name} = {toml(spec)}" + chr(10) for name, spec in named.items())}
[context]
denoiser = {denoiser}
conditioner = {conditioner}
"""


@torch.inference_mode()
def parity(network: DiffWave, conditioner: bytes, denoiser: bytes, steps: int, frames: int = 3) -> float:
    """Greatest difference of the graphs' answers from PyTorch's on a random batch of two, relative where answers exceed 1."""
    generator = torch.Generator().manual_seed(0)
    mel = torch.rand(2, network.n_mels, frames, generator=generator)
    x, t = torch.randn(2, frames * network.hop, generator=generator), torch.tensor([0.0, 0.6 * (steps - 1)])
    run = [onnxruntime.InferenceSession(g, providers=["CPUExecutionProvider"]).run for g in (conditioner, denoiser)]
    cond = run[0](None, {"mel": mel.numpy()})[0]
    found = run[1](None, {"x": x.numpy(), "t": t.numpy(), "cond": cond})[0]
    expected_cond = network.conditioner(mel)
    if cond.ndim == 4:  # rows of phases: sample = rows * column + row
        cond = cond.transpose(0, 1, 3, 2).reshape(expected_cond.shape)
    pairs = [(cond, expected_cond.numpy()), (found, network.denoiser(x, t, expected_cond).numpy())]
    return max(float(np.abs(a - b).max() / max(1.0, float(np.abs(b).max()))) for a, b in pairs)


def convert(args: argparse.Namespace) -> float:
    """Write the bundle; returns the greatest difference from PyTorch."""
    source = checkpoint.load(args.checkpoint)
    settings = source.settings(args.dilation_cycle, numbers("--betas", args.betas))
    network = source.network(settings)
    words = manifest(args, source, network, settings.betas)
    conditioner, denoiser = (g.SerializeToString() for g in graph.graphs(network, half=args.half))
    difference = parity(network.rounded() if args.half else network, conditioner, denoiser, len(settings.betas))
    if not difference <= TOLERANCE:  # NaN too
        raise CheckpointError(f"the graphs differ from PyTorch by {difference:.2e}, more than {TOLERANCE:.0e}: nothing was written")
    bundle.write(args.out, conditioner, denoiser, words)
    return difference


def main(words: list[str] | None = None) -> None:
    args = arguments(words)
    try:
        difference = convert(args)
    except CheckpointError as error:
        raise SystemExit(f"{args.checkpoint}: {error}") from error
    size = math.fsum(p.stat().st_size for p in args.out.glob("*.onnx")) / 1e6
    print(f"{args.out}: {size:.1f} MB, within {difference:.1e} of PyTorch")


if __name__ == "__main__":
    main()
