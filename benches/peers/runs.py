"""One synthesis of each system that runs in Python, as a function without arguments. Each imports what it needs and no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .systems import HOP, LIBROSA, MELS, RUNTIME, SAMPLE_RATE, TORCH, System

Run = Callable[[], np.ndarray]

N_FFT, LOWEST, HIGHEST = 1024, 0.0, 8000.0
# DiffWave's training betas.
BETAS = np.linspace(1e-4, 0.05, 50).tolist()


def python_run(system: System, mel: np.ndarray, folder: Path, threads: int) -> Run:
    """`mel [80, F]` -> `F * 256` samples."""
    match system.engine, system.model:
        case (engine, "griffin-lim") if engine == LIBROSA:
            return griffin_lim(mel)
        case (engine, "diffwave") if engine == TORCH:
            return diffwave_torch(mel, folder, threads)
        case (engine, "diffwave") if engine == RUNTIME:
            return diffwave_runtime(mel, folder, threads)
        case (engine, model) if engine == TORCH:
            return one_pass_torch(model, mel, threads)
        case (engine, model) if engine == RUNTIME:
            return one_pass_runtime(model, mel, folder, threads)
    raise ValueError(f"{system.key} does not run in Python")


def griffin_lim(mel: np.ndarray, iterations: int = 32) -> Run:
    """Griffin-Lim with momentum (Perraudin et al. 2013) on the pseudo-inverse of the filterbank."""
    import librosa

    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=MELS, fmin=LOWEST, fmax=HIGHEST)
    inverse = np.linalg.pinv(bank)

    def run() -> np.ndarray:
        magnitude = np.maximum(inverse @ np.exp(np.pad(mel, ((0, 0), (1, 1)), mode="edge")), 1e-5)
        audio = librosa.griffinlim(magnitude, n_iter=iterations, hop_length=HOP, n_fft=N_FFT, momentum=0.99, random_state=0)
        return audio[HOP // 2 :][: mel.shape[1] * HOP]

    return run


def one_pass_torch(model: str, mel: np.ndarray, threads: int) -> Run:
    import torch

    from .networks import network

    torch.set_num_threads(threads)
    module, batch = network(model), torch.from_numpy(mel)[None]

    @torch.inference_mode()
    def run() -> np.ndarray:
        return module(batch)[0].numpy()

    return run


def session(path: Path, threads: int):
    """A graph in ONNX Runtime; threads without work sleep, as in vocode."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def one_pass_runtime(model: str, mel: np.ndarray, folder: Path, threads: int) -> Run:
    graph, batch = session(folder / f"{model}.onnx", threads), mel[None]

    def run() -> np.ndarray:
        outputs = graph.run(None, {"mel": batch})
        return outputs[0][0] if len(outputs) == 1 else inverse_stft(*(output[0] for output in outputs))

    return run


def inverse_stft(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """`[513, F]` -> `F * 256` samples: ONNX has no inverse STFT, so whoever runs Vocos there makes it outside."""
    count = real.shape[1]
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    frames = np.fft.irfft((real + 1j * imaginary).T, axis=1).astype(np.float32) * window
    shares = N_FFT // HOP
    audio, weight = np.zeros((count + shares - 1, HOP), np.float32), np.zeros((count + shares - 1, HOP), np.float32)
    for share in range(shares):
        part = slice(share * HOP, (share + 1) * HOP)
        audio[share : share + count] += frames[:, part]
        weight[share : share + count] += window[part] ** 2
    margin = (N_FFT - HOP) // 2
    inside = slice(margin, margin + count * HOP)
    return audio.ravel()[inside] / weight.ravel()[inside]


def diffwave_torch(mel: np.ndarray, folder: Path, threads: int) -> Run:
    import torch

    torch.set_num_threads(threads)
    network = torch.load(folder / "diffwave.pt", weights_only=False)
    batch = torch.from_numpy(mel)[None]

    def denoise(x: np.ndarray, t: float, cond: torch.Tensor) -> np.ndarray:
        return network.denoiser(torch.from_numpy(x), torch.tensor([t]), cond).numpy()

    @torch.inference_mode()
    def run() -> np.ndarray:
        return ancestral(denoise, network.conditioner(batch), mel.shape[1] * HOP)

    return run


def diffwave_runtime(mel: np.ndarray, folder: Path, threads: int) -> Run:
    conditioner, denoiser = (session(folder / "diffwave" / f"{name}.onnx", threads) for name in ("conditioner", "denoiser"))

    def denoise(x: np.ndarray, t: float, cond: np.ndarray) -> np.ndarray:
        return denoiser.run(None, {"x": x, "t": np.array([t], np.float32), "cond": cond})[0]

    def run() -> np.ndarray:
        return ancestral(denoise, conditioner.run(None, {"mel": mel[None]})[0], mel.shape[1] * HOP)

    return run


def ancestral(denoise: Callable, cond: object, samples: int) -> np.ndarray:
    """DiffWave's fast sampling in six steps, over the whole clip at once."""
    from vocode_training import ddpm

    generator = np.random.default_rng(0)
    x = generator.standard_normal((1, samples), np.float32)
    for row in ddpm.fast(BETAS, ddpm.PUBLISHED[1]):
        x = np.float32(row.c1) * (x - np.float32(row.c2) * denoise(x, row.t, cond))
        if row.sigma > 0:
            x += np.float32(row.sigma) * generator.standard_normal(x.shape, np.float32)
        x = np.clip(x, -1.0, 1.0)
    return x[0]
