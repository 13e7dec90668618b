"""Attacks beside listeners: `python3 benches/attacks.py --minutes 10 --listeners 10`

Starts `vocode serve` on loopback with two API keys, keeps `--listeners` playing in real time with the one and attacks with the other, and
with none, from this process: connections of one byte, connections that only ping, calls without a request, answers that are not read, names
of 30 kB, calls of many steps in chunks of one frame, streams of reflection that nobody reads, and a crowd on the port of the metrics. The
number of each at once is bounded, and all of it stays on this machine. Prints what the listeners heard and how much memory the server held;
exits with 1 where one of them was refused or had a gap, or where memory went beyond the budget and what the server holds at rest. Needs
nothing but Python 3 and a release build.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LISTENER, ATTACKER = "listener-key", "attacker-key"
SERVICE = "/vocode.v1.VocoderService/"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
BUDGET = 256
HEADERS, SETTINGS, PING, DATA = 1, 4, 6, 0
END_HEADERS, END_STREAM = 4, 1


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def opening(window: int) -> bytes:
    """The preface and the settings, with the window of each stream."""
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window))


def headers(stream: int, path: str) -> bytes:
    """The head of a call of the attacker, its fields literal and not indexed."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x", "content-type": "application/grpc", "te": "trailers"}
    block = b""
    for name, value in {**fields, "authorization": f"Bearer {ATTACKER}"}.items():
        block += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return frame(HEADERS, END_HEADERS, stream, block)


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a protobuf message: a number, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(stream: int, body: bytes, last: bool = True) -> bytes:
    """A gRPC message in frames of data."""
    data = b"\0" + struct.pack(">I", len(body)) + body
    parts = [data[i : i + 16_000] for i in range(0, len(data), 16_000)]
    ends = [END_STREAM if last and i == len(parts) - 1 else 0 for i in range(len(parts))]
    return b"".join(frame(DATA, end, stream, part) for part, end in zip(parts, ends, strict=False))


def request(frames: int, config: bytes = b"") -> bytes:
    mel = field(1, 80) + field(2, frames) + field(4, struct.pack("<f", -5.0) * (80 * frames))
    return field(1, config) + field(2, mel)


class Attacks:
    """The attacks on a server, each a round that ends by itself."""

    def __init__(self, address: str, metrics: str) -> None:
        self.address, self.metrics = (tuple(a.rsplit(":", 1)) for a in (address, metrics))

    def rounds(self):
        return [self.one_byte, self.pings, self.no_request, self.unread, self.names, self.steps, self.reflection, self.crowd]

    def send(self, parts: list[bytes], seconds: float, address=None) -> None:
        """A connection for each of the parts, held for some seconds."""
        with contextlib.ExitStack() as stack:
            for part in parts:
                with contextlib.suppress(OSError):
                    host, port = address or self.address
                    sock = stack.enter_context(socket.create_connection((host, int(port)), timeout=2))
                    sock.sendall(part)
            time.sleep(seconds)

    def one_byte(self):
        self.send([b"P"] * 300, 2)

    def pings(self):
        with contextlib.suppress(OSError), socket.create_connection(self.address, timeout=2) as sock:
            sock.sendall(opening(65_535))
            for _ in range(15):
                sock.sendall(frame(PING, 0, 0, b"12345678"))
                time.sleep(1)

    def no_request(self):
        calls = b"".join(headers(1 + 2 * i, SERVICE + ("Vocode", "VocodeLive")[i % 2]) for i in range(100))
        self.send([opening(65_535) + calls] * 4, 5)

    def unread(self):
        self.send([opening(0) + headers(1, SERVICE + "Vocode") + message(1, request(150))] * 16, 5)

    def names(self):
        config = field(1, b"n" * 30_000)
        self.send([opening(65_535) + headers(1, SERVICE + "VocodeStream") + message(1, request(1, config))] * 8, 1)

    def steps(self):
        config = field(4, field(2, 16)) + field(7, 1) + field(8, 1)
        self.send([opening(1 << 20) + headers(1, SERVICE + "VocodeStream") + message(1, request(150, config))] * 4, 5)

    def reflection(self):
        ask = message(1, field(4, b"vocode.v1.VocoderService"), last=False) * 500
        self.send([opening(1 << 30) + headers(1, REFLECTION) + ask] * 4, 3)

    def crowd(self):
        self.send([b"GET /"] * 300, 2, self.metrics)


def repeat(attack, end: float) -> None:
    while time.monotonic() < end:
        attack()
        time.sleep(0.5)


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def free_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


def serve(binary: Path, keys: Path, metrics: str) -> tuple[subprocess.Popen, str]:
    flags = ["--listen", "127.0.0.1:0", "--api-keys", keys, "--metrics", metrics, "--memory-budget", f"{BUDGET}MiB", "--max-streams-per-caller", "11"]
    server = subprocess.Popen([binary, "serve", *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = server.stdout.readline().split()[-1]
    while True:
        with contextlib.suppress(OSError), socket.create_connection(metrics.rsplit(":", 1), timeout=2) as sock:
            sock.sendall(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
            if b" 200 " in sock.recv(100):
                return server, address
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--listeners", type=int, default=10)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/vocode")
    parser.add_argument("--mel", type=Path, default=ROOT / "models/demo/demo.npy")
    args = parser.parse_args()
    with tempfile.NamedTemporaryFile("w") as keys:
        keys.write(f"{LISTENER}\n{ATTACKER}\n")
        keys.flush()
        metrics = free_port()
        server, address = serve(args.binary, Path(keys.name), metrics)
        try:
            rest, end = resident(server.pid), time.monotonic() + 60 * args.minutes
            for attack in Attacks(address, metrics).rounds():
                threading.Thread(target=repeat, args=(attack, end), daemon=True).start()
            flags = ["--addr", address, "--streams", str(args.listeners), "--seconds", str(60 * args.minutes), "--json"]
            environment = {**os.environ, "VOCODE_API_KEY": LISTENER}
            load = subprocess.Popen([args.binary, "load", args.mel, *flags], stdout=subprocess.PIPE, text=True, env=environment)
            most = rest
            while load.poll() is None:
                most = max(most, resident(server.pid))
                time.sleep(1)
            heard = json.loads(load.stdout.read())
        finally:
            server.terminate()
            server.wait()
    print(json.dumps(heard))
    print(f"resident memory: {rest:.0f} MiB at rest, {most:.0f} MiB at most, with a budget of {BUDGET} MiB")
    sys.exit(0 if heard["failed"] == heard["underruns"] == 0 and most < rest + BUDGET else 1)


if __name__ == "__main__":
    main()
