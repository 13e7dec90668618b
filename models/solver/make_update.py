"""Makes update.onnx: one row of a solver's plan, for windows that stay on a device between denoiser calls.

next = clip(a x + b prediction + c noise + d remembered, low, high) * inside, remember = u x + v prediction; all `[windows, samples]`, and
`row [windows, 8]` = a, b, c, d, u, v, low, high. `inside` is 1 within the clip and 0 beyond it.

Needs the package `onnx`. Run it in this folder.
"""

import onnx
from onnx import TensorProto, helper

SIGNALS = ["x", "prediction", "noise", "remembered", "inside"]
COEFFICIENTS = ["a", "b", "c", "d", "u", "v", "low", "high"]


def weighted(*terms: tuple[str, str], out: str) -> list[onnx.NodeProto]:
    """`out` = the sum of coefficient times signal."""
    nodes = []
    for index, (coefficient, signal) in enumerate(terms):
        product = f"{coefficient}_{signal}"
        nodes.append(helper.make_node("Mul", [coefficient, signal], [product]))
        if index == 0:
            total = product
        else:
            last = index == len(terms) - 1
            nodes.append(helper.make_node("Add", [total, product], [out if last else f"{out}_{index}"]))
            total = nodes[-1].output[0]
    return nodes


nodes = [
    helper.make_node("Split", ["row"], COEFFICIENTS, axis=1),
    *weighted(("a", "x"), ("b", "prediction"), ("c", "noise"), ("d", "remembered"), out="moved"),
    helper.make_node("Max", ["moved", "low"], ["above"]),
    helper.make_node("Min", ["above", "high"], ["between"]),
    helper.make_node("Mul", ["between", "inside"], ["next"]),
    *weighted(("u", "x"), ("v", "prediction"), out="remember"),
]
signal = ["windows", "samples"]
graph = helper.make_graph(
    nodes,
    "update",
    [
        *(helper.make_tensor_value_info(name, TensorProto.FLOAT, signal) for name in SIGNALS),
        helper.make_tensor_value_info("row", TensorProto.FLOAT, ["windows", len(COEFFICIENTS)]),
    ],
    [helper.make_tensor_value_info(name, TensorProto.FLOAT, signal) for name in ("next", "remember")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
model.ir_version = 8
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "update.onnx")
