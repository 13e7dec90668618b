"""Long steady load on a real server: does it leak? `python3 benches/soak.py --minutes 30 --streams 4`

Starts `vocode serve`, keeps `--streams` listeners playing in real time with `vocode load`, and watches the server: resident memory, threads
and file handles every ten seconds. Prints a row a minute, the load's own figures, and the growth after the first five minutes; exits with 1
where the median of any five minutes is over 5% above that of minute six, where threads or handles grew by more than two, or where a stream failed. Needs
nothing but Python 3 and a release build. A few minutes at the end that are no five do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
EVERY = 10.0
SETTLED = 300.0
GROWTH = 1.05
# Threads and handles that may come later: pools start theirs when they are first needed. A leak would have one for each of thousands of streams.
LATE = 2


def sample(pid: int) -> dict[str, float]:
    """Resident memory in MiB, threads and open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    field = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if ":" in line and len(line.split()) > 1}
    return {"rss": int(field["VmRSS"]) / 1024, "threads": int(field["Threads"]), "files": len(os.listdir(f"/proc/{pid}/fd"))}


def start(binary: Path) -> tuple[subprocess.Popen, str]:
    server = subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = server.stdout.readline()
    if not line.startswith("listening on "):
        raise SystemExit("the server did not start; run `vocode serve` to see why")
    return server, line.split()[-1]


def watch(server: subprocess.Popen, load: subprocess.Popen) -> list[dict[str, float]]:
    """Samples until the load has ended."""
    began, rows = time.monotonic(), []
    print("minute  resident MiB  threads  files")
    while load.poll() is None:
        time.sleep(EVERY)
        now = time.monotonic() - began
        rows.append({"at": now, **sample(server.pid)})
        if int(now / 60) != int((now - EVERY) / 60):
            print(f"{now / 60:6.1f}  {rows[-1]['rss']:12.1f}  {rows[-1]['threads']:7d}  {rows[-1]['files']:5d}", flush=True)
    return rows


def judge(rows: list[dict[str, float]], result: dict, minutes: float) -> bool:
    """Whether nothing grew and nothing failed. Memory goes up and down with the streams of the moment, so medians are compared."""
    settled = [row for row in rows if SETTLED <= row["at"] <= minutes * 60]
    later = [row for row in settled if row["at"] >= SETTLED + 60.0]
    if not later:
        print("too short to say anything of growth: give it more than six minutes")
        return result["failed"] == 0
    blocks: dict[int, list[float]] = {}
    for row in later:
        blocks.setdefault(int(row["at"] // SETTLED), []).append(row["rss"])
    whole = {block: values for block, values in blocks.items() if len(values) > SETTLED / EVERY / 2} or blocks
    medians = {f"{int(block * SETTLED / 60)}-{int((block + 1) * SETTLED / 60)}": median(values) for block, values in whole.items()}
    first = median(row["rss"] for row in settled if row["at"] < SETTLED + 60.0)
    growth = max(medians.values()) / first
    told = ", ".join(f"{value:.1f} ({name})" for name, value in medians.items())
    print(f"resident memory, median: {first:.1f} MiB in the minute after the fifth, then by minutes {told}: at most {100 * (growth - 1):+.1f}%")
    print(f"resident memory, most: {max(row['rss'] for row in rows):.1f} MiB")
    early, late = ({key: max(row[key] for row in part) for key in ("threads", "files")} for part in (settled[:6], settled[-6:]))
    print(f"threads {early['threads']} -> {late['threads']}, files {early['files']} -> {late['files']}")
    steady = all(late[key] <= early[key] + LATE for key in early)
    return result["failed"] == 0 and growth <= GROWTH and steady


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/vocode")
    parser.add_argument("--mel", type=Path, default=ROOT / "models/demo/demo.npy")
    args = parser.parse_args()
    server, address = start(args.binary)
    try:
        arguments = ["--addr", address, "--streams", str(args.streams), "--seconds", str(60 * args.minutes), "--json"]
        load = subprocess.Popen([args.binary, "load", args.mel, *arguments], stdout=subprocess.PIPE, text=True)
        rows = watch(server, load)
        result = json.loads(load.stdout.read())
    finally:
        server.terminate()
        server.wait()
    print(json.dumps(result))
    sys.exit(0 if judge(rows, result, args.minutes) else 1)


if __name__ == "__main__":
    main()
