"""The whole check on a GPU machine, in one run and one file of results.

    python benches/gpu/check.py --out results.json --binary target/release/vocode --calls target/release/examples/denoiser_calls

Needs no network. ONNX Runtime for GPUs comes from `--wheel` (a wheel, or a folder with its parts, see parts.py) or from the library that
`vocode` finds; CUDA and cuDNN from this Python's `nvidia` packages, or from wherever the loader finds them. In order: what `vocode doctor`
says; whether a provider asked for by name runs or says what is missing; the conformance suite (`--conformance`, the executable that
`cargo test --no-run --test conformance` builds), with the providers that are there made obligatory, and CUDA wherever there is a GPU; the
demo's audio against the CPU's; real-time factor and time to first audio by steps; the time of a denoiser call by windows and frames; the
same network in PyTorch, eager and compiled, where PyTorch is there.

The whole ends within `--minutes`: a part gets its own limit or what is left, and one for which nothing is left is written down as not
measured, as is what is not there. The results are written after each part. The exit status is 1 where the suite or the demo did not pass,
or there is a GPU and CUDA did not run.
"""

from __future__ import annotations

import argparse
import array
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import parts

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEMO = ROOT / "models/demo/demo.npy"
PROVIDERS = ("cpu", "cuda", "tensorrt")
FROM_CPU = 1e-3
OUT_OF_TIME = "out of time"
# Seconds: what is worth a start, what a program may take, and what one may take that has to wait for TensorRT's engines.
LEAST, USUAL, ENGINES = 1.0, 120.0, 300.0
# Denoiser calls to measure, what matters first: name of the table, arguments, limit. The largest batches would take a CPU of two cores
# minutes, so it has fewer sizes of window there.
TABLES = (
    ("cuda", ("cuda",), USUAL),
    ("tensorrt", ("tensorrt",), USUAL),
    ("cpu", ("cpu", "--batches", "1"), USUAL),
    ("cpu", ("cpu", "--batches", "8", "--cores", "16,64,128"), USUAL),
    ("cpu", ("cpu", "--batches", "64", "--cores", "16,64", "--runs", "3"), USUAL),
    ("cuda, TF32", ("cuda", "--tf32"), USUAL),
    ("tensorrt, fp16", ("tensorrt", "--fp16"), ENGINES),
)


def allowed(own: float, left: float) -> float:
    """Seconds that a program may take: its own limit or what is left of the whole. 0 where that is not worth a start."""
    limit = min(own, left)
    return limit if limit >= LEAST else 0.0


def text(written: str | bytes | None) -> str:
    """What a program wrote. Of one that was stopped, Python hands over bytes."""
    return written.decode(errors="replace") if isinstance(written, bytes) else written or ""


@dataclass
class Programs:
    """Runs programs, none beyond the end of the whole check (of the monotonic clock)."""

    env: dict[str, str]
    end: float

    def run(self, words: list[object], limit: float = USUAL, **more: str) -> dict[str, object]:
        """A program's end: status, seconds and what it wrote. `more` goes into its environment."""
        began = time.monotonic()
        limit = allowed(limit, self.end - began)
        if not limit:
            return {"status": -1, "seconds": 0.0, "out": "", "said": OUT_OF_TIME}
        try:
            done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=limit, env={**self.env, **more}, cwd=ROOT)
            status, out, said = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as late:
            status, out, said = -1, text(late.stdout), f"{text(late.stderr)}\ntook longer than {limit:.0f} s"
        except OSError as error:
            status, out, said = -1, "", str(error)
        return {"status": status, "seconds": round(time.monotonic() - began, 2), "out": out, "said": said.strip()[-2000:]}


@dataclass
class Results:
    """What was found, written into a file after every part."""

    path: Path
    found: dict[str, object] = field(default_factory=dict)

    def add(self, part: str, value: object, of: str | None = None) -> None:
        """Keeps a part, or what of it concerns `of`."""
        if of is None:
            self.found[part] = value
        else:
            self.found.setdefault(part, {})[of] = value
        self.write()
        print(f"{part if of is None else f'{part}, {of}'}: {verdict(value)}", flush=True)

    def write(self) -> None:
        self.path.write_text(json.dumps(self.found, indent=1))


