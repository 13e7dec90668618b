"""The denoiser's graph in static 8-bit integers, for the CPU provider.

The same network as `onnx_model.denoiser_graph`, written so that the products of the stack run in integers (measured in ONNX Runtime 1.31 on
processors with VNNI: about twice as fast as float):

- `com.microsoft.MatMulIntegerToFloat` takes uint8 inputs with zero point 128, int8 weights with a scale a column, and gives float32.
- A layer's state is quantised once, before its three shifted copies. That, the residual addition before it, and the gate with its condition bias are
  operators of `fused`, which are functions for whatever has no kernels for them.
- The factor sqrt(1/2) of each layer is folded into the weights that read the state, residual biases into the condition biases of the layers
  after. Within the context of a window, which is thrown away, the latter is not exact: there the state is padded with zero.
- The gated product lies in -1 to 1: its scale is 1/127. The skips of all layers are one product over their concatenation.

Scales are constants of the graph, so that the audio depends on no window's content.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor

from . import fused, onnx_model
from .fused import LEVELS, ZERO
from .graph import Graph
from .network import Denoiser
from .onnx_model import KEEP, array

DOMAIN = "com.microsoft"
GATE_SCALE = 1.0 / LEVELS


@dataclass(frozen=True)
class Calibration:
    """What the graph needs besides the weights: for each layer the scale of its state, or None where the layer stays in float."""

    scales: tuple[float | None, ...]


@dataclass(frozen=True)
class Folded:
    """One layer as the graph computes it: `taps [3C, 2C]` and `residual [C, C]` act on the grown state."""

    taps: np.ndarray
    residual: np.ndarray
    bias: np.ndarray  # [2C], to be added to the condition's


def folded(denoiser: Denoiser) -> list[Folded]:
    """The stack without its sqrt(1/2) and its residual biases: state_k of the network is `growth^-k (state_k + shift_k)` of this."""
    channels, layers = denoiser.config.channels, []
    scale, shift = 1.0, np.zeros(channels)
    for layer in denoiser.layers:
        taps = array(layer.taps.weight).astype(np.float64) * scale
        bias = taps.reshape(2 * channels, 3, channels).sum(1) @ shift
        residual = array(layer.residual.weight).astype(np.float64) / scale
        layers.append(Folded(taps.T, residual.T, bias))
        shift = shift + array(layer.residual.bias).astype(np.float64) / scale
        scale *= math.sqrt(0.5)
    return layers


@torch.inference_mode()
def states(denoiser: Denoiser, y: Tensor, t: Tensor, cond: Tensor) -> list[np.ndarray]:
    """The folded states `[B, S, C]` that enter each layer, for calibration."""
    c_in, _, _ = denoiser.scales(t)
    bias = (cond.transpose(1, 2) + denoiser.embed(t)[:, None]).unflatten(-1, (len(denoiser.layers), -1))
    x = denoiser.input((c_in * y).unflatten(-1, (-1, denoiser.config.fold)))
    x = torch.relu(x.unflatten(1, (-1, len(denoiser.offset_bias))) + denoiser.offset_bias).flatten(1, 2)
    found, scale, shift = [], 1.0, torch.zeros(denoiser.config.channels)
    for i, layer in enumerate(denoiser.layers):
        found.append((x / scale - shift).numpy())
        shift = shift + layer.residual.bias / scale
        x, _ = layer(x, bias[:, :, i])
        scale *= math.sqrt(0.5)
    return found


def best_scale(values: np.ndarray) -> float:
    """The scale that loses least of `values` in the mean square, what it clips included."""
    peak = float(np.abs(values).max())
    tried = np.geomspace(0.15, 1.0, 24) * peak / LEVELS
    errors = [np.square(np.clip(np.rint(values / s), -ZERO, LEVELS) * s - values).mean() for s in tried]
    return float(tried[int(np.argmin(errors))])


class Products:
    """Products of the stack in integers, over one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.zero = graph.constant(np.array(ZERO, np.uint8))

    def product(self, value: str, scale: float, name: str, matrix: np.ndarray, bias: np.ndarray | None = None) -> str:
        """`value` is in integers of `scale`; `matrix [in, out]` becomes int8 with a scale a column."""
        columns = np.maximum(np.abs(matrix).max(0), 1e-12) / LEVELS
        weight = self.graph.raw(f"{name}.weight", np.rint(matrix / columns).astype(np.int8))
        factors = self.graph.raw(f"{name}.scale", columns.astype(np.float32))
        inputs = [value, weight, self.graph.scalar(scale), factors, self.zero]
        if bias is not None:
            inputs += ["", self.graph.raw(f"{name}.bias", bias.astype(np.float32))]
        return self.graph.op("MatMulIntegerToFloat", *inputs, domain=DOMAIN)


def denoiser_graph(denoiser: Denoiser, calibration: Calibration, half: bool = False) -> onnx.ModelProto:
    """Inputs and output of `onnx_model.denoiser_graph`."""
    config = denoiser.config
    channels, count = config.channels, config.layers
    graph = Graph("denoiser_int8", half)
    products = Products(graph)
    c_in, c_skip, c_out = onnx_model.scales(graph)
    layers = folded(denoiser)

    residual_biases = graph.raw("residual_biases", np.concatenate([layer.bias for layer in layers]).astype(np.float32))
    biases = graph.op("Add", "cond", graph.op("Add", onnx_model.step_bias(graph, denoiser), residual_biases))
    x = onnx_model.folded_input(graph, denoiser, c_in)
    gates, residual = [], ""
    for i, (layer, dilation, scale) in enumerate(zip(layers, config.dilations(), calibration.scales, strict=True)):
        if scale is None:
            x = graph.op("Add", x, residual) if residual else x
            u = graph.op("MatMul", onnx_model.shifted(graph, x, dilation), graph.raw(f"layers.{i}.taps", layer.taps.astype(np.float32)))
        else:
            settings = {"domain": fused.DOMAIN, "scale": scale, "dilation": dilation}
            if residual:
                x, taps = graph.ops("ResidualTaps", 2, x, residual, **settings)
            else:
                taps = graph.op("Taps", x, **settings)
            u = products.product(taps, scale, f"layers.{i}.taps", layer.taps)
        gates.append(graph.op("Gate", u, biases, domain=fused.DOMAIN, layer=i))
        if i + 1 < count:
            residual = products.product(gates[-1], GATE_SCALE, f"layers.{i}.residual", layer.residual)
    skips = np.concatenate([array(layer.skip.weight).T for layer in denoiser.layers])
    skip_bias = sum(array(layer.skip.bias) for layer in denoiser.layers)
    total = products.product(graph.op("Concat", *gates, axis=-1), GATE_SCALE, "skips", skips, skip_bias)
    matrix = array(denoiser.skip.weight) * math.sqrt(1.0 / count)
    y = graph.op("Relu", graph.linear(total, "skip", matrix, array(denoiser.skip.bias)))
    y = graph.op("Reshape", onnx_model.linear(graph, y, "output", denoiser.output), graph.ints(KEEP, -1))
    graph.op("Add", graph.op("Mul", "x", c_skip), graph.op("Mul", y, c_out), out="prediction")
    inputs = {"x": ["B", "N"], "t": ["B"], "cond": ["B", "F", count * 2 * channels]}
    functions = fused.functions(config.hop // config.fold, channels)
    model = graph.model(inputs, {"prediction": ["B", "N"]}, {"F": 1, "N": config.hop}, functions)
    onnx.helper.set_model_props(model, {"vocode_training.int8": json.dumps(calibration.scales)})
    return model
