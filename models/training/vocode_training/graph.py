"""A small builder for ONNX graphs: call an operator, get the name of its output.

Graphs are written by hand and not traced, so that no shape arithmetic ends up in them and every weight is where it is fastest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .shapes import name_shapes

OPSET = 17
IR_VERSION = 9
Dims = list[int | str]


class Graph:
    """Nodes and weights in the making. With `half`, matrices are stored as float16 and cast when the graph is loaded."""

    def __init__(self, name: str, half: bool = False) -> None:
        self.name = name
        self.half = half
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str, values: np.ndarray, scale: float = 1.0, exact: bool = False) -> str:
        """A float32 weight, `scale * values`; one that is `exact` is never stored as float16, a scaled one is stored without its scale."""
        store = self.half and values.ndim > 1 and not exact
        stored = f"{name}.half" if store else name
        array = np.ascontiguousarray(values, np.float16) if store else np.ascontiguousarray(scale * values.astype(np.float64), np.float32)
        self.weights[stored] = numpy_helper.from_array(array, stored)
        if not store:
            return name
        loaded = self.op("Cast", stored, to=TensorProto.FLOAT)
        return loaded if scale == 1.0 else self.op("Mul", loaded, self.scalar(scale))

    def raw(self, name: str, values: np.ndarray) -> str:
        """A weight in its own type."""
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def ints(self, *values: int) -> str:
        """A vector of int64: a shape, axes or offsets."""
        return self.constant(np.array(values, np.int64))

    def constant(self, array: np.ndarray) -> str:
        """A small constant, named by its value: the same one is kept once."""
        text = "_".join(str(v) for v in array.reshape(-1).tolist())
        name = f"{array.dtype}_{text}" if array.ndim or array.dtype != np.float32 else f"scalar_{text}"
        self.weights[name] = numpy_helper.from_array(array, name)
        return name

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: object) -> str:
        """One operator with one output."""
        name = out or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def ops(self, kind: str, outputs: int, *inputs: str, **attributes: object) -> list[str]:
        """One operator with several outputs."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=names[0], **attributes))
        return names

    def split(self, value: str, parts: int, axis: int) -> list[str]:
        """Equal parts along an axis."""
        return self.ops("Split", parts, value, axis=axis)

    def linear(self, value: str, name: str, weight: np.ndarray, bias: np.ndarray | None, out: str | None = None) -> str:
        """`x @ weight.T + bias` over the last axis, with torch's `weight [out, in]`; `out` names what has a bias."""
        product = self.op("MatMul", value, self.weight(f"{name}.weight", weight.T))
        return product if bias is None else self.op("Add", product, self.weight(f"{name}.bias", bias), out=out)

    def model(
        self, inputs: dict[str, Dims], outputs: dict[str, Dims], per_frame: dict[str, int], functions: Sequence[onnx.FunctionProto] = ()
    ) -> onnx.ModelProto:
        """The finished model, checked; every input and output is float32. A named dimension is dynamic: `B` the batch, the others so many a frame.

        `functions` say what operators of other domains do, for whatever has no kernels for them.
        """

        def ports(dims: dict[str, Dims]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in dims.items()]

        weights = list(self.weights.values())
        graph = helper.make_graph(self.nodes, self.name, ports(inputs), ports(outputs), weights)
        domains = sorted({node.domain for node in self.nodes} - {""})
        opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(domain, 1) for domain in domains)]
        model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=IR_VERSION, producer_name="vocode_training")
        name_shapes(model, per_frame)
        # The checker knows the standard's operators only.
        onnx.checker.check_model(model, full_check=not domains)
        return model
