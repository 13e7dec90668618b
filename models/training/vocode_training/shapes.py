"""Names for the shapes inside a graph.

When ONNX Runtime loads a graph it looks for each value's buffer among those that are free by then, and compares shapes by their names. What a
`Reshape` to -1 gives has none and is like nothing else, so that all are compared with all and none is used again: half of the time that the
built-in model's denoiser took to load. Optimisers that ask whether two shapes are the same compare names too.
"""

from __future__ import annotations

import onnx
from onnx import helper, shape_inference

# Batch and frames of four shape inferences. Prime, so that nothing that is rounded in between looks as if it grew with the frames.
PROBES = ((7, 4099), (11, 4099), (7, 12289), (7, 8209))


def name_shapes(model: onnx.ModelProto, per_frame: dict[str, int]) -> None:
    """State the shape of every value, in place. `per_frame` tells how much of each dynamic dimension of the inputs a frame is; `B` is the batch."""
    fixed = [{"B": batch, **{name: count * frames for name, count in per_frame.items()}} for batch, frames in PROBES]
    inferred = [_infer(model, sizes) for sizes in fixed]
    names = {tuple(sizes[name] for sizes in fixed): name for name in fixed[0]}
    outputs = {port.name for port in model.graph.output}
    del model.graph.value_info[:]
    for value in (name for node in model.graph.node for name in node.output if name not in outputs):
        kind, _ = inferred[0][value]
        dims = [_name(sizes, names) for sizes in zip(*(shapes[value][1] for shapes in inferred), strict=True)]
        model.graph.value_info.append(helper.make_tensor_value_info(value, kind, dims))


def _infer(model: onnx.ModelProto, sizes: dict[str, int]) -> dict[str, tuple[int, list[int]]]:
    """Element type and shape of every value inside the graph when its dynamic dimensions have these sizes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    _stand_in(copy)
    for port in [*copy.graph.input, *copy.graph.output]:
        for dim in port.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = sizes[dim.dim_param]
    graph = shape_inference.infer_shapes(copy, check_type=True, strict_mode=True, data_prop=True).graph
    found = {}
    for value in graph.value_info:
        dims = value.type.tensor_type.shape.dim
        if not all(dim.HasField("dim_value") for dim in dims):
            raise ValueError(f"{model.graph.name}: the shape of {value.name} cannot be inferred")
        found[value.name] = value.type.tensor_type.elem_type, [dim.dim_value for dim in dims]
    return found


def _stand_in(model: onnx.ModelProto) -> None:
    """Replace the operators that the inference does not know, or whose functions it does not see through, by what has the same shapes, in place."""
    nodes = [stand_in for node in model.graph.node for stand_in in _stand_ins(node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _stand_ins(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    name, kind = node.output[-1], node.op_type
    if kind == "MatMulIntegerToFloat":
        product = helper.make_node("MatMulInteger", [*node.input[:2], node.input[4]], [f"{name}_integers"])
        return [product, helper.make_node("Cast", [f"{name}_integers"], [name], to=onnx.TensorProto.FLOAT)]
    if kind in ("Taps", "ResidualTaps"):
        total = [helper.make_node("Add", node.input, [node.output[0]])] if kind == "ResidualTaps" else []
        integers = helper.make_node("Cast", node.input[:1], [f"{name}_integers"], to=onnx.TensorProto.UINT8)
        return [*total, integers, helper.make_node("Concat", [f"{name}_integers"] * 3, [name], axis=-1)]
    if kind == "Gate":
        halves = [f"{name}_half_{i}" for i in range(2)]
        split = helper.make_node("Split", node.input[:1], halves, axis=-1)
        return [split, helper.make_node("Cast", halves[:1], [name], to=onnx.TensorProto.UINT8)]
    return [node]


def _name(sizes: tuple[int, ...], names: dict[tuple[int, ...], str]) -> int | str:
    """A dimension that has these sizes in the probes: a number, one of the inputs', so much a frame, or a name of its own."""
    if len(set(sizes)) == 1:
        return sizes[0]
    if sizes in names:
        return names[sizes]
    frames = [frames for _, frames in PROBES]
    slope = (sizes[2] - sizes[0]) // (frames[2] - frames[0])
    offset = sizes[0] - slope * frames[0]
    if all(size == slope * count + offset for size, count in zip(sizes, frames, strict=True)):
        return f"{slope}F{offset:+d}" if offset else f"{slope}F"
    return "_".join(["D", *map(str, sizes)])
