"""Time whole syntheses of DiffWave in six steps: `python -m vocode_training.diffwave.whole --binary vocode`.

PyTorch, ONNX Runtime from Python on the graph in two forms, and the program on the exported one, in turn, in one run, with random weights, the
same mel and the same noise. The best of the rounds counts; loading is left out of all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch

from .. import bundle, ddpm, import_diffwave
from ..reference import OnnxGraphs, sample_waveform
from . import graph
from .checkpoint import Checkpoint
from .network import DiffWave
from .speed import SAMPLE_RATE, random_network

BETAS = np.linspace(1e-4, 0.05, 50).tolist()
SEED = 5
CLAMP = (-1.0, 1.0)


class TorchNetwork:
    """The network in PyTorch, with the interface of a bundle's graphs."""

    floor = 0.0
    log_equaliser = np.zeros(0, np.float32)
    passes = 0

    def __init__(self, network: DiffWave) -> None:
        self.network = network
        self.denoiser_context, self.conditioner_context = network.contexts()
        self.hop = network.hop

    @torch.inference_mode()
    def conditioner(self, mel: np.ndarray) -> np.ndarray:
        return self.network.conditioner(torch.from_numpy(mel)).numpy()

    @torch.inference_mode()
    def denoiser(self, x: np.ndarray, t: np.ndarray, cond: np.ndarray) -> np.ndarray:
        return self.network.denoiser(torch.from_numpy(x), torch.from_numpy(t), torch.from_numpy(cond)).numpy()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True, help="the vocode program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="audio of a synthesis")
    return parser.parse_args()


def export(network: DiffWave, folder: Path, form: str) -> Path:
    words = import_diffwave.manifest(import_diffwave.arguments(["", "--out", ""]), Checkpoint("lmnt", {}, {}, None), network, BETAS)
    bundle.write(folder / form, *(g.SerializeToString() for g in graph.graphs(network, form)), words)
    return folder / form


def by_python(graphs: object, mel: np.ndarray) -> Callable[[], tuple[np.ndarray, float]]:
    rows = ddpm.fast(BETAS, ddpm.PUBLISHED[1])

    def run() -> tuple[np.ndarray, float]:
        began = time.perf_counter()
        audio = sample_waveform(graphs, mel, rows, SEED, CLAMP)
        return audio, time.perf_counter() - began

    return run


def by_program(binary: Path, model: Path, mel: Path, threads: int) -> Callable[[], tuple[np.ndarray, float]]:
    out = model / "out.wav"
    words = [binary, mel, "-o", out, "--model", model, "--seed", SEED, "--threads", threads, "--format", "f32", "--force", "--json"]

    def run() -> tuple[np.ndarray, float]:
        done = subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True)
        return soundfile.read(out, dtype="float32")[0], json.loads(done.stdout)["seconds"]

    return run


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    network = random_network(64, 30)
    frames = round(args.seconds * SAMPLE_RATE / network.hop)
    mel = np.random.default_rng(0).random((network.n_mels, frames), np.float32)
    with TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "mel.npy", mel)
        field = {"PyTorch": by_python(TorchNetwork(network), mel)}
        # The sampler in NumPy wants time on the last axis, which `matmul` has elsewhere.
        for form in ("conv1d", "conv2d"):
            graphs = OnnxGraphs.load(export(network, folder, form), args.threads)
            field[f"ONNX Runtime from Python, {form}"] = by_python(graphs, mel)
        field["vocode"] = by_program(args.binary, folder / graph.DEFAULT_FORM, folder / "mel.npy", args.threads)
        best = dict.fromkeys(field, np.inf)
        difference = dict.fromkeys(field, 0.0)
        for _ in range(args.rounds):
            answers = {name: run() for name, run in field.items()}
            for name, (audio, seconds) in answers.items():
                best[name] = min(best[name], seconds)
                difference[name] = max(difference[name], float(np.abs(audio - answers["PyTorch"][0]).max()))
    length = frames * network.hop / SAMPLE_RATE
    print(f"DiffWave base, 64 channels, 30 layers, 6 steps, {length:.1f} s of audio, {args.threads} threads, best of {args.rounds}")
    print("| | real-time factor | beside PyTorch | differs by |\n|---|---:|---:|---:|")
    for name, seconds in best.items():
        print(f"| {name} | {seconds / length:.2f} | {seconds / best['PyTorch']:.2f} | {difference[name]:.0e} |")


if __name__ == "__main__":
    main()
