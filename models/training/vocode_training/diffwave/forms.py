"""Ways to write the residual stack for ONNX Runtime. They give the same numbers; `speed` measures which is fastest."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ..graph import Dims, Graph
from ..onnx_model import KEEP, array, shifted
from .network import Affine, Layer


class Form(Protocol):
    """Operations on states, whose axes are the form's own. A batch item's bias is `[B, 1, C]`."""

    def __init__(self, graph: Graph, rows: int) -> None: ...

    def dims(self, channels: int) -> Dims:
        """The axes of a state."""

    def open(self, x: str) -> str:
        """`[B, N]` as a state of one channel."""

    def close(self, state: str, out: str) -> str:
        """A state of one channel as `[B, N]`."""

    def condition(self, phased: str, channels: int, out: str | None = None) -> str:
        """Upsampled bands `[B, M, stride, W]`, sample `stride * w + phase`, as a state."""

    def shift(self, state: str, bias: str) -> str:
        """The state with the bias at every sample."""

    def matrix(self, state: str, name: str, weight: Tensor, bias: Tensor | None = None, scale: float = 1.0, onto: str = "") -> str:
        """`onto + scale * weight @ state + bias`, the first and the last where given."""

    def gated(self, state: str, cond: str, name: str, layer: Layer, scale: float) -> str:
        """sigmoid(gate) tanh(content) of the dilated convolution, times `scale`, and the condition."""


def in_order(graph: Graph, phased: str, channels: int, out: str | None = None) -> str:
    """`[B, M, stride, W]` -> `[B, M, W * stride]`."""
    return graph.op("Reshape", graph.op("Transpose", phased, perm=[0, 1, 3, 2]), graph.ints(KEEP, channels, -1), out=out)


class _Convolutions:
    """States with their channels first: the additions and gates between convolutions."""

    def __init__(self, graph: Graph, rows: int) -> None:
        self.graph = graph
        self.rows = rows

    def matrix(self, state: str, name: str, weight: Tensor, bias: Tensor | None = None, scale: float = 1.0, onto: str = "") -> str:
        kernel = weight.reshape(*weight.shape, *[1] * (len(self.dims(1)) - 2))
        product = self.conv(state, name, kernel, bias, scale)
        return self.graph.op("Add", product, onto) if onto else product

    def conv(self, state: str, name: str, kernel: Tensor, bias: Tensor | None, scale: float = 1.0, **attributes: object) -> str:
        """A convolution with the kernel `[out, in, ...]`."""
        inputs = [self.graph.weight(f"{name}.weight", array(kernel), scale)]
        if bias is not None:
            inputs.append(self.graph.weight(f"{name}.bias", array(bias)))
        return self.graph.op("Conv", state, *inputs, kernel_shape=list(kernel.shape[2:]), **attributes)

    def preactivation(self, state: str, cond: str, name: str, taps: Affine, matrix: Affine, dilation: int, scale: float) -> str:
        """Dilated convolution, times `scale`, and condition, with the biases of both."""
        dilated = self.dilated(state, f"{name}.taps", Affine(taps.weight, taps.bias + matrix.bias), dilation, scale)
        return self.graph.op("Add", dilated, self.matrix(cond, f"{name}.cond", matrix.weight))


class Conv1d(_Convolutions):
    """States `[B, C, N]`; one convolution a layer, its output split into gate and content."""

    def dims(self, channels: int) -> Dims:
        return ["B", channels, "N"]

    def open(self, x: str) -> str:
        return self.graph.op("Unsqueeze", x, self.graph.ints(1))

    def close(self, state: str, out: str) -> str:
        return self.graph.op("Squeeze", state, self.graph.ints(1), out=out)

    def condition(self, phased: str, channels: int, out: str | None = None) -> str:
        return in_order(self.graph, phased, channels, out)

    def shift(self, state: str, bias: str) -> str:
        return self.graph.op("Add", state, self.graph.op("Transpose", bias, perm=[0, 2, 1]))

    def dilated(self, state: str, name: str, taps: Affine, dilation: int, scale: float) -> str:
        return self.conv(state, name, *taps, scale, dilations=[dilation], pads=[dilation, dilation])

    def gated(self, state: str, cond: str, name: str, layer: Layer, scale: float) -> str:
        both = self.preactivation(state, cond, name, layer.taps, layer.cond, layer.dilation, scale)
        gate, content = self.graph.split(both, 2, axis=1)
        return self.graph.op("Mul", self.graph.op("Sigmoid", gate), self.graph.op("Tanh", content))


class Conv2d(_Convolutions):
    """States `[B, C, rows, S]`, sample `rows * s + row`; gate and content apart.

    ONNX Runtime runs two-dimensional convolutions in a blocked layout, shares their rows among threads, and takes the addition and
    the activation after one into it where it knows both shapes to be the same. A dilation that is a multiple of the rows stays in
    its row; a smaller one goes up and down, over the rows before and after.
    """

    def dims(self, channels: int) -> Dims:
        return ["B", channels, self.rows, "S"]

    def open(self, x: str) -> str:
        columns = self.graph.op("Reshape", x, self.graph.ints(KEEP, -1, self.rows))
        return self.graph.op("Unsqueeze", self.graph.op("Transpose", columns, perm=[0, 2, 1]), self.graph.ints(1))

    def close(self, state: str, out: str) -> str:
        columns = self.graph.op("Transpose", self.graph.op("Squeeze", state, self.graph.ints(1)), perm=[0, 2, 1])
        return self.graph.op("Reshape", columns, self.graph.ints(KEEP, -1), out=out)

    def condition(self, phased: str, channels: int, out: str | None = None) -> str:
        columns = self.graph.op("Reshape", in_order(self.graph, phased, channels), self.graph.ints(KEEP, channels, -1, self.rows))
        return self.graph.op("Transpose", columns, perm=[0, 1, 3, 2], out=out)

    def shift(self, state: str, bias: str) -> str:
        column = self.graph.op("Unsqueeze", self.graph.op("Transpose", bias, perm=[0, 2, 1]), self.graph.ints(3))
        return self.graph.op("Add", state, column)

    def dilated(self, state: str, name: str, taps: Affine, dilation: int, scale: float) -> str:
        along, rest = divmod(dilation, self.rows)
        if rest == 0:
            return self.conv(state, name, taps.weight[:, :, None], taps.bias, scale, dilations=[1, along], pads=[0, along, 0, along])
        return self.conv(state, name, taps.weight[..., None], taps.bias, scale, dilations=[dilation, 1])

    def gated(self, state: str, cond: str, name: str, layer: Layer, scale: float) -> str:
        state = self._with_neighbours(state, layer.dilation)
        parts = []
        for part, kind, taps, matrix in zip(("gate", "content"), ("Sigmoid", "Tanh"), layer.taps.halves(), layer.cond.halves(), strict=True):
            value = self.preactivation(state, cond, f"{name}.{part}", taps, matrix, layer.dilation, scale)
            parts.append(self.graph.op(kind, value))
        return self.graph.op("Mul", *parts)

    def _with_neighbours(self, state: str, dilation: int) -> str:
        """As many rows before the first and after the last as a dilation reaches; these are rows of the columns beside."""
        if dilation % self.rows == 0:
            return state
        rest = self.rows - dilation
        before = self.graph.op("Pad", state, self.graph.ints(0, 0, -rest, 1, 0, 0, 0, -1))
        after = self.graph.op("Pad", state, self.graph.ints(0, 0, 0, -1, 0, 0, -rest, 1))
        return self.graph.op("Concat", before, state, after, axis=2)


class MatMul:
    """States `[B, N, C]`: a dilated convolution is one matrix product over three shifted states and the condition."""

    def __init__(self, graph: Graph, rows: int) -> None:
        self.graph = graph

    def dims(self, channels: int) -> Dims:
        return ["B", "N", channels]

    def open(self, x: str) -> str:
        return self.graph.op("Unsqueeze", x, self.graph.ints(2))

    def close(self, state: str, out: str) -> str:
        return self.graph.op("Squeeze", state, self.graph.ints(2), out=out)

    def condition(self, phased: str, channels: int, out: str | None = None) -> str:
        return self.graph.op("Transpose", in_order(self.graph, phased, channels), perm=[0, 2, 1], out=out)

    def shift(self, state: str, bias: str) -> str:
        return self.graph.op("Add", state, bias)

    def matrix(self, state: str, name: str, weight: Tensor, bias: Tensor | None = None, scale: float = 1.0, onto: str = "") -> str:
        product = self.graph.op("MatMul", state, self.graph.weight(f"{name}.weight", array(weight).T, scale))
        if bias is not None:
            product = self.graph.op("Add", product, self.graph.weight(f"{name}.bias", array(bias)))
        return self.graph.op("Add", product, onto) if onto else product

    def gated(self, state: str, cond: str, name: str, layer: Layer, scale: float) -> str:
        inputs = self.graph.op("Concat", shifted(self.graph, state, layer.dilation), cond, axis=-1)
        parts = []
        for part, kind, taps, matrix in zip(("gate", "content"), ("Sigmoid", "Tanh"), layer.taps.halves(), layer.cond.halves(), strict=True):
            rows = taps.weight.permute(2, 1, 0).flatten(0, 1)
            weights = [self.graph.weight(f"{name}.{part}.taps", array(rows), scale), self.graph.weight(f"{name}.{part}.cond", array(matrix.weight).T)]
            product = self.graph.op("MatMul", inputs, self.graph.op("Concat", *weights, axis=0))
            bias = self.graph.weight(f"{name}.{part}.bias", array(taps.bias + matrix.bias))
            parts.append(self.graph.op(kind, self.graph.op("Add", product, bias)))
        return self.graph.op("Mul", *parts)


FORMS: dict[str, type[Form]] = {"conv1d": Conv1d, "conv2d": Conv2d, "matmul": MatMul}
