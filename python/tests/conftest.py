"""What the tests share. They run on the installed wheel: nothing of this folder but the tests is imported."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_until_ready(url: str) -> None:
    """A machine that is busy may need longer to load the model than a client tries."""
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(url) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} did not become ready")


@contextlib.contextmanager
def serving(program: str, *flags: object, listen: str = "127.0.0.1:0", kills: bool = False) -> Iterator[str]:
    """The address of a server that runs as long as the block, in floats as the `vocoder` above; `kills` ends it at once."""
    metrics = f"127.0.0.1:{free_port()}"
    # As many streams as a test opens, however busy the machine is.
    places = [] if "--max-streams" in flags else ["--max-streams", "16"]
    command = [program, "serve", "--listen", listen, "--drain-delay", "0", "--metrics", metrics, "--precision", "float", *places, *map(str, flags)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().removeprefix("listening on ").strip()
            wait_until_ready(f"http://{metrics}/ready")
            yield address
        finally:
            (server.kill if kills else server.terminate)()


@pytest.fixture(scope="session")
def address(program) -> Iterator[str]:
    with serving(program) as address:
        yield address
