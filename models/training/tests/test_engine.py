"""The vocode program against the reference sampler, fed the same noise."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import ROOT

from vocode_training.mel import HIFIGAN, VOCOS24K, Convention
from vocode_training.reference import OnnxGraphs, synthesise, uniform_times

TOLERANCE = 1e-3
SHIPPED = ROOT / "models"


# In float: what is rounded to integers turns over at differences that mean nothing.
def run(vocode: Path, mel: Path, out: Path, bundle: Path, *words: str, at: int = 22_050) -> np.ndarray:
    command = [vocode, mel, "-o", out, "--model", bundle, "--format", "f32", "--precision", "float", "-q", *words]
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    audio, rate = soundfile.read(out, dtype="float32")
    assert rate == at
    return audio


@pytest.mark.parametrize(("steps", "seed"), [(1, 0), (4, 3), (6, 2**40 + 5)])
def test_synthesis_is_the_references(vocode: Path, bundle: Path, demo_mel: np.ndarray, tmp_path: Path, steps: int, seed: int) -> None:
    mel = demo_mel[:, 60:160].copy()
    mel[:, 40:50] = HIFIGAN.log_floor
    np.save(tmp_path / "mel.npy", mel)
    found = run(vocode, tmp_path / "mel.npy", tmp_path / "out.wav", bundle, "--steps", str(steps), "--seed", str(seed))
    expected = synthesise(OnnxGraphs.load(bundle), mel, uniform_times(steps), seed)
    assert found.shape == expected.shape
    hop = HIFIGAN.hop
    assert not found[41 * hop : 49 * hop].any()
    assert found[30 * hop : 41 * hop].any()
    # The waveform of a random model can be of any size: relative to its peak where that is above full scale.
    assert np.abs(found - expected).max() < TOLERANCE * max(1.0, float(np.abs(expected).max()))


@pytest.mark.parametrize(("model", "convention"), [("default", HIFIGAN), ("vocos24k", VOCOS24K)])
def test_the_shipped_models_speak_the_demo_as_the_reference(
    vocode: Path, speech: torch.Tensor, tmp_path: Path, model: str, convention: Convention
) -> None:
    mel = convention.mel(speech)[0].numpy()
    np.save(tmp_path / "demo.npy", mel)
    found = run(vocode, tmp_path / "demo.npy", tmp_path / "out.wav", SHIPPED / model, "--seed", "1", at=convention.sample_rate)
    graphs = OnnxGraphs.load(SHIPPED / model)
    assert graphs.convention == convention
    expected = synthesise(graphs, mel, graphs.times(), seed=1, passes=graphs.schedule().get("passes"))
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < TOLERANCE
