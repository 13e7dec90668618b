"""Time one denoiser call of DiffWave in every form, beside PyTorch: `python -m vocode_training.diffwave.speed --threads 2`.

Random weights do as well as trained ones. The contenders take turns, and the best of the rounds counts; where other programs
run, the processor time says more than the clock. Every graph's answer is compared with PyTorch's.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch

from . import forms, graph
from .network import Affine, DiffWave, Layer, StepTable, Upsampler

SAMPLE_RATE = 22_050
MELS, STRIDE, WIDTH = 80, 16, 512


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=1.0, help="audio in a call")
    return parser.parse_args(words)


def random_network(channels: int, layers: int, cycle: int = 10, seed: int = 0) -> DiffWave:
    """lmnt's layout with random weights that keep every layer's output near 1."""
    generator = torch.Generator().manual_seed(seed)

    def affine(*shape: int, bias: int | None = None) -> Affine:
        weight = torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))
        return Affine(weight, 0.1 * torch.randn(bias or shape[0], generator=generator))

    c = channels
    sizes = ((c, WIDTH), (2 * c, c, 3), (2 * c, MELS), (c, c), (c, c))
    return DiffWave(
        input=affine(c, 1),
        steps=StepTable.of(50),
        step1=affine(WIDTH, 128),
        step2=affine(WIDTH, WIDTH),
        layers=[Layer(2 ** (i % cycle), *(affine(*size) for size in sizes)) for i in range(layers)],
        upsamplers=[Upsampler(*(affine(3, 2 * STRIDE, bias=1) for _ in range(2)))],
        skip=affine(c, c),
        output=affine(1, c),
        step_stays=False,
    )


@dataclass
class Contender:
    name: str
    run: Callable[[], np.ndarray]
    wall: float = math.inf
    processor: float = math.inf

    def take_a_turn(self) -> np.ndarray:
        wall, processor = time.perf_counter(), time.process_time()
        answer = self.run()
        self.wall = min(self.wall, time.perf_counter() - wall)
        self.processor = min(self.processor, time.process_time() - processor)
        return answer


def contenders(network: DiffWave, seconds: float, threads: int) -> list[Contender]:
    """PyTorch first. All are given the same state, step and mel."""
    generator = torch.Generator().manual_seed(1)
    frames = max(1, round(seconds * SAMPLE_RATE / network.hop))
    mel = torch.rand(1, MELS, frames, generator=generator)
    x = torch.randn(1, frames * network.hop, generator=generator)
    t = torch.tensor([23.5])
    torch.set_num_threads(threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    @torch.inference_mode()
    def by_torch() -> np.ndarray:
        return network.denoiser(x, t, cond).numpy()

    def by_runtime(form: str) -> Contender:
        sessions = [
            onnxruntime.InferenceSession(g.SerializeToString(), options, providers=["CPUExecutionProvider"]) for g in graph.graphs(network, form)
        ]
        feed = {"x": x.numpy(), "t": t.numpy(), "cond": sessions[0].run(None, {"mel": mel.numpy()})[0]}
        return Contender(f"onnxruntime, {form}", lambda: sessions[1].run(None, feed)[0])

    with torch.inference_mode():
        cond = network.conditioner(mel)
    return [Contender("pytorch", by_torch), *map(by_runtime, forms.FORMS)]


def main(words: list[str] | None = None) -> None:
    args = arguments(words)
    field = contenders(random_network(args.channels, args.layers), args.seconds, args.threads)
    differences = dict.fromkeys((c.name for c in field), 0.0)
    for _ in range(args.rounds + 1):
        expected, *answers = [c.take_a_turn() for c in field]
        for contender, answer in zip(field[1:], answers, strict=True):
            differences[contender.name] = max(differences[contender.name], float(np.abs(answer - expected).max()))
    print(f"{args.channels} channels, {args.layers} layers, {args.seconds:g} s of audio, {args.threads} threads, best of {args.rounds + 1}")
    print("| | wall s | beside PyTorch | processor s | beside PyTorch | differs by |\n|---|---|---|---|---|---|")
    for c in field:
        ratios = c.wall / field[0].wall, c.processor / field[0].processor
        print(f"| {c.name} | {c.wall:.3f} | {ratios[0]:.2f} | {c.processor:.3f} | {ratios[1]:.2f} | {differences[c.name]:.0e} |")


if __name__ == "__main__":
    main()
