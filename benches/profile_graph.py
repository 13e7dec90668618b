"""Where a denoiser call's time goes: `python benches/profile_graph.py`, with the packages of models/training/requirements.lock.

Three figures in one run, on the same threads: how fast this machine multiplies float32 matrices (a large square product in ONNX Runtime), the
time that the denoiser's multiply-adds would take at that speed, and the time that it takes. Then the time by kind of operator, from ONNX
Runtime's own profiler. With `--json` for programs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[1]
HOP = 256
# Multiply-adds a second are measured with a product of this size: 2 GFLOP, larger than any cache of a core.
SIDE = 1024


def session(model: bytes, threads: int, profile: str | None = None) -> onnxruntime.InferenceSession:
    """As vocode makes its sessions."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def fastest(run: object, seconds: float = 1.5) -> float:
    """The fifth percentile of the times of a call: what the machine does when nothing else does."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 20:
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return float(np.percentile(times, 5))


def matrix_speed(threads: int) -> float:
    """Multiply-adds a second of a large product with a constant right side, as a layer's."""
    weight = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE]) for name in "ac"]
    graph = helper.make_graph([node], "product", ports[:1], ports[1:], [onnx.numpy_helper.from_array(weight, "b")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    product = session(model.SerializeToString(), threads)
    feed = {"a": weight}
    return SIDE**3 / fastest(lambda: product.run(None, feed))


def inputs(model: onnx.ModelProto, frames: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    sizes = {"B": 1, "N": frames * HOP, "F": frames}
    feed = {}
    for port in model.graph.input:
        shape = [sizes.get(d.dim_param, d.dim_value) for d in port.type.tensor_type.shape.dim]
        feed[port.name] = rng.standard_normal(shape).astype(np.float32)
    feed["t"][:] = 0.5
    return feed


def multiply_adds(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> int:
    """Those of all products with constant matrices: rows of the left side times the matrix's size."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for port in fixed.graph.input:
        for dim, size in zip(port.type.tensor_type.shape.dim, feed[port.name].shape, strict=True):
            dim.Clear()
            dim.dim_value = size
    inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in [*inferred.graph.value_info, *inferred.graph.input]}
    weights = {w.name: list(w.dims) for w in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            weight = weights.get(node.input[1].removesuffix(".float")) or shapes.get(node.input[1])
            rows = int(np.prod(shapes[node.input[0]][:-1]))
            total += rows * int(np.prod(weight[-2:]))
    return total


def by_operator(model: bytes, feed: dict[str, np.ndarray], threads: int, runs: int = 60) -> dict[str, float]:
    """Milliseconds a call by kind of operator."""
    with tempfile.TemporaryDirectory() as folder:
        profiled = session(model, threads, os.path.join(folder, "profile"))
        for _ in range(runs):
            profiled.run(None, feed)
        events = json.loads(Path(profiled.end_profiling()).read_text())
    spent: dict[str, float] = defaultdict(float)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"] / 1e3 / runs
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models/default")
    parser.add_argument("--frames", type=int, default=139, help="frames of the window, its context included")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    path = args.bundle / "denoiser.onnx"
    model, data = onnx.load(path), path.read_bytes()
    feed = inputs(model, args.frames)
    speed, count = matrix_speed(args.threads), multiply_adds(model, feed)
    denoiser = session(data, args.threads)
    taken = fastest(lambda: denoiser.run(None, feed))
    spent = by_operator(data, feed, args.threads)
    result = {
        "threads": args.threads,
        "frames": args.frames,
        "matrix_gflops": 2 * speed / 1e9,
        "multiply_adds": count,
        "bound_ms": 1e3 * count / speed,
        "call_ms": 1e3 * taken,
        "ratio": taken * speed / count,
        "by_operator_ms": spent,
    }
    if args.json:
        print(json.dumps(result))
        return
    print(f"{args.threads} threads, a window of {args.frames} frames")
    print(f"matrices: {result['matrix_gflops']:.0f} GFLOP/s; the denoiser's {count / 1e6:.0f} million multiply-adds would take {result['bound_ms']:.2f} ms")
    print(f"a call takes {result['call_ms']:.2f} ms, {result['ratio']:.2f} times as long\n")
    print("| operator | ms a call | share |\n|---|---:|---:|")
    total = sum(spent.values())
    for name, value in spent.items():
        print(f"| {name} | {value:.3f} | {100 * value / total:.0f} % |")


if __name__ == "__main__":
    main()
