"""The pictures of the models page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import DEMO
from PIL import Image

from vocode_training import picture


def test_a_picture_shows_both_and_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo, out = str(DEMO / "demo.flac"), tmp_path / "demo.png"
    monkeypatch.setattr("sys.argv", ["picture", demo, demo, "-o", str(out), "--title", "the demo twice"])
    picture.main()
    pixels = np.asarray(Image.open(out).convert("L")).astype(float)
    upper, lower = pixels[50:260, 50:480], pixels[315:525, 50:480]
    assert upper.std() > 20 and lower.std() > 20
    assert out.stat().st_size < 200_000


def test_decibels_are_of_the_amplitude() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(22_050) / 22_050).astype(np.float32)
    assert picture.decibels(tone, 1024, 256).max() == pytest.approx(-26.0, abs=1.5)