def verdict(value: object) -> str:
    """A part in a few words. Of rows, the last one tells what went wrong."""
    last = value[-1] if isinstance(value, list) and value else value
    if not isinstance(last, dict):
        return "done"
    if "not_measured" in last:
        return f"not measured: {last['not_measured']}"
    if "runs" in last:
        return "runs" if last["runs"] else f"does not run: {last['told']}"
    return "done" if last.get("ok", True) else "FAILED"


def answer(line: object) -> dict[str, object] | None:
    """The JSON object that a program wrote, if it is one."""
    try:
        found = json.loads(str(line))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def library(wheel: Path, work: Path) -> Path:
    """ONNX Runtime out of a wheel, with this Python's `nvidia` packages beside it as in an installation."""
    if wheel.is_dir():
        wheel = parts.join(wheel, work)
    place = work / "packages"
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if n.startswith("onnxruntime/capi/lib") and ".so" in n]
        archive.extractall(place, names)
    found = importlib.util.find_spec("nvidia")
    for folder in list(found.submodule_search_locations or []) if found else []:
        if not (place / "nvidia").exists():
            (place / "nvidia").symlink_to(folder)
    return next((place / "onnxruntime/capi").glob("libonnxruntime.so.*"))


def environment(wheel: Path | None, work: Path) -> dict[str, str]:
    """What the programs are told."""
    env = {**os.environ, "VOCODE_OFFLINE": "1"}
    if wheel:
        env |= {"VOCODE_ORT_LIB": str(library(wheel, work)), "VOCODE_DATA_DIR": str(work / "data")}
    return env


def doctor(binary: Path, programs: Programs) -> dict[str, object]:
    """What `vocode doctor` says. On the CPU: a GPU would build its engines here."""
    end = programs.run([binary, "doctor", "--provider", "cpu", "--json"], 60)
    return answer(end["out"]) or {"not_measured": end["said"]}


def devices(told: dict[str, object]) -> list[str]:
    """The GPUs that the doctor saw."""
    return (told.get("gpu") or {}).get("devices") or []


def provider(binary: Path, name: str, programs: Programs) -> dict[str, object]:
    """Whether a provider runs, and what it says where it does not."""
    end = programs.run([binary, "warm", "--provider", name, "--json"], ENGINES)
    told = answer(end["out"]) if end["status"] == 0 else None
    found = {"runs": told is not None, "seconds": end["seconds"], "told": told or end["said"]}
    return {**found, "not_measured": OUT_OF_TIME} if end["said"] == OUT_OF_TIME else found


def obligatory(gpus: list[str], running: list[str]) -> list[str]:
    """The providers that the suite may not miss: those that ran, and CUDA wherever there is a GPU."""
    return [p for p in PROVIDERS if p != "cpu" and (p in running or (p == "cuda" and gpus))]


def conformance(suite: Path, wanted: list[str], programs: Programs) -> dict[str, object]:
    end = programs.run([suite], 300, VOCODE_TEST_PROVIDERS=",".join(wanted))
    found = {"ok": end["status"] == 0, "obligatory": wanted, "seconds": end["seconds"], "said": f"{end['out']}{end['said']}"[-3000:]}
    return {**found, "not_measured": OUT_OF_TIME} if end["said"] == OUT_OF_TIME else found


