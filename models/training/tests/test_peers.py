"""The comparison in `benches/peers`: its networks have the published sizes, its engines agree, and its page is written. No time is asserted."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[3] / "benches"))

from peers import child, networks, prepare, report, runs
from peers.systems import HOP, MELS, RUNTIME, SYSTEMS, TORCH, VOCODE

FRAMES = 12


@pytest.fixture
def mel() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((MELS, FRAMES), np.float32) - 5.0


def system(key: str):
    return next(system for system in SYSTEMS if system.key == key)


@pytest.mark.parametrize(
    ("module", "millions"),
    [(networks.HifiGan(512), 13.92), (networks.HifiGan(128), 0.92), (networks.VocosSpectrum(mels=100), 13.5)],
    ids=["hifigan-v1", "hifigan-v2", "vocos"],
)
def test_networks_have_the_published_number_of_parameters(module, millions):
    assert networks.parameters(module) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("model", ["hifigan-v2", "vocos"])
def test_both_engines_make_the_same_audio(model, mel, tmp_path):
    prepare.prepare(tmp_path, {model})
    by_torch, by_runtime = (runs.python_run(system(f"{model}-{engine}"), mel, tmp_path, 1)() for engine in ("torch", "ort"))
    assert by_torch.shape == (FRAMES * HOP,)
    assert np.abs(by_torch).max() > 0
    np.testing.assert_allclose(by_runtime, by_torch, atol=1e-4 * np.abs(by_torch).max())


def test_diffwave_is_the_same_in_both_engines(mel, tmp_path):
    prepare.diffwave(tmp_path, channels=8, layers=4)
    torch.manual_seed(0)
    mel = np.abs(mel)
    by_torch, by_runtime = (runs.python_run(system(f"diffwave-{engine}"), mel, tmp_path, 1)() for engine in ("torch", "ort"))
    np.testing.assert_allclose(by_runtime, by_torch, atol=1e-3)


def test_a_measured_system_becomes_a_line_of_the_page(mel, tmp_path):
    np.save(tmp_path / "mel.npy", mel)
    settings = child.Settings(binary="", threads=1, runs=1, budget=0.0)
    figures = child.in_python(system("griffin-lim"), tmp_path, settings)
    assert figures["runs"] == 1
    assert figures["real_time_factor"]["min"] > 0
    assert figures["peak_mib"] > 10
    row = {"key": "a", "name": "Griffin-Lim", "engine": "librosa", "steps": 0, "streams": False, "parameters": None, **figures}
    rows = [row, *({**row, "engine": engine, "parameters": 1_000_000} for engine in (TORCH, RUNTIME, VOCODE))]
    result = {"machine": "a machine", "threads": 1, "seconds": 0.1, "versions": {"numpy": np.__version__}, "rows": rows}
    page = report.page(json.loads(json.dumps(result)), "benches/peers/run")
    assert "| Griffin-Lim | PyTorch | 1.00 |" in page
    report.plot(result, tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")
