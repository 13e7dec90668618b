"""Other forms of a bundle, to be measured against it: `python -m vocode_training.variants ../default --out VARIANTS --data CORPUS`.

Writes VARIANTS/half, whose matrices are stored as float16 and computed with in float32, and VARIANTS/int8, whose denoiser multiplies in 8-bit
integers with scales measured on CORPUS. `evaluate --bundle` and `vocode bench --model` tell what they are worth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import bundle, export, int8, onnx_model, warm
from .augment import Augmentation
from .data import MARGIN, Recordings
from .network import Model
from .schedules import FINISHED

# Crops that the scales are measured on, and how many of their frames.
CROPS = 48
FRAMES = 48
# Of the states only every so manieth value is kept.
SPARSE = 29


def manifest(folder: Path) -> str:
    """The manifest of a bundle without its hashes."""
    return (folder / "bundle.toml").read_text().split("[sha256]")[0].rstrip() + "\n"


def write_half(folder: Path, out: Path) -> None:
    """Write the bundle with its matrices as float16."""
    model, _ = warm.load_bundle(folder)
    export.round_to_half(model)
    conditioner, denoiser = (graph.SerializeToString() for graph in onnx_model.graphs(model, True))
    bundle.write(out, conditioner, denoiser, manifest(folder))


@torch.inference_mode()
def calibrate(model: Model, log_equaliser: Tensor, data: Recordings) -> int8.Calibration:
    """Scales of the states of each layer, on crops as in training (loud, quiet, low-passed), at the calls of every finished schedule."""
    generator = torch.Generator().manual_seed(0)
    batch = data.crops(CROPS, FRAMES, generator, log_equaliser, Augmentation())
    cond = model.conditioner(batch.mel)[..., MARGIN:-MARGIN].contiguous()
    found: list[list[np.ndarray]] = [[] for _ in model.denoiser.layers]
    for schedule in FINISHED:
        y = torch.randn(batch.excitation.shape, generator=generator) * batch.inside
        for now, following in zip(schedule.times, [*schedule.times[1:], 1.0], strict=True):
            t = torch.full((CROPS,), now)
            for kept, state in zip(found, int8.states(model.denoiser, y, t, cond), strict=True):
                kept.append(state.reshape(-1)[::SPARSE])
            y = y + (model.denoiser(y, t, cond) * batch.inside - y) * ((following - now) / (1.0 - now))
    return int8.Calibration(tuple(int8.best_scale(np.concatenate(values)) for values in found))


def write_int8(folder: Path, out: Path, data: Recordings) -> None:
    """Write the bundle with a denoiser that multiplies in 8-bit integers."""
    model, log_equaliser = warm.load_bundle(folder)
    graph = int8.denoiser_graph(model.eval().denoiser, calibrate(model, log_equaliser, data), half=True)
    bundle.write(out, (folder / "conditioner.onnx").read_bytes(), graph.SerializeToString(), manifest(folder))


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", required=True, help="recordings that the scales of int8 are measured on")
    args = parser.parse_args(words)
    write_half(args.bundle, args.out / "half")
    write_int8(args.bundle, args.out / "int8", Recordings(args.data, "train", torch.device("cpu")))
    for folder in (args.out / "half", args.out / "int8"):
        size = sum(path.stat().st_size for path in folder.glob("*.onnx")) / 1e6
        print(f"{folder}: {size:.1f} MB")


if __name__ == "__main__":
    main()
