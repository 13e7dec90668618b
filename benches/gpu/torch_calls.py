"""Time of a denoiser call in PyTorch, eager and compiled, on the GPU where there is one: the built-in model's own weights.

Prints a JSON object a line, with the same figures as the example `denoiser_calls`. Wants the packages of models/training/requirements.lock.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models/training"))

from vocode_training import warm  # noqa: E402
from vocode_training.mel import HIFIGAN  # noqa: E402

BATCHES, CORES, RUNS = (1, 8, 64), (16, 64, 128, 256), 15


def median(net: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> float:
    """Seconds of one call with its answer on the host, after three to warm up."""
    times = []
    for index in range(RUNS + 3):
        began = time.perf_counter()
        net(*inputs).cpu()
        if index >= 3:
            times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


@torch.inference_mode()
def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches = BATCHES if device == "cuda" else (1,)
    model, _ = warm.load_bundle(ROOT / "models/default")
    denoiser, conditioner = model.denoiser.to(device).eval(), model.conditioner.to(device).eval()
    context = model.config.denoiser_context()
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    for kind, net in {"eager": denoiser, "compiled": torch.compile(denoiser)}.items():
        for batch, core in itertools.product(batches, CORES):
            frames = core + 2 * context
            cond = conditioner(torch.zeros(batch, 80, frames, device=device))
            inputs = (torch.randn(batch, frames * HIFIGAN.hop, device=device), torch.full((batch,), 0.5, device=device), cond)
            row: dict[str, object] = {"kind": kind, "device": name, "windows": batch, "core_frames": core}
            try:
                seconds = median(net, inputs)
                row |= {"milliseconds": 1e3 * seconds, "real_time_factor": seconds * HIFIGAN.sample_rate / (batch * core * HIFIGAN.hop)}
            except Exception as error:  # compiling may fail in many ways, and that is a result
                row["not_measured"] = str(error)[:300]
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
