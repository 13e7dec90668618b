"""Smaller forms of a bundle, to be measured against it: `python -m vocode_training.variants ../default --out VARIANTS`.

Writes VARIANTS/half, whose matrices are stored as float16 and computed with in float32, and VARIANTS/int8, whose denoiser multiplies in 8-bit
integers (dynamic quantisation, a scale for each column of a matrix). `evaluate --bundle` and `vocode bench --model` tell what they are worth.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from . import bundle, export, onnx_model, warm

# First and last matrices carry the signal itself.
KEPT = ("input", "output")


def manifest(folder: Path) -> str:
    """The manifest of a bundle without its hashes."""
    return (folder / "bundle.toml").read_text().split("[sha256]")[0].rstrip() + "\n"


def half(folder: Path, out: Path) -> None:
    """Write the bundle with its matrices as float16."""
    model, _ = warm.load_bundle(folder)
    export.round_to_half(model)
    conditioner, denoiser = (graph.SerializeToString() for graph in onnx_model.graphs(model, True))
    bundle.write(out, conditioner, denoiser, manifest(folder))


def int8(folder: Path, out: Path) -> None:
    """Write the bundle with a denoiser that multiplies in 8-bit integers."""
    graph = onnx.load(folder / "denoiser.onnx")
    products = [node.name for node in graph.graph.node if node.op_type in ("MatMul", "Gemm")]
    weights = {node.name: node.input[1] for node in graph.graph.node if node.op_type in ("MatMul", "Gemm")}
    chosen = [name for name in products if not weights[name].startswith(KEPT)]
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "denoiser.onnx"
        quantize_dynamic(folder / "denoiser.onnx", path, nodes_to_quantize=chosen, per_channel=True, weight_type=QuantType.QInt8)
        denoiser = path.read_bytes()
    bundle.write(out, (folder / "conditioner.onnx").read_bytes(), denoiser, manifest(folder))


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(words)
    for name, write in {"half": half, "int8": int8}.items():
        write(args.bundle, args.out / name)
        size = sum(path.stat().st_size for path in (args.out / name).glob("*.onnx")) / 1e6
        print(f"{args.out / name}: {size:.1f} MB")


if __name__ == "__main__":
    main()
