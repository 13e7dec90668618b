"""Operators of vocode's own, domain `vocode`, each also written as a function of standard operators.

vocode has kernels for them on a CPU (`src/runtime/operators`), one walk over memory where standard operators take five to eight; whatever else
loads the graph takes the functions. Shapes: B windows, F frames of R folded steps each, S = F R, C channels.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import AttributeProto, helper, numpy_helper

from .graph import OPSET

DOMAIN = "vocode"
ZERO = 128
LEVELS = 127


class Body:
    """The nodes of a function in the making."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []

    def op(self, kind: str, *inputs: str, out: str | None = None, **attributes: object) -> str:
        name = out or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: np.ndarray) -> str:
        return self.op("Constant", value=numpy_helper.from_array(values))

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def attribute(self, name: str, kind: int) -> str:
        """A scalar with the value of one of the function's attributes."""
        field = {AttributeProto.INT: "value_int", AttributeProto.FLOAT: "value_float"}[kind]
        self.op("Constant")
        self.nodes[-1].attribute.append(AttributeProto(name=field, ref_attr_name=name, type=kind))
        return self.nodes[-1].output[0]

    def quantised(self, value: str, scale: str, out: str | None = None) -> str:
        return self.op("QuantizeLinear", value, scale, self.constant(np.array(ZERO, np.uint8)), out=out)

    def taps(self, x: str) -> None:
        """`taps`: what `x` is in integers `dilation` steps earlier, now and later; outside of the window it is zero."""
        now = self.quantised(x, self.attribute("scale", AttributeProto.FLOAT))
        reach = self.op("Unsqueeze", self.attribute("dilation", AttributeProto.INT), self.ints(0))
        none, span = self.ints(0), self.op("Add", reach, reach)
        pads = self.op("Concat", none, reach, none, none, reach, none, axis=0)
        padded = self.op("Pad", now, pads, self.constant(np.array(ZERO, np.uint8)))
        earlier = self.op("Slice", padded, none, self.op("Neg", span), self.ints(1))
        later = self.op("Slice", padded, span, self.ints(np.iinfo(np.int64).max), self.ints(1))
        self.op("Concat", earlier, now, later, axis=-1, out="taps")

    def function(self, name: str, inputs: list[str], outputs: list[str], attributes: tuple[str, ...] = ()) -> onnx.FunctionProto:
        return helper.make_function(DOMAIN, name, inputs, outputs, self.nodes, [helper.make_opsetid("", OPSET)], attributes)


def functions(steps: int, channels: int) -> list[onnx.FunctionProto]:
    """`Gate`, `Taps` and `ResidualTaps` for frames of `steps` folded steps and states of `channels` channels."""
    return [gate(steps, channels), taps(), residual_taps()]


def gate(steps: int, channels: int) -> onnx.FunctionProto:
    """`Gate(u [B, S, 2C], biases [B, F, layers * 2C])`: sigmoid of the one half of `u` and the bias of `layer` times tanh of the other, in uint8
    `[B, S, C]`, 1 being 127 from 128."""
    body = Body()
    width = body.ints(2 * channels)
    start = body.op("Mul", body.op("Unsqueeze", body.attribute("layer", AttributeProto.INT), body.ints(0)), width)
    bias = body.op("Slice", "biases", start, body.op("Add", start, width), body.ints(2))
    u = body.op("Reshape", "u", body.ints(0, -1, steps, 2 * channels))
    u = body.op("Reshape", body.op("Add", u, body.op("Unsqueeze", bias, body.ints(2))), body.ints(0, -1, 2 * channels))
    first, middle, end, axis = body.ints(0), body.ints(channels), body.ints(2 * channels), body.ints(2)
    opening = body.op("Sigmoid", body.op("Slice", u, first, middle, axis))
    content = body.op("Tanh", body.op("Slice", u, middle, end, axis))
    body.quantised(body.op("Mul", opening, content), body.constant(np.array(1.0 / LEVELS, np.float32)), out="gated")
    return body.function("Gate", ["u", "biases"], ["gated"], ("layer",))


def taps() -> onnx.FunctionProto:
    """`Taps(x [B, S, C])`: `[B, S, 3C]` in uint8 of `scale` with zero point 128."""
    body = Body()
    body.taps("x")
    return body.function("Taps", ["x"], ["taps"], ("scale", "dilation"))


def residual_taps() -> onnx.FunctionProto:
    """`ResidualTaps(x, residual)`, both `[B, S, C]`: their sum, and its `Taps`."""
    body = Body()
    body.taps(body.op("Add", "x", "residual", out="sum"))
    return body.function("ResidualTaps", ["x", "residual"], ["sum", "taps"], ("scale", "dilation"))
