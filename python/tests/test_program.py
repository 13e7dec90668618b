"""The command ``vocode`` of the wheel, run by its path in an environment that is not activated."""

import json
import os
import subprocess
import sys
import wave

import numpy as np
import pytest

import vocode_onnx


@pytest.fixture
def run(program, tmp_path):
    """Runs it without anything that would lead to another ONNX Runtime than that of the environment."""
    left_out = ("VIRTUAL_ENV", "CONDA_PREFIX", "ORT_DYLIB_PATH", "LD_LIBRARY_PATH")
    environment = {k: v for k, v in os.environ.items() if k not in left_out and not k.startswith("VOCODE_")}
    environment |= {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "VOCODE_OFFLINE": "1"}

    def run(*arguments, **more):
        command = [program, *map(str, arguments)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, **more)

    return run


def test_it_makes_the_audio_of_the_module(run, vocoder, mel, tmp_path):
    np.save(tmp_path / "a.npy", mel)
    done = run("a.npy", "-o", "a.wav", "--precision", "float", "--format", "s16", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seed"] == 0
    with wave.open(str(tmp_path / "a.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    np.testing.assert_allclose(samples / 32_768, vocoder.decode(mel), atol=1e-3)


def test_the_runtime_is_that_of_the_environment(run):
    onnxruntime = os.path.join("site-packages", "onnxruntime", "capi")
    done = run("doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["runtime"]
    assert onnxruntime in json.dumps(found)
    assert sys.prefix in json.dumps(found)


def test_exit_codes_and_words_are_those_of_the_program(run):
    assert run("--version").stdout.split() == ["vocode", vocode_onnx.__version__]
    missing = run("nothing.npy", "-o", "x.wav")
    assert missing.returncode == 1 and "nothing.npy" in missing.stderr
    wrong = run("--no-such-flag")
    assert wrong.returncode == 2 and "--no-such-flag" in wrong.stderr


def test_a_pipe_goes_through(program, mel, tmp_path):
    np.save(tmp_path / "a.npy", mel)
    with open(tmp_path / "a.npy", "rb") as file:
        done = subprocess.run([program, "-", "-o", "-", "--steps", "1", "-q"], stdin=file, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout[:4] == b"RIFF"


def test_the_module_is_the_command_too(tmp_path):
    done = subprocess.run([sys.executable, "-m", "vocode_onnx", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("vocode ")
