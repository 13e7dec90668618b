"""The two graphs of a bundle, from a trained model.

The form was chosen by time in ONNX Runtime on the CPU. The state stays channels-last and each dilated convolution is one matrix
product over three shifted slices; Conv1d over `[B, C, T]` takes as long, Conv2d of height 1 somewhat longer, and nearly all the
time is the product itself. The condition is channels-last too, so that a window's frames lie together, and is added over a
`[B, F, steps, 2C]` view, never repeated.
"""

from __future__ import annotations

import json
import math

import numpy as np
import onnx
from torch import Tensor, nn

from .graph import Graph
from .network import MEL_SPREAD, SIGMA_DATA, Conditioner, Denoiser, Model

# Under this key the denoiser carries the network's sizes, so that training can go on from a bundle.
CONFIG_KEY = "vocode_training.config"
KEEP = 0  # in a Reshape: this dimension stays as it is


def array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().float().numpy()


def linear(graph: Graph, value: str, name: str, layer: nn.Linear, out: str | None = None) -> str:
    return graph.linear(value, name, array(layer.weight), array(layer.bias), out)


def _norm(graph: Graph, value: str, name: str, layer: nn.LayerNorm) -> str:
    scale, bias = graph.weight(f"{name}.weight", array(layer.weight)), graph.weight(f"{name}.bias", array(layer.bias))
    return graph.op("LayerNormalization", value, scale, bias, axis=-1, epsilon=layer.eps)


def _conv(graph: Graph, value: str, name: str, layer: nn.Conv1d) -> str:
    weight, bias = graph.weight(f"{name}.weight", array(layer.weight)), graph.weight(f"{name}.bias", array(layer.bias))
    reach = layer.padding[0]
    return graph.op("Conv", value, weight, bias, group=layer.groups, kernel_shape=list(layer.kernel_size), pads=[reach, reach])


def _conv_product(graph: Graph, value: str, name: str, layer: nn.Conv1d) -> str:
    """A convolution of `[B, C, F]` as one product over shifted slices: `[B, F, out]`. ONNX Runtime's own sums up in another order in short
    windows than in long ones, and what is later rounded to integers would depend on the window."""
    taps, reach, end = layer.kernel_size[0], layer.padding[0], int(np.iinfo(np.int64).max)
    padded = graph.op("Pad", graph.op("Transpose", value, perm=[0, 2, 1]), graph.ints(0, reach, 0, 0, reach, 0))
    slices = [graph.op("Slice", padded, graph.ints(k), graph.ints(k - taps + 1 or end), graph.ints(1)) for k in range(taps)]
    matrix = array(layer.weight).transpose(0, 2, 1).reshape(layer.out_channels, -1)
    return graph.linear(graph.op("Concat", *slices, axis=-1), name, matrix, array(layer.bias))


def _gelu(graph: Graph, value: str) -> str:
    """x / 2 (1 + erf(x / sqrt 2)), the operator of later opsets spelled out."""
    erf = graph.op("Erf", graph.op("Div", value, graph.scalar(math.sqrt(2.0))))
    return graph.op("Mul", graph.op("Mul", value, graph.op("Add", erf, graph.scalar(1.0))), graph.scalar(0.5))


def conditioner_graph(conditioner: Conditioner, half: bool = False) -> onnx.ModelProto:
    """`mel [B, n_mels, F]` -> `cond [B, F, layers * 2C]`."""
    graph = Graph("conditioner", half)
    x = graph.op("Div", graph.op("Add", "mel", graph.scalar(-conditioner.config.mel_centre)), graph.scalar(MEL_SPREAD))
    x = graph.op("Transpose", _conv_product(graph, x, "input", conditioner.input), perm=[0, 2, 1])
    for i, block in enumerate(conditioner.blocks):
        y = graph.op("Transpose", _conv(graph, x, f"blocks.{i}.depthwise", block.depthwise), perm=[0, 2, 1])
        y = linear(graph, _norm(graph, y, f"blocks.{i}.norm", block.norm), f"blocks.{i}.expand", block.expand)
        y = linear(graph, _gelu(graph, y), f"blocks.{i}.contract", block.contract)
        x = graph.op("Add", x, graph.op("Transpose", y, perm=[0, 2, 1]))
    x = _norm(graph, graph.op("Transpose", x, perm=[0, 2, 1]), "norm", conditioner.norm)
    linear(graph, x, "output", conditioner.output, out="cond")
    return graph.model({"mel": ["B", conditioner.config.n_mels, "F"]}, {"cond": ["B", "F", conditioner.output.out_features]}, {"F": 1})


def scales(graph: Graph) -> tuple[str, str, str]:
    """c_in, c_skip and c_out `[B, 1]` of `t [B]`, as `Denoiser.scales`."""
    t = graph.op("Unsqueeze", "t", graph.ints(1))
    rest = graph.op("Sub", graph.scalar(1.0), t)
    scaled = graph.op("Mul", t, graph.scalar(SIGMA_DATA))
    v = graph.op("Add", graph.op("Mul", rest, rest), graph.op("Mul", scaled, scaled))
    deviation = graph.op("Sqrt", v)
    c_in = graph.op("Reciprocal", deviation)
    c_skip = graph.op("Div", graph.op("Mul", scaled, graph.scalar(SIGMA_DATA)), v)
    c_out = graph.op("Div", graph.op("Mul", rest, graph.scalar(SIGMA_DATA)), deviation)
    return c_in, c_skip, c_out


