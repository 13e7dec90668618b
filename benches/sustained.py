#!/usr/bin/env python3
"""Streams that replicas sustain together behind a balancer: `python3 benches/sustained.py --replicas 1 2 --streams 8 16 24 32 40`

Starts so many replicas of `vocode serve` with one thread each and the balancer of deploy/ in front, as `deploy/check` does, and has `vocode load` bring
streams of the demo mel at the pace of speech, rising in number until one of them has a gap. Prints a row for each number, and the largest without a
gap. Balancer and listeners run on the same processors. Needs a release build, the balancer, and a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import tempfile
from importlib.machinery import SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def deploy_check():
    """`deploy/check` as a module: it starts replicas and balancers."""
    loader = SourceFileLoader("deploy_check", str(ROOT / "deploy/check"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def load(check, port: int, streams: int, seconds: float) -> dict:
    command = [check.BINARY, "load", check.MEL, "--addr", f"127.0.0.1:{port}", "--streams", str(streams), "--seconds", str(seconds), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(check, kind: str, count: int, numbers: list[int], seconds: float) -> int:
    """The largest number of streams that all played without a gap; smaller ones did too."""
    sustained = 0
    with tempfile.TemporaryDirectory(prefix="vocode-sustained-") as name:
        folder = Path(name)
        replicas = [check.Replica(folder, letter, 200) for letter in "abc"]
        balancer = None
        try:
            for replica in replicas[:count]:
                replica.start()
            for replica in replicas[:count]:
                replica.wait_ready()
            balancer = check.Balancer(kind, folder, replicas)
            check.time.sleep(2)
            for streams in numbers:
                row = load(check, balancer.port, streams, seconds)
                gaps, failed = row["underruns"], row["failed"]
                print(f"| {count} | {streams} | {gaps} | {failed} | {row['first_audio_ms']['p50']:.0f} | {row['first_audio_ms']['p99']:.0f} |", flush=True)
                if gaps or failed:
                    break
                sustained = streams
        finally:
            if balancer:
                balancer.stop()
            for replica in replicas:
                replica.kill()
    return sustained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--balancer", choices=["haproxy", "nginx"], default="haproxy")
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2], choices=[1, 2, 3])
    parser.add_argument("--streams", type=int, nargs="+", default=list(range(8, 65, 4)))
    parser.add_argument("--seconds", type=float, default=15.0)
    a = parser.parse_args()
    check = deploy_check()
    print("| replicas | streams | with a gap | failed | first audio, ms | p99 |\n|---:|---:|---:|---:|---:|---:|", flush=True)
    sustained = {count: measure(check, a.balancer, count, a.streams, a.seconds) for count in a.replicas}
    for count, streams in sustained.items():
        print(f"{count} replicas sustain {streams} streams")


if __name__ == "__main__":
    main()
