"""The two graphs of a bundle, from a published DiffWave.

The residual path is kept without its factors 1/sqrt(2): layer i works on sqrt(2)^i times the published state, its weights are
scaled to match, and what no sample changes (the residual biases) joins the step bias. So a layer adds to its state and nothing
else, and ONNX Runtime fuses those additions and the gates into the convolutions. The upsampler's transposed convolutions are
plain ones with an output for each phase.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from ..graph import Dims, Graph
from ..onnx_model import KEEP, array
from .forms import FORMS, Form, in_order
from .network import LEAK, Affine, DiffWave, StepTable, StepWaves

# The fastest on two cores of a Zen 5: `speed` and `whole` compare them.
DEFAULT_FORM = "conv1d"


def graphs(network: DiffWave, form: str = DEFAULT_FORM, half: bool = False) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Conditioner and denoiser; `half` stores matrices as float16."""
    network = network.rounded() if half else network
    return conditioner_graph(network, form, half), denoiser_graph(network, form, half)


def conditioner_graph(network: DiffWave, form: str = DEFAULT_FORM, half: bool = False) -> onnx.ModelProto:
    """`mel [B, n_mels, F]` -> `cond`: a state of the form where the upsampler is shared, else as `DiffWave.conditioner`."""
    graph = Graph("conditioner", half)
    phased = upsample(graph, "mel", "upsampler.0", [u.first for u in network.upsamplers], network.n_mels)
    bands = len(network.upsamplers) * network.n_mels
    if network.shared:
        phased = upsample(graph, in_order(graph, phased, bands), "upsampler.1", [network.upsamplers[0].second], bands)
        _form(graph, network, form).condition(phased, bands, out="cond")
    else:
        in_order(graph, phased, bands, out="cond")
    return graph.model({"mel": ["B", network.n_mels, "F"]}, {"cond": _cond_dims(network, form)}, _per_frame(network))


def denoiser_graph(network: DiffWave, form: str = DEFAULT_FORM, half: bool = False) -> onnx.ModelProto:
    """`x [B, N]`, `t [B]`, `cond` -> `prediction [B, N]`."""
    graph = Graph("denoiser", half)
    work = _form(graph, network, form)
    count = len(network.layers)
    biases = graph.split(_step_biases(graph, network), count, axis=1)
    conds = _layer_conditions(graph, network, work)
    state = graph.op("Relu", work.matrix(work.open("x"), "input", *network.input))
    total = ""
    for i, layer in enumerate(network.layers):
        name, scale = f"layers.{i}", math.sqrt(2.0) ** i
        product = work.gated(work.shift(state, biases[i]), conds[i], name, layer, 1.0 / scale)
        total = work.matrix(product, f"{name}.skip", layer.skip.weight, onto=total)
        if i + 1 < count:
            state = work.matrix(product, f"{name}.residual", layer.residual.weight, scale=scale, onto=state)
    # The layers' skip biases pass through one more matrix: they are part of its bias.
    scale = math.sqrt(1.0 / count)
    bias = network.skip.bias + scale * network.skip.weight @ sum(layer.skip.bias for layer in network.layers)
    y = graph.op("Relu", work.matrix(total, "skip", network.skip.weight, bias, scale))
    work.close(work.matrix(y, "output", *network.output), "prediction")
    inputs = {"x": ["B", "N"], "t": ["B"], "cond": _cond_dims(network, form)}
    return graph.model(inputs, {"prediction": ["B", "N"]}, _per_frame(network))


