"""Going on from a shipped bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import random_model

from vocode_training import checkpoint, warm
from vocode_training.export import random_input
from vocode_training.mel import HIFIGAN, VOCOS24K
from vocode_training.network import Config


@torch.inference_mode()
def test_a_bundle_gives_back_the_model_that_it_was_made_of(checkpoint_file: Path, bundle: Path) -> None:
    before, equaliser = checkpoint.load_model(checkpoint_file)
    after, restored = warm.load_start(bundle)
    after.eval()
    mel, x, t = random_input(before)
    expected = before.denoiser(x, t, before.conditioner(mel))
    found = after.denoiser(x, t, after.conditioner(mel))
    assert (found - expected).abs().max() < 1e-4
    assert (restored - equaliser).abs().max() < 1e-5
    assert after.config == before.config


def test_a_folder_of_other_graphs_is_refused(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "denoiser.onnx").write_bytes((bundle / "conditioner.onnx").read_bytes())
    with pytest.raises(SystemExit, match="was not written by this package"):
        warm.load_start(tmp_path)


def test_a_widened_model_computes_the_same_and_its_new_channels_learn() -> None:
    narrow = random_model(Config(channels=8, layers=3, cycle=2, cond_channels=16, cond_blocks=1, step_channels=16))
    wide = warm.widened(narrow, replace(narrow.config, channels=12))
    mel, x, t = random_input(narrow)
    with torch.inference_mode():
        expected = narrow.denoiser(x, t, narrow.conditioner(mel))
        found = wide.denoiser(x, t, wide.conditioner(mel))
    assert (found - expected).abs().max() < 1e-6
    assert expected.abs().max() > 0.1
    # One step moves the weights that read from the new channels; after it those that feed them have gradients too.
    optimiser = torch.optim.SGD(wide.parameters(), 0.01)
    for _ in range(2):
        optimiser.zero_grad()
        wide.denoiser(x, t, wide.conditioner(mel)).square().mean().backward()
        optimiser.step()
    for name in ("input.weight", "skip.weight", "layers.0.residual.weight", "layers.0.skip.weight"):
        assert (wide.denoiser.get_parameter(name).grad[8:].abs().sum(1) > 0).any(), name


def test_other_sizes_than_those_of_the_start_are_refused() -> None:
    model = random_model(Config(channels=8, layers=3, cycle=2, cond_channels=16, cond_blocks=1, step_channels=16))
    with pytest.raises(SystemExit, match="only more channels can be made of it"):
        warm.widened(model, replace(model.config, channels=12, layers=4))
    with pytest.raises(SystemExit, match="only more channels can be made of it"):
        warm.widened(model, replace(model.config, channels=4))


@torch.inference_mode()
def test_a_retuned_model_is_conditioned_by_the_new_mel_as_it_was_by_the_old(speech: torch.Tensor) -> None:
    """The same samples, at a rate that only scales their frequencies: what the layers are given hardly changes."""
    model = random_model(Config(channels=8, layers=3, cycle=2, cond_channels=16, cond_blocks=1, step_channels=16))
    new = warm.retuned(model, VOCOS24K)
    assert (new.convention, new.config.n_mels) == (VOCOS24K, 100)
    frames = speech.shape[1] // HIFIGAN.hop
    noisy = speech + 0.003 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    old_cond = model.conditioner(HIFIGAN.mel(noisy))[..., 8:-8]
    new_cond = new.conditioner(VOCOS24K.mel(noisy)[..., :frames])[..., 8:-8]
    spread = old_cond.std()
    assert (new_cond - old_cond).abs().mean() < 0.25 * spread
    # Without the half hop between their frames, they are less alike.
    shifted = new.conditioner(VOCOS24K.mel(noisy)[..., 1 : frames + 1])[..., 8:-8]
    assert (new_cond - old_cond).square().mean() < (shifted - old_cond).square().mean()


def test_another_hop_than_that_of_the_start_is_refused() -> None:
    model = random_model(Config(channels=8, layers=3, cycle=2, cond_channels=16, cond_blocks=1, step_channels=16))
    with pytest.raises(SystemExit, match="with a hop of 256"):
        warm.retuned(model, replace(VOCOS24K, hop=320))
