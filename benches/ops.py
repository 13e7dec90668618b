"""Where the time of a graph goes, by kind of operator: `python benches/ops.py --frames 144`.

Runs one graph of a model in ONNX Runtime with its profiler on, settings as in vocode, and adds up what the kernels took: milliseconds a call, share,
and how many there are after ONNX Runtime has fused what it can. `--nodes N` lists the N slowest nodes too. The profiler itself costs some
microseconds a node; `cargo bench --bench denoiser` has the time of a call without it. It needs the packages of `models/training/requirements.lock`.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/default", help="folder of a bundle")
    parser.add_argument("--graph", choices=("denoiser", "conditioner"), default="denoiser")
    parser.add_argument("--frames", type=int, default=144, help="frames of a window, its context included")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--nodes", type=int, default=0, help="slowest nodes to list")
    return parser.parse_args()


def session(path: Path, threads: int, profile: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def inputs(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Noise in the shapes of a window; the conditions are the conditioner's own."""
    generator = np.random.default_rng(0)
    conditioner = session(args.model / "conditioner.onnx", args.threads)
    (port,) = conditioner.get_inputs()
    mel = generator.standard_normal((args.batch, port.shape[1], args.frames), np.float32) - 5.0
    if args.graph == "conditioner":
        return {port.name: mel}
    names = [output.name for output in conditioner.get_outputs()]
    conditions = dict(zip(names, conditioner.run(None, {port.name: mel}), strict=True))
    hop = hop_of(args.model)
    x = generator.standard_normal((args.batch, args.frames * hop), np.float32)
    return {"x": x, "t": np.linspace(0, 0.9, args.batch, dtype=np.float32), **conditions}


def hop_of(model: Path) -> int:
    return tomllib.loads((model / "bundle.toml").read_text())["mel"]["hop"]


def kernels(args: argparse.Namespace) -> list[tuple[str, str, float]]:
    """Kind, node and microseconds of every kernel that ran after the warm-up."""
    feed = inputs(args)
    with TemporaryDirectory() as folder:
        graph = session(args.model / f"{args.graph}.onnx", args.threads, Path(folder) / "profile")
        for _ in range(WARM_UP + args.runs):
            graph.run(None, feed)
        events = json.loads(Path(graph.end_profiling()).read_text())
    calls = sorted(event["ts"] for event in events if event["name"] == "model_run")
    ran = [event for event in events if event["cat"] == "Node" and event["name"].endswith("_kernel_time") and event["ts"] >= calls[WARM_UP]]
    return [(event["args"]["op_name"], event["name"].removesuffix("_kernel_time"), event["dur"]) for event in ran]


def table(title: str, times: Counter[str], counts: Counter[str], runs: int, limit: int | None = None) -> None:
    total = sum(times.values())
    print(f"| {title} | ms a call | share | kernels |\n|---|---:|---:|---:|")
    for name, time in times.most_common(limit):
        print(f"| {name} | {time / 1000 / runs:.3f} | {time / total:.1%} | {counts[name] // runs} |")


def main() -> None:
    args = arguments()
    by_kind, kinds, by_node, nodes = Counter(), Counter(), Counter(), Counter()
    for kind, node, time in kernels(args):
        by_kind[kind] += time
        kinds[kind] += 1
        by_node[node] += time
        nodes[node] += 1
    total = sum(by_kind.values()) / 1000 / args.runs
    print(f"{args.graph}, {args.frames} frames, batch {args.batch}, {args.threads} threads: {total:.2f} ms a call, mean of {args.runs}\n")
    table("operator", by_kind, kinds, args.runs)
    if args.nodes:
        print()
        table("node", by_node, nodes, args.runs, args.nodes)


if __name__ == "__main__":
    main()
