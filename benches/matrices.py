"""How far a denoiser call is from what its multiply-adds cost: `python benches/matrices.py --frames 144`.

Measures in one run, on the same threads, how fast this machine multiplies float32 matrices (a large square product in ONNX Runtime) and how long a
denoiser call takes; `ops.py` tells by operator where the rest goes. With several threads vocode makes whole clips in lanes: `--lanes 2 --frames 96` are
two sessions that share the threads and run a window each at the same time. It needs the packages of `models/training/requirements.lock`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from ops import ROOT, inputs, session

# 2 GFLOP, larger than the caches of a core.
SIDE = 1024


def quick(run: Callable[[], object], seconds: float = 1.5) -> float:
    """The fifth percentile of the times of a call: what the machine does when nothing else does."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 20:
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return float(np.percentile(times, 5))


def matrix_speed(threads: int) -> float:
    """Multiply-adds a second of a large product whose right side is constant, as a layer's is."""
    weight = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE]) for name in "ac"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])], "product", ports[:1], ports[1:], [onnx.numpy_helper.from_array(weight, "b")]
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "product.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
        product = session(path, threads)
    return SIDE**3 / quick(lambda: product.run(None, {"a": weight}))


def window_time(lanes: list[onnxruntime.InferenceSession], feed: dict[str, np.ndarray]) -> float:
    """Seconds a window where all lanes run one at the same time: the time until the last is done, shared by all."""
    first, *others = lanes

    def side_by_side() -> None:
        beside = [pool.submit(lane.run, None, feed) for lane in others]
        first.run(None, feed)
        for call in beside:
            call.result()

    with ThreadPoolExecutor(len(lanes)) as pool:
        return quick(side_by_side) / len(lanes)


def multiply_adds(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> int:
    """Those of all matrix products: rows of the left side times the size of the matrix."""
    for port in model.graph.input:
        for dim, size in zip(port.type.tensor_type.shape.dim, feed[port.name].shape, strict=True):
            dim.Clear()
            dim.dim_value = size
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in [*inferred.value_info, *inferred.input]}
    shapes |= {weight.name: list(weight.dims) for weight in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
    return sum(int(np.prod(shapes[node.input[0]][:-1])) * int(np.prod(shapes[node.input[1]][-2:])) for node in products)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/default", help="folder of a bundle")
    parser.add_argument("--frames", type=int, default=144, help="frames of a window, its context included; of several lanes vocode gives each 96")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--lanes", type=int, default=1, help="sessions that share the threads and run windows at the same time")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not 1 <= args.lanes <= args.threads:
        parser.error(f"--lanes {args.lanes}: expected 1 to {args.threads}, a thread for each at least")
    return args


def main() -> None:
    args = arguments()
    path = args.model / "denoiser.onnx"
    feed = inputs(argparse.Namespace(**vars(args), graph="denoiser", batch=1))
    speed, count = matrix_speed(args.threads), multiply_adds(onnx.load(path), feed)
    taken = window_time([session(path, args.threads // args.lanes) for _ in range(args.lanes)], feed)
    result = {"threads": args.threads, "lanes": args.lanes, "frames": args.frames, "matrix_gflops": 2 * speed / 1e9, "multiply_adds": count}
    result |= {"products_ms": 1e3 * count / speed, "window_ms": 1e3 * taken, "ratio": taken * speed / count}
    if args.json:
        print(json.dumps(result))
        return
    print(f"{args.threads} threads, a window of {args.frames} frames: matrices at {result['matrix_gflops']:.0f} GFLOP/s")
    print(f"{count / 1e6:.0f} million multiply-adds would take {result['products_ms']:.2f} ms on all of them;", end=" ")
    if args.lanes == 1:
        print(f"a call takes {result['window_ms']:.2f} ms, {result['ratio']:.2f} times as long")
    else:
        print(f"{args.lanes} windows at the same time, one a lane, take {result['window_ms']:.2f} ms a window, {result['ratio']:.2f} times as long")


if __name__ == "__main__":
    main()
