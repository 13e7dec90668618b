"""A published checkpoint all the way: imported, run by the vocode program, and sampled in NumPy with the same noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import published
import pytest
import torch
from test_engine import TOLERANCE, run

from vocode_training import ddpm, import_diffwave
from vocode_training.reference import OnnxGraphs, sample_waveform

TRAINING = torch.linspace(1e-4, 0.05, 50, dtype=torch.float64).tolist()
FAST = [1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5]


def imported(layout: str, folder: Path) -> Path:
    """The bundle of a small random checkpoint."""
    if layout == "lmnt":
        torch.save(published.lmnt_checkpoint(published.lmnt_state(16, 7), 3), folder / "weights.pt")
        words = [str(folder / "weights.pt")]
    else:
        torch.save(published.philsyn_checkpoint(published.philsyn_state(16, 7)), folder / "1000.pkl")
        words = [str(folder / "1000.pkl"), "--dilation-cycle", "3", "--betas", "1e-4:0.05:50"]
    import_diffwave.main([*words, "--out", str(folder / "bundle"), "--mel", "hifigan"])
    return folder / "bundle"


@pytest.mark.parametrize("steps", [6, 50])
@pytest.mark.parametrize("layout", ["lmnt", "philsyn"])
def test_synthesis_is_the_references(vocode: Path, demo_mel: np.ndarray, tmp_path: Path, layout: str, steps: int) -> None:
    # In six steps the whole demo, which takes several windows.
    bundle, mel = imported(layout, tmp_path), demo_mel if steps == 6 else demo_mel[:, 60:120]
    np.save(tmp_path / "mel.npy", mel)
    found = run(vocode, tmp_path / "mel.npy", tmp_path / "out.wav", bundle, "--schedule", "fast" if steps == 6 else "full", "--seed", "9")
    rows = ddpm.fast(TRAINING, FAST) if steps == 6 else ddpm.full(TRAINING)
    # lmnt-com/diffwave clamps after every step.
    expected = sample_waveform(OnnxGraphs.load(bundle), mel, rows, 9, (-1.0, 1.0) if layout == "lmnt" else None)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < TOLERANCE * max(1.0, float(np.abs(expected).max()))
