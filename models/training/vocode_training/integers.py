"""The denoiser of a bundle in 8-bit integers, beside the one in float: `python -m vocode_training.integers ../default --data CORPUS`.

Writes `denoiser.int8.onnx` into the bundle's folder and its hash into the manifest. The scales of the states are measured on CORPUS.
`evaluate --binary vocode --precision float int8` tells what it costs, `vocode bench --precision` what it saves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import bundle, int8, warm
from .augment import Augmentation
from .data import MARGIN, Recordings
from .network import Model
from .schedules import FINISHED

# Crops that the scales are measured on, and how many of their frames.
CROPS = 48
FRAMES = 48
# Of the states only every so manieth value is kept.
SPARSE = 29


@torch.inference_mode()
def calibrate(model: Model, log_equaliser: Tensor, data: Recordings, floats: tuple[int, ...] = ()) -> int8.Calibration:
    """Scales of the states of each layer but `floats`, on crops as in training (loud, quiet, low-passed), at the calls of every finished schedule."""
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
    scales = [int8.best_scale(np.concatenate(values)) for values in found]
    return int8.Calibration(tuple(None if i in floats else scale for i, scale in enumerate(scales)))


def add(folder: Path, recordings: list[Path], floats: tuple[int, ...] = ()) -> None:
    """Give the bundle in `folder` a denoiser in integers, those of its layers that are named left in float."""
    model, log_equaliser = warm.load_bundle(folder)
    data = Recordings(recordings, "train", torch.device("cpu"), model.convention)
    graph = int8.denoiser_graph(model.eval().denoiser, calibrate(model, log_equaliser, data, floats), half=True)
    manifest = bundle.manifest_without_hashes(folder)
    conditioner, denoiser = ((folder / f"{name}.onnx").read_bytes() for name in ("conditioner", "denoiser"))
    bundle.write(folder, conditioner, denoiser, manifest, graph.SerializeToString())


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True, help="recordings that the scales are measured on")
    parser.add_argument("--float-layers", type=int, nargs="*", default=[], help="layers, from 0, whose larger product stays in float")
    args = parser.parse_args(words)
    add(args.bundle, args.data, tuple(args.float_layers))
    print(f"{args.bundle / 'denoiser.int8.onnx'}: {(args.bundle / 'denoiser.int8.onnx').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
