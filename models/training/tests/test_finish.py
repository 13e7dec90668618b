"""Finishing: one process and two, and what it judges by."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
import torch
from conftest import random_model

from vocode_training import checkpoint, losses, voice
from vocode_training.discriminator import Discriminator
from vocode_training.mel import HIFIGAN
from vocode_training.network import Config

SMALL = Config(channels=8, layers=3, cycle=2, cond_channels=16, cond_blocks=1, step_channels=16)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / "last.pt"
    model = random_model(SMALL)
    checkpoint.State(model, checkpoint.moving_average(model, 0.9), [], torch.Generator(), torch.zeros(1025)).save(path)
    return path


def run(data: Path, out: Path, start: Path, *words: str) -> dict:
    command = [sys.executable, "-m", "vocode_training.finish", "--data", data, "--out", out, "--init", start, "--minutes", "30"]
    command += ["--batch", "1", "--frames", "16", "--judge-frames", "16", "--precision", "float32", "--adversarial-after", "0", *words]
    done = subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return checkpoint.load(out / "last.pt")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_run_moves_model_and_discriminators_and_keeps_all_random_states(tmp_path: Path, speech: torch.Tensor, start: Path, processes: str) -> None:
    soundfile.write(tmp_path / "speech.wav", speech[0].numpy(), HIFIGAN.sample_rate)
    payload = run(tmp_path, tmp_path / "run", start, "--processes", processes, "--updates", "2")
    before = checkpoint.load(start)["model"]
    assert payload["step"] == 2
    assert any(not torch.equal(before[name], tensor) for name, tensor in payload["model"].items())
    assert len(payload["generators"]) == int(processes)
    assert len({bytes(g.numpy()) for g in payload["generators"]}) == int(processes)
    # Another run takes the discriminators over.
    judge = Discriminator()
    checkpoint.load_judge(tmp_path / "run" / "last.pt", judge)
    assert all(torch.equal(payload["others"]["discriminator"][name], tensor) for name, tensor in judge.state_dict().items())
    # The same folder goes on where it was.
    again = run(tmp_path, tmp_path / "run", start, "--processes", processes, "--updates", "3")
    assert again["step"] == 3


def sleep(seconds: float) -> None:
    # Both processes write to one pipe: in one call, or their words run into each other.
    os.write(1, b"at work\n")
    time.sleep(seconds)


def test_the_processes_of_a_killed_run_end_with_it() -> None:
    program = "import test_finish; from vocode_training import parallel; parallel.launch(test_finish.sleep, 300.0, 2)"
    # As a shell starts what is to run behind it: with SIGINT ignored, by which torch would end its processes.
    command = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', sys.executable, "-c", program]
    folder = Path(__file__).parent
    # A check has no installed package: pytest finds it by the folder that it is started in, these processes by the path.
    places = os.pathsep.join(str(p) for p in (folder.parent, folder))
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": places}, stdout=subprocess.PIPE, text=True) as run:
        assert [run.stdout.readline() for _ in range(2)] == ["at work\n"] * 2
        run.kill()
        # The end of the pipe, which all of them hold.
        run.communicate(timeout=60)


def test_the_short_windows_see_what_long_ones_do_not(speech: torch.Tensor) -> None:
    """An all-pass that spreads every pulse over 4 milliseconds leaves magnitudes of long windows, and not those of short ones."""
    audio = speech[:, : 2 * HIFIGAN.sample_rate]
    hertz = torch.linspace(0, 1, audio.shape[1] // 2 + 1)
    spread = torch.fft.irfft(torch.fft.rfft(audio) * torch.exp(1j * 140 * hertz**2), audio.shape[1])
    quieter = 0.9 * audio
    ratio = losses.short_distance(spread, audio) / losses.short_distance(quieter, audio)
    assert ratio > 2 * losses.stft_distance(spread, audio) / losses.stft_distance(quieter, audio)


def test_levels_are_those_of_the_sound_and_not_of_its_bins() -> None:
    torch.manual_seed(0)
    noise, other = 0.1 * torch.randn(2, 1, 2 * HIFIGAN.sample_rate)
    near, far = losses.level_distance(other, noise), losses.level_distance(0.5 * other, noise)
    assert near < 0.1
    assert abs(far - math.log(2.0)) < 0.1
    assert losses.stft_distance(other, noise) > 0.5


def test_kurtosis_tells_pulses_from_noise() -> None:
    torch.manual_seed(0)
    noise = 0.1 * torch.randn(HIFIGAN.sample_rate).numpy()
    pulses = 0.01 * torch.randn(HIFIGAN.sample_rate).numpy()
    pulses[::200] += 1.0
    flat, peaked = voice.pulse_kurtosis(noise, HIFIGAN.sample_rate), voice.pulse_kurtosis(pulses, HIFIGAN.sample_rate)
    assert all(abs(k) < 0.6 for k in flat)
    assert all(k > 3 for k in peaked)


def test_band_limited_recordings_are_compared_below_their_limit_only() -> None:
    torch.manual_seed(0)
    audio = torch.randn(2, 8192)
    cutoff = torch.tensor([4000.0, float("inf")])
    passed = losses.low_passed(audio, cutoff, HIFIGAN.sample_rate)
    spectrum, original = torch.fft.rfft(passed).abs(), torch.fft.rfft(audio).abs()
    hertz = torch.linspace(0, HIFIGAN.sample_rate / 2, spectrum.shape[1])
    assert spectrum[0, hertz > 4200].max() < 1e-3 * original[0].max()
    torch.testing.assert_close(spectrum[0, hertz < 3800], original[0, hertz < 3800], atol=1e-2, rtol=0)
    torch.testing.assert_close(passed[1], audio[1], atol=1e-5, rtol=0)
    assert losses.low_passed(audio, torch.full((2,), float("inf")), HIFIGAN.sample_rate) is audio
