"""More listeners than a server holds: `python3 benches/overload.py --times 3 --seconds 60`

Starts `vocode serve` on loopback with `--max-streams auto`, asks it how many streams it holds, and has `vocode load` bring `--times` as many
listeners, in an open loop: they come at a steady rate whether or not the ones before were taken. Prints the streams that were offered, admitted
and refused, those that played without a gap, the times to first audio and to a refusal, and the part of the time in which the model worked. Exits with 1 where
an admitted stream had a gap or failed. Needs nothing but Python 3, a release build, and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


def ask(address: str, path: str) -> str:
    """A page of the server's HTTP port; empty where nobody answers."""
    page = b""
    with contextlib.suppress(OSError), socket.create_connection(address.rsplit(":", 1), timeout=2) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while part := sock.recv(65_536):
            page += part
    return page.decode()


def worked(metrics: str) -> float:
    """Seconds that the model has worked since the start."""
    lines = [line for line in ask(metrics, "/metrics").splitlines() if line.startswith("vocode_tick_seconds_sum")]
    return sum(float(line.split()[-1]) for line in lines)


class Server:
    """A server on a free port, and the number of streams that it holds."""

    def __init__(self, binary: Path, streams: str) -> None:
        self.metrics = free_port()
        flags = ["--listen", "127.0.0.1:0", "--metrics", self.metrics, "--max-streams", streams, "--log-format", "json"]
        self.process = subprocess.Popen([binary, "serve", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().split()[-1]
        self.streams = 0
        while not self.streams:
            line = self.process.stderr.readline()
            if not line:
                raise SystemExit("the server did not start; run `vocode serve` to see why")
            with contextlib.suppress(ValueError):
                self.streams = json.loads(line).get("max_streams", 0)
        # Read on, so that its log does not fill the pipe.
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()
        while " 200 " not in ask(self.metrics, "/ready"):
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=float, default=3.0, help="listeners, as a multiple of the streams that the server holds")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--max-streams", default="auto")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/vocode")
    parser.add_argument("--mel", type=Path, default=ROOT / "models/demo/demo.npy")
    args = parser.parse_args()
    server = Server(args.binary, args.max_streams)
    try:
        offered = max(1, round(args.times * server.streams))
        flags = ["--addr", server.address, "--streams", str(offered), "--seconds", str(args.seconds), "--json"]
        before, began = worked(server.metrics), time.monotonic()
        load = subprocess.Popen([args.binary, "load", args.mel, *flags], stdout=subprocess.PIPE, text=True)
        # While the listeners still come: at the end fewer and fewer are left.
        time.sleep(args.seconds)
        busy = (worked(server.metrics) - before) / (time.monotonic() - began)
        row = json.loads(load.communicate()[0])
    finally:
        server.stop()
    admitted = row["started"] - row["refused"]
    whole = row["started"] - row["failed"] - row["underruns"]
    first = row["first_audio_ms"]
    print(f"the server holds {server.streams} streams; {offered} at once were offered for {args.seconds:.0f} s")
    print(f"offered {row['started']}, admitted {admitted}, refused {row['refused']}, without a gap {whole}")
    print(f"first audio: p50 {first['p50']:.0f} ms, p99 {first['p99']:.0f} ms, most {first['max']:.0f} ms")
    refusal = row["refusal_ms"]
    print(f"refused after: p50 {refusal['p50']:.1f} ms, p99 {refusal['p99']:.1f} ms, most {refusal['max']:.1f} ms")
    print(f"chunks late by at most {row['lateness_ms']['max']:.0f} ms; the model worked {100 * busy:.0f}% of the time")
    sys.exit(0 if whole == admitted else 1)


if __name__ == "__main__":
    main()
