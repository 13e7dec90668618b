"""What the tests share: the synthetic speech of the demo, a small random model, and a bundle made of it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from torch import nn

from vocode_training import checkpoint, export
from vocode_training.mel import HIFIGAN, Convention
from vocode_training.network import Config, Model

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "models" / "demo"

# A second thread gains little here and loses much beside another run.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def speech() -> torch.Tensor:
    """Audio of the demo, `[1, F * hop]`."""
    audio, _ = soundfile.read(DEMO / "demo.flac", dtype="float32")
    return torch.from_numpy(audio)[None]


@pytest.fixture(scope="session")
def demo_mel() -> np.ndarray:
    return np.load(DEMO / "demo.npy")


def random_model(config: Config, convention: Convention = HIFIGAN) -> Model:
    """A model no weight of which is zero: some begin at zero, and would hide a wrong export."""
    torch.manual_seed(0)
    model = Model(config, convention).eval()
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return model


@pytest.fixture(scope="session")
def model() -> Model:
    return random_model(Config())


@pytest.fixture(scope="session")
def checkpoint_file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "last.pt"
    average = checkpoint.moving_average(model, 0.9)
    equaliser = 0.3 * torch.sin(torch.arange(1025) / 50.0) - 1.0
    checkpoint.State(model, average, [], torch.Generator(), equaliser).save(path)
    return path


@pytest.fixture(scope="session")
def bundle(checkpoint_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    export.main([str(checkpoint_file), "--out", str(folder), "--name", "test", "--training-data", "none: random weights"])
    return folder


@pytest.fixture(scope="session")
def vocode() -> Path:
    """The vocode program, told where this environment's ONNX Runtime is."""
    named = [Path(p) for p in [os.environ.get("VOCODE_BIN")] if p]
    found = [p for p in [*named, ROOT / "target/release/vocode", ROOT / "target/debug/vocode"] if p.exists()]
    if not found:
        if named:
            pytest.fail(f"VOCODE_BIN is {named[0]}, and no such file exists")
        pytest.skip("no vocode program: cargo build, or name one in VOCODE_BIN")
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    os.environ.setdefault("VOCODE_ORT_LIB", str(library))
    return found[0]