def _form(graph: Graph, network: DiffWave, form: str) -> Form:
    """Its rows, where it has any, are the phases of the upsampler's second stage."""
    return FORMS[form](graph, network.upsamplers[0].second.weight.shape[1] // 2)


def _cond_dims(network: DiffWave, form: str) -> Dims:
    if network.shared:
        return _form(Graph("dims"), network, form).dims(network.n_mels)
    return ["B", len(network.layers) * network.n_mels, "S"]


def _per_frame(network: DiffWave) -> dict[str, int]:
    """How much of each dynamic dimension a frame is."""
    return {"F": 1, "S": network.upsamplers[0].strides()[0], "N": network.hop}


def _layer_conditions(graph: Graph, network: DiffWave, work: Form) -> list[str]:
    """What each layer's condition matrix is applied to."""
    if network.shared:
        return ["cond"] * len(network.layers)
    bands = network.n_mels
    parts = zip(graph.split("cond", len(network.layers), axis=1), network.upsamplers, strict=True)
    return [work.condition(upsample(graph, part, f"upsampler.1.{i}", [u.second], bands), bands) for i, (part, u) in enumerate(parts)]


def phases(weight: np.ndarray) -> np.ndarray:
    """A transposed convolution `[3, 2 * stride]` over (band, time) as a convolution `[stride, 1, 3, 3]`, an output for each phase.

    Output `o = stride * block + phase` takes input `i` with weight `o - stride * i + stride / 2` where there is one.
    """
    stride = weight.shape[1] // 2
    kernel = np.zeros((stride, 1, 3, 3), np.float32)
    for phase in range(stride):
        for neighbour in (-1, 0, 1):
            at = phase + stride // 2 - stride * neighbour
            if 0 <= at < 2 * stride:
                kernel[phase, 0, :, neighbour + 1] = weight[::-1, at]
    return kernel


def upsample(graph: Graph, value: str, name: str, convolutions: list[Affine], bands: int) -> str:
    """Each transposed convolution and its leaky ReLU over the same `[B, bands, W]` -> `[B, len * bands, stride, W]`."""
    count, stride = len(convolutions), convolutions[0].weight.shape[1] // 2
    weight = graph.weight(f"{name}.weight", np.concatenate([phases(array(c.weight)) for c in convolutions]))
    bias = graph.weight(f"{name}.bias", np.concatenate([np.repeat(array(c.bias), stride) for c in convolutions]))
    image = graph.op("Conv", graph.op("Unsqueeze", value, graph.ints(1)), weight, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    image = graph.op("LeakyRelu", image, alpha=LEAK)
    if count == 1:
        return graph.op("Transpose", image, perm=[0, 2, 1, 3])
    image = graph.op("Reshape", image, graph.ints(KEEP, count, stride, bands, -1))
    return graph.op("Reshape", graph.op("Transpose", image, perm=[0, 1, 3, 2, 4]), graph.ints(KEEP, count * bands, stride, -1))


def _waves(graph: Graph, steps: StepTable | StepWaves) -> str:
    """The embedding `[B, 128]` of `t [B]`, before its two layers."""
    if isinstance(steps, StepWaves):
        angle = graph.op("Mul", graph.op("Unsqueeze", "t", graph.ints(1)), graph.weight("step.frequency", array(steps.frequency)))
        return graph.op("Concat", graph.op("Sin", angle), graph.op("Cos", angle), axis=1)
    table = graph.weight("step.table", array(steps.rows), exact=True)
    t = graph.op("Clip", "t", graph.scalar(0.0), graph.scalar(float(len(steps.rows) - 1)))
    floor = graph.op("Floor", t)
    rows = [graph.op("Gather", table, graph.op("Cast", index, to=onnx.TensorProto.INT64)) for index in (floor, graph.op("Ceil", t))]
    part = graph.op("Unsqueeze", graph.op("Sub", t, floor), graph.ints(1))
    return graph.op("Add", rows[0], graph.op("Mul", graph.op("Sub", rows[1], rows[0]), part))


def _step_biases(graph: Graph, network: DiffWave) -> str:
    """What each layer adds to its state before the dilated convolution, `[B, layers, C]`: step biases and earlier residual biases."""
    count, channels = len(network.layers), network.channels
    x = _waves(graph, network.steps)
    for name, affine in (("step1", network.step1), ("step2", network.step2)):
        x = graph.linear(x, name, *map(array, affine))
        x = graph.op("Mul", x, graph.op("Sigmoid", x))
    weight, bias = (np.concatenate([array(part) for part in parts]) for parts in zip(*(layer.step for layer in network.layers), strict=True))
    x = graph.op("Reshape", graph.linear(x, "step", weight, bias), graph.ints(KEEP, count, channels))
    scale = math.sqrt(2.0) ** np.arange(count)
    mix = np.tril(np.tile(scale, (count, 1))) if network.step_stays else np.diag(scale)
    residual = scale[:, None] * np.stack([array(layer.residual.bias) for layer in network.layers]).astype(np.float64)
    before = np.cumsum(residual, 0) - residual
    mixed = graph.op("MatMul", graph.weight("step.mix", mix, exact=True), x)
    return graph.op("Add", mixed, graph.weight("step.offset", before, exact=True))
