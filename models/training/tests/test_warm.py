"""Going on from a shipped bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vocode_training import checkpoint, warm
from vocode_training.export import random_input


@torch.inference_mode()
def test_a_bundle_gives_back_the_model_that_it_was_made_of(checkpoint_file: Path, bundle: Path) -> None:
    before, equaliser = checkpoint.load_model(checkpoint_file)
    after, restored = warm.load_start(bundle)
    after.eval()
    mel, x, t = random_input()
    expected = before.denoiser(x, t, before.conditioner(mel))
    found = after.denoiser(x, t, after.conditioner(mel))
    assert (found - expected).abs().max() < 1e-4
    assert (restored - equaliser).abs().max() < 1e-5
    assert after.config == before.config


def test_a_folder_of_other_graphs_is_refused(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "denoiser.onnx").write_bytes((bundle / "conditioner.onnx").read_bytes())
    with pytest.raises(SystemExit, match="was not written by this package"):
        warm.load_start(tmp_path)
