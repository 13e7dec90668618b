"""What the tests share. They run on the installed wheel: nothing of this folder but the tests is imported."""

import sys
from pathlib import Path

import numpy as np
import pytest

import vocode_onnx

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def vocoder() -> vocode_onnx.Vocoder:
    # In floats, where the cut into windows changes nothing beyond rounding.
    return vocode_onnx.Vocoder(provider="cpu", precision="float")


@pytest.fixture(scope="session")
def mel() -> np.ndarray:
    return np.load(ROOT / "models/demo/demo.npy")[:, :120]


@pytest.fixture(scope="session")
def program() -> str:
    """The command that the wheel installed, by its path: its environment need not be activated."""
    return str(Path(sys.executable).parent / "vocode")