def step_bias(graph: Graph, denoiser: Denoiser) -> str:
    """The step embedding `[B, 1, layers * 2C]` of `t [B]`, as `Denoiser.embed`."""
    frequency = np.exp(np.arange(64) * (-math.log(10_000.0) / 63)).astype(np.float32)
    t = graph.op("Mul", graph.op("Unsqueeze", "t", graph.ints(1, 2)), graph.scalar(1000.0))
    angle = graph.op("Mul", t, graph.weight("step.frequency", frequency))
    x = graph.op("Concat", graph.op("Sin", angle), graph.op("Cos", angle), axis=-1)
    for name, layer in (("step1", denoiser.step1), ("step2", denoiser.step2)):
        x = linear(graph, x, name, layer)
        x = graph.op("Mul", x, graph.op("Sigmoid", x))
    return linear(graph, x, "step_out", denoiser.step_out)


def folded_input(graph: Graph, denoiser: Denoiser, c_in: str) -> str:
    """The scaled waveform `x [B, F * hop]` folded and brought to `[B, S, C]`, as the stack takes it."""
    config = denoiser.config
    fold, channels = config.fold, config.channels
    x = graph.op("Reshape", graph.op("Mul", "x", c_in), graph.ints(KEEP, -1, fold))
    x = graph.op("Reshape", graph.linear(x, "input", array(denoiser.input.weight), None), graph.ints(KEEP, -1, config.hop // fold, channels))
    offsets = graph.weight("offset_bias", array(denoiser.offset_bias) + array(denoiser.input.bias), exact=True)
    return graph.op("Reshape", graph.op("Relu", graph.op("Add", x, offsets)), graph.ints(KEEP, -1, channels))


def shifted(graph: Graph, x: str, dilation: int, outside: str | None = None) -> str:
    """`[B, S, C]` -> `[B, S, 3C]`: the state `dilation` steps earlier, now and later; outside lies the scalar `outside`, or zero."""
    padding = [x, graph.ints(0, dilation, 0, 0, dilation, 0), *([outside] if outside else [])]
    padded = graph.op("Pad", *padding)
    axis, span, end = graph.ints(1), 2 * dilation, np.iinfo(np.int64).max
    earlier = graph.op("Slice", padded, graph.ints(0), graph.ints(-span), axis)
    later = graph.op("Slice", padded, graph.ints(span), graph.ints(int(end)), axis)
    return graph.op("Concat", earlier, x, later, axis=-1)


def denoiser_graph(denoiser: Denoiser, half: bool = False) -> onnx.ModelProto:
    """`x [B, F * hop]`, `t [B]`, `cond [B, F, layers * 2C]` -> `prediction [B, F * hop]`."""
    config = denoiser.config
    channels, count = config.channels, config.layers
    graph = Graph("denoiser", half)
    c_in, c_skip, c_out = scales(graph)
    by_frame = graph.ints(KEEP, -1, config.hop // config.fold, 2 * channels)
    by_step = graph.ints(KEEP, -1, 2 * channels)

    bias = graph.op("Add", "cond", step_bias(graph, denoiser))
    biases = graph.split(graph.op("Unsqueeze", bias, graph.ints(2)), count, axis=-1)
    x = folded_input(graph, denoiser, c_in)
    total = ""
    for i, (layer, layer_bias) in enumerate(zip(denoiser.layers, biases, strict=True)):
        u = graph.linear(shifted(graph, x, layer.dilation), f"layers.{i}.taps", array(layer.taps.weight), None)
        u = graph.op("Add", graph.op("Reshape", u, by_frame), layer_bias)
        gate, content = graph.split(graph.op("Reshape", u, by_step), 2, axis=-1)
        product = graph.op("Mul", graph.op("Sigmoid", gate), graph.op("Tanh", content))
        skip = graph.linear(product, f"layers.{i}.skip", array(layer.skip.weight), None)
        total = graph.op("Add", total, skip) if total else skip
        if i + 1 < count:
            residual = linear(graph, product, f"layers.{i}.residual", layer.residual)
            x = graph.op("Mul", graph.op("Add", x, residual), graph.scalar(math.sqrt(0.5)))
    # The layers' skip biases pass through one more matrix: they are part of its bias.
    matrix = array(denoiser.skip.weight) * math.sqrt(1.0 / count)
    skip_bias = matrix @ sum(array(layer.skip.bias) for layer in denoiser.layers) + array(denoiser.skip.bias)
    y = graph.op("Relu", graph.linear(total, "skip", matrix, skip_bias))
    y = graph.op("Reshape", linear(graph, y, "output", denoiser.output), graph.ints(KEEP, -1))
    graph.op("Add", graph.op("Mul", "x", c_skip), graph.op("Mul", y, c_out), out="prediction")
    width = count * 2 * channels
    inputs = {"x": ["B", "N"], "t": ["B"], "cond": ["B", "F", width]}
    model = graph.model(inputs, {"prediction": ["B", "N"]}, {"F": 1, "N": config.hop})
    onnx.helper.set_model_props(model, {CONFIG_KEY: json.dumps(config.to_dict())})
    return model


def graphs(model: Model, half: bool = False) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Conditioner and denoiser."""
    return conditioner_graph(model.conditioner, half), denoiser_graph(model.denoiser, half)
