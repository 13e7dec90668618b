"""The denoiser in integers against the one in float."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from conftest import random_model

from vocode_training import int8, integers, warm
from vocode_training.export import random_input
from vocode_training.mel import HIFIGAN
from vocode_training.network import Config, Model

CONTEXT = 8 * HIFIGAN.hop


@pytest.fixture(scope="module")
def small() -> Model:
    return random_model(Config(channels=16, layers=5, cycle=3, cond_channels=32, cond_blocks=1, step_channels=32))


@torch.inference_mode()
def both(model: Model, calibration: int8.Calibration) -> tuple[np.ndarray, np.ndarray]:
    """PyTorch's prediction and the graph's, without the context of the window."""
    mel, x, t = random_input(model, 40)
    cond = model.conditioner(mel)
    graph = int8.denoiser_graph(model.denoiser, calibration).SerializeToString()
    options = onnxruntime.SessionOptions()
    # As vocode has it: without VNNI, x86 would add pairs of products in 16 bits, which saturate.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": x.numpy(), "t": t.numpy(), "cond": cond.transpose(1, 2).contiguous().numpy()})[0]
    return model.denoiser(x, t, cond).numpy()[:, CONTEXT:-CONTEXT], found[:, CONTEXT:-CONTEXT]


def scales(model: Model) -> tuple[float, ...]:
    mel, x, t = random_input(model, 40)
    with torch.inference_mode():
        return tuple(int8.best_scale(state) for state in int8.states(model.denoiser, x, t, model.conditioner(mel)))


def error(expected: np.ndarray, found: np.ndarray) -> float:
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))


def test_integers_stay_near_float_and_layers_in_float_bring_them_nearer(small: Model) -> None:
    found = scales(small)
    every, none = both(small, int8.Calibration(found)), both(small, int8.Calibration((None,) * 5))
    # The random network adds little to what passes by it, so that all errors are small; states clipped to a tenth of their range show it.
    clipped = both(small, int8.Calibration(tuple(s / 10 for s in found)))
    assert error(*none) < error(*every) < 0.1 * error(*clipped)


def test_residual_biases_and_growth_are_folded_without_loss(small: Model) -> None:
    """Weights that integers hold exactly, and gates of nothing: what is left are the folded biases."""
    model = random_model(replace(small.config, layers=4))
    with torch.no_grad():
        for layer in model.denoiser.layers:
            layer.taps.weight.zero_()
            layer.residual.weight.zero_()
    expected, found = both(model, int8.Calibration((1.0,) * 4))
    assert error(expected, found) < 0.01


def test_a_bundle_in_integers_loads_and_runs(bundle: Path, tmp_path: Path, speech: torch.Tensor) -> None:
    soundfile.write(tmp_path / "speech.wav", speech[0].numpy(), HIFIGAN.sample_rate)
    shutil.copytree(bundle, tmp_path / "out")
    integers.main([str(tmp_path / "out"), "--data", str(tmp_path)])
    model, _ = warm.load_bundle(bundle)
    mel, x, t = random_input(model, 40)
    session = onnxruntime.InferenceSession(tmp_path / "out/denoiser.int8.onnx", providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        cond = model.conditioner(mel)
        expected = model.eval().denoiser(x, t, cond).numpy()[:, CONTEXT:-CONTEXT]
    found = session.run(None, {"x": x.numpy(), "t": t.numpy(), "cond": cond.transpose(1, 2).contiguous().numpy()})[0][:, CONTEXT:-CONTEXT]
    assert error(expected, found) < 0.2
    hashes = tomllib.loads((tmp_path / "out/bundle.toml").read_text())["sha256"]
    assert set(hashes) == {"conditioner", "denoiser", "denoiser_int8"}
    assert (tmp_path / "out/denoiser.int8.onnx").stat().st_size < (bundle / "denoiser.onnx").stat().st_size / 2
