"""Training runs that stop and go on."""

from __future__ import annotations

import itertools
import math
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest
import soundfile
import torch

from vocode_training import checkpoint, conventions, export, loop, train, warm
from vocode_training.mel import VOCOS24K
from vocode_training.network import Config

SMALL = Config(fold=16, channels=8, layers=3, cycle=2, cond_channels=16, cond_blocks=1, step_channels=16)


@pytest.fixture
def recordings(tmp_path: Path, speech: torch.Tensor) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for i, part in enumerate(speech[0].chunk(3)):
        soundfile.write(folder / f"{i}.wav", part.numpy(), 22_050)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, data: Path, out: Path, seconds: float, *more: object) -> dict:
    """A training run under a clock that ticks a second whenever it is read; its last checkpoint."""
    ticks = itertools.count()
    words = ["--data", data, "--out", out, "--minutes", seconds / 60, "--batch", 2, "--frames", 8, "--precision", "float32", *more]
    words += [f"--{name.replace('_', '-')}={value}" for name, value in asdict(SMALL).items() if name in Config.sizes()]
    with monkeypatch.context() as patch:
        patch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
        patch.setattr(sys, "argv", ["train", *map(str, words)])
        train.main()
    return checkpoint.load(out / "last.pt")


def test_a_run_goes_on_as_if_it_had_never_stopped(monkeypatch: pytest.MonkeyPatch, recordings: Path, tmp_path: Path) -> None:
    whole = run(monkeypatch, recordings, tmp_path / "whole", 9.5)
    first = run(monkeypatch, recordings, tmp_path / "parts", 5.5)
    parts = run(monkeypatch, recordings, tmp_path / "parts", 9.5)
    assert 0 < first["step"] < parts["step"] == whole["step"]
    assert torch.equal(parts["generators"][0], whole["generators"][0])
    for key in ("model", "ema"):
        for name, tensor in whole[key].items():
            assert torch.equal(parts[key][name], tensor), f"{key}.{name}"
    for resumed, straight in zip(parts["optimisers"], whole["optimisers"], strict=True):
        for index, moments in straight["state"].items():
            for name, value in moments.items():
                assert torch.equal(torch.as_tensor(resumed["state"][index][name]), torch.as_tensor(value)), name


def test_a_run_may_end_and_decay_by_its_updates(monkeypatch: pytest.MonkeyPatch, recordings: Path, tmp_path: Path) -> None:
    last = run(monkeypatch, recordings, tmp_path / "run", 1000, "--updates", 5, "--decay-updates", 4)
    assert last["step"] == 5
    found = [last["optimisers"][0]["param_groups"][0]["lr"] for last in (last, run(monkeypatch, recordings, tmp_path / "other", 1000, "--updates", 5))]
    # The warm-up over 200 updates, times the fourth of five points of the cosine; the last is not reached.
    assert found[0] / found[1] == pytest.approx(0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi / 4)), rel=1e-6)


def test_an_interrupted_save_leaves_the_old_checkpoint(checkpoint_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = checkpoint_file.read_bytes()
    model, equaliser = checkpoint.load_model(checkpoint_file)
    state = checkpoint.State(model, checkpoint.moving_average(model, 0.9), [], torch.Generator(), equaliser)

    def stop(payload: dict, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        state.save(checkpoint_file)
    assert checkpoint_file.read_bytes() == before


def test_a_run_in_another_convention_learns_its_mel_at_its_rate(monkeypatch: pytest.MonkeyPatch, recordings: Path, tmp_path: Path) -> None:
    last = run(monkeypatch, recordings, tmp_path / "run", 5.5, "--convention", "vocos24k")
    model, equaliser = checkpoint.load_model(tmp_path / "run" / "last.pt")
    assert (model.convention, model.config.n_mels) == (VOCOS24K, 100)
    assert last["audio_seconds"] == pytest.approx(last["step"] * 2 * 8 * 256 / 24_000)
    export.main([str(tmp_path / "run" / "last.pt"), "--out", str(tmp_path / "bundle"), "--training-data", "none"])
    manifest = tomllib.loads((tmp_path / "bundle" / "bundle.toml").read_text())
    assert manifest["mel"] == conventions.VOCOS24K
    # What --init takes has its convention too.
    again, kept = warm.load_start(tmp_path / "bundle")
    assert again.convention == VOCOS24K
    torch.testing.assert_close(kept, equaliser, atol=1e-5, rtol=0.0)


def test_a_convention_that_vocode_converts_is_refused(
    monkeypatch: pytest.MonkeyPatch, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, recordings, tmp_path / "run", 5.5, "--convention", "lmnt")
    assert "natural logarithms" in capsys.readouterr().err