def samples(path: Path) -> array.array:
    """The float samples of a mono WAV that vocode wrote with `--format f32`."""
    data, at = path.read_bytes(), 12
    while at + 8 <= len(data):
        start, size = at + 8, int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data":
            return array.array("f", data[start : start + size // 4 * 4])
        at = start + size + size % 2
    return array.array("f")


def distance(a: array.array | None, b: array.array | None) -> float | None:
    """The greatest difference of two sounds, if both are there, equally long and finite."""
    if not a or not b or len(a) != len(b) or not math.isfinite(sum(a) + sum(b)):
        return None
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def demo(binary: Path, running: list[str], programs: Programs) -> dict[str, object]:
    """How far each provider's demo is from the CPU's."""
    made, said = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cpu", *(p for p in running if p != "cpu")):
            path = Path(folder) / f"{name}.wav"
            end = programs.run([binary, DEMO, "-o", path, "--format", "f32", "--provider", name, "--json"])
            made[name] = samples(path) if end["status"] == 0 else None
            if end["status"] != 0:
                said[name] = end["said"]
    worst = {name: distance(audio, made["cpu"]) for name, audio in made.items()}
    ok = all(far is not None and far <= FROM_CPU for far in worst.values())
    found = {"ok": ok, "greatest_difference_from_cpu": worst, "within": FROM_CPU, "said": said}
    return {**found, "not_measured": OUT_OF_TIME} if OUT_OF_TIME in said.values() else found


def threads(name: str, processors: int) -> str:
    """The numbers of threads to measure: a GPU's work is done by one."""
    return ",".join(map(str, sorted({1, processors}))) if name == "cpu" else "1"


def bench(binary: Path, name: str, processors: int, programs: Programs) -> dict[str, object]:
    counts = threads(name, processors)
    end = programs.run([binary, "bench", "--provider", name, "--steps", "1,2,4,6", "--thread-counts", counts, "--streams", "0", "--json"])
    told = answer(end["out"]) if end["status"] == 0 else None
    return told or {"not_measured": end["said"]}


def calls(words: list[object], limit: float, programs: Programs) -> list[dict[str, object]]:
    """The objects, one a line, that a program writes of denoiser calls, and why it wrote no more."""
    end = programs.run(words, limit)
    rows = [row for row in map(answer, str(end["out"]).splitlines()) if row]
    return rows if end["status"] == 0 else [*rows, {"not_measured": end["said"]}]


def absent(providers: dict[str, dict[str, object]]) -> dict[str, str]:
    """Why there is nothing to measure, for the providers that did not run."""
    return {name: str(found.get("not_measured", "does not run")) for name, found in providers.items() if not found["runs"]}


def measure(args: argparse.Namespace, processors: int, programs: Programs, results: Results) -> None:
    """Fills the results with times, those of GPUs first."""
    missing = absent(results.found["providers"])
    for name in (*PROVIDERS[1:], PROVIDERS[0]):
        told = {"not_measured": missing[name]} if name in missing else bench(args.binary, name, processors, programs)
        results.add("bench", told, name)
    for table, words, limit in TABLES:
        before = results.found.get("denoiser_calls", {}).get(table, [])
        nothing = [{"not_measured": missing[words[0]]}] if words[0] in missing else None
        results.add("denoiser_calls", nothing or before + calls([args.calls, *words], limit, programs), table)
    results.add("torch", calls([sys.executable, HERE / "torch_calls.py"], 180, programs))


def check(args: argparse.Namespace, programs: Programs, results: Results) -> None:
    """Fills the results, part by part."""
    told = doctor(args.binary, programs)
    results.add("doctor", told)
    for name in PROVIDERS:
        results.add("providers", provider(args.binary, name, programs), name)
    running = [name for name, found in results.found["providers"].items() if found["runs"]]
    if args.conformance:
        results.add("conformance", conformance(args.conformance, obligatory(devices(told), running), programs))
    results.add("demo", demo(args.binary, running, programs))
    measure(args, told.get("processors") or os.cpu_count() or 1, programs, results)


def failures(found: dict[str, object]) -> list[str]:
    """What makes the check fail. The suite, where it is asked for, and the demo must pass: without time for them they did not."""
    failed = []
    if not found.get("conformance", {"ok": True})["ok"]:
        failed.append("the conformance suite did not pass")
    if not found.get("demo", {}).get("ok"):
        failed.append(f"the demo was not made within {FROM_CPU} of the CPU's by every provider that runs")
    cuda = found.get("providers", {}).get("cuda", {})
    if devices(found.get("doctor", {})) and not cuda.get("runs"):
        failed.append("there is a GPU, and CUDA did not run")
    return failed


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the file of results (JSON)")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/vocode")
    parser.add_argument("--calls", type=Path, default=ROOT / "target/release/examples/denoiser_calls")
    parser.add_argument("--conformance", type=Path, help="executable of the conformance suite")
    parser.add_argument("--wheel", type=Path, help="onnxruntime-gpu wheel, or a folder with its parts")
    parser.add_argument("--minutes", type=float, default=9.5, help="the whole ends within this time [default: 9.5]")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    args, began = arguments(words), time.monotonic()
    results = Results(args.out)
    try:
        with tempfile.TemporaryDirectory() as work:
            programs = Programs(environment(args.wheel, Path(work)), began + 60 * args.minutes)
            check(args, programs, results)
    finally:
        results.write()
    failed = failures(results.found)
    for reason in failed:
        print(f"FAILED: {reason}")
    print(f"results in {args.out}; `python benches/gpu/table.py {args.out}` writes them as tables")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
