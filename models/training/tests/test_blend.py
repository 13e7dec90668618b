"""Weights between those of two models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import random_model

from vocode_training import blend, checkpoint
from vocode_training.mel import HIFIGAN, VOCOS24K
from vocode_training.network import Config

SMALL = Config(channels=8, layers=3, cycle=2, cond_channels=16, cond_blocks=1, step_channels=16)


def saved(path: Path, scale: float) -> Path:
    """A model whose weights and equaliser are `scale` times those of another."""
    model = random_model(SMALL)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    blend.save(model, torch.full((1025,), scale), path)
    return path


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_weights_lie_between_those_of_two_checkpoints(tmp_path: Path, share: float) -> None:
    paths = [saved(tmp_path / "a.pt", 1.0), saved(tmp_path / "b.pt", 2.0)]
    blend.main([*map(str, paths), "--share", str(share), "--out", str(tmp_path / "out.pt")])
    (a, _), (b, _), (found, equaliser) = (checkpoint.load_model(path) for path in (*paths, tmp_path / "out.pt"))
    assert not torch.equal(next(a.parameters()), next(b.parameters()))
    for one, other, between in zip(a.parameters(), b.parameters(), found.parameters(), strict=True):
        torch.testing.assert_close(between, one + share * (other - one))
    assert equaliser[0] == 2.0


def test_the_first_is_retuned_to_the_mels_of_the_second_and_other_sizes_are_refused() -> None:
    old, new = random_model(SMALL), random_model(SMALL.hearing(VOCOS24K), convention=VOCOS24K)
    found = blend.blended(old, new, 0.5)
    assert found.convention == VOCOS24K != HIFIGAN
    with pytest.raises(SystemExit, match="different sizes"):
        blend.blended(random_model(replace(SMALL, channels=12)), new, 0.5)
