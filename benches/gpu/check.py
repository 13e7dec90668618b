"""The whole check on a GPU machine, in one run and one file of results.

    python benches/gpu/check.py --out results.json --binary target/release/vocode --calls target/release/examples/denoiser_calls

Needs no network. ONNX Runtime for GPUs comes from `--wheel` (a wheel, or a folder with its parts, see parts.py) or from the library that
`vocode` finds; CUDA and cuDNN from this Python's `nvidia` packages, or from wherever the loader finds them. In order: what `vocode doctor`
says; whether a provider asked for by name runs or says what is missing; the conformance suite, with the providers that are there made
obligatory (`--conformance`, the executable that `cargo test --no-run --test conformance` builds; without it the demo's audio is compared);
real-time factor and time to first audio by steps; the time of a denoiser call by windows and frames; the same network in PyTorch, eager
and compiled, where PyTorch is there. What is not there is written down as not measured. Every part has a time limit, and the results are
written after each.
"""

from __future__ import annotations

import argparse
import array
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import parts

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DEMO = ROOT / "models/demo/demo.npy"
PROVIDERS = ("cpu", "cuda", "tensorrt")
FROM_CPU = 1e-3


def run(words: list[object], limit: float, env: dict[str, str]) -> dict[str, object]:
    """A program's end: status, seconds and what it wrote."""
    began = time.monotonic()
    try:
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=limit, env=env, cwd=ROOT)
        status, out, said = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        status, out, said = -1, "", f"took longer than {limit:.0f} s"
    except OSError as error:
        status, out, said = -1, "", str(error)
    return {"status": status, "seconds": round(time.monotonic() - began, 2), "out": out, "said": said.strip()[-2000:]}


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


def samples(path: Path) -> array.array:
    """The float samples of a mono WAV that vocode wrote with `--format f32`."""
    data = path.read_bytes()
    start = data.index(b"data") + 8
    return array.array("f", data[start : start + len(data[start:]) // 4 * 4])


def there(binary: Path, env: dict[str, str]) -> dict[str, dict[str, object]]:
    """For each provider whether it runs, and what it says where it does not."""
    found = {}
    for provider in PROVIDERS:
        end = run([binary, "warm", "--provider", provider, "--json"], 420, env)
        ran = json.loads(end["out"]) if end["status"] == 0 else None
        found[provider] = {"runs": ran is not None, "seconds": end["seconds"], "told": ran or end["said"]}
        print(f"{provider}: {'runs' if ran else end['said']}", flush=True)
    return found


def demo(binary: Path, providers: list[str], env: dict[str, str]) -> dict[str, object]:
    """How far each provider's demo is from the CPU's."""
    with tempfile.TemporaryDirectory() as folder:
        made = {}
        for provider in providers:
            path = Path(folder) / f"{provider}.wav"
            end = run([binary, DEMO, "-o", path, "--format", "f32", "--provider", provider, "--json"], 120, env)
            made[provider] = samples(path) if end["status"] == 0 else None
        cpu = made["cpu"]
        worst = {p: max(abs(a - b) for a, b in zip(s, cpu, strict=True)) if s and cpu else None for p, s in made.items()}
    return {"greatest_difference_from_cpu": worst, "within": FROM_CPU, "ok": all(w is not None and w <= FROM_CPU for w in worst.values())}


def bench(binary: Path, provider: str, env: dict[str, str]) -> dict[str, object]:
    end = run([binary, "bench", "--provider", provider, "--steps", "1,2,4,6", "--streams", "0", "--json"], 120, env)
    return json.loads(end["out"]) if end["status"] == 0 else {"not_measured": end["said"]}


def calls(words: list[object], limit: float, env: dict[str, str]) -> object:
    """The objects, one a line, that a program of its own writes of denoiser calls."""
    end = run(words, limit, env)
    lines = [json.loads(line) for line in str(end["out"]).splitlines() if line.startswith("{")]
    return lines or {"not_measured": end["said"]}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the file of results (JSON)")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/vocode")
    parser.add_argument("--calls", type=Path, default=ROOT / "target/release/examples/denoiser_calls")
    parser.add_argument("--conformance", type=Path, help="executable of the conformance suite")
    parser.add_argument("--wheel", type=Path, help="onnxruntime-gpu wheel, or a folder with its parts")
    return parser.parse_args()


def check(args: argparse.Namespace, env: dict[str, str], keep: object) -> None:
    """Fills the results, part by part."""
    results: dict[str, object] = {}

    def part(name: str, value: object) -> None:
        results[name] = value
        keep(results)
        print(f"{name}: done", flush=True)

    doctor = run([args.binary, "doctor", "--json"], 60, env)
    part("doctor", json.loads(doctor["out"]) if str(doctor["out"]).startswith("{") else doctor)
    found = there(args.binary, env)
    part("providers", found)
    running = [p for p in PROVIDERS if found[p]["runs"]]
    if args.conformance:
        obligatory = {**env, "VOCODE_TEST_PROVIDERS": ",".join(p for p in running if p != "cpu")}
        end = run([args.conformance], 300, obligatory)
        part("conformance", {"ok": end["status"] == 0, "seconds": end["seconds"], "said": (str(end["out"]) + str(end["said"]))[-3000:]})
    part("demo", demo(args.binary, running, env))
    part("bench", {p: bench(args.binary, p, env) for p in running})
    flags = {"cuda": {"cuda, TF32": ["--tf32"]}, "tensorrt": {"tensorrt, fp16": ["--fp16"]}}
    # A CPU would take minutes for the largest batches.
    less = {"cpu": ["--batches", "1,8", "--steps", "1,4"]}
    tables = {p: calls([args.calls, p, *less.get(p, [])], 120, env) for p in running}
    for provider, more in flags.items():
        if provider in running:
            tables |= {name: calls([args.calls, provider, *f], 120, env) for name, f in more.items()}
    part("denoiser_calls", tables)
    part("torch", calls([sys.executable, HERE / "torch_calls.py"], 180, env))
    for provider in PROVIDERS:
        if provider not in running:
            print(f"not measured: {provider}")


def main() -> None:
    args = arguments()
    env = {**os.environ, "VOCODE_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as work:
        if args.wheel:
            env["VOCODE_ORT_LIB"] = str(library(args.wheel, Path(work)))
            env["VOCODE_DATA_DIR"] = str(Path(work) / "data")
        check(args, env, lambda results: args.out.write_text(json.dumps(results, indent=1)))
    print(f"results in {args.out}; `python benches/gpu/table.py {args.out}` writes them as tables")


if __name__ == "__main__":
    main()
