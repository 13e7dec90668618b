"""Names for the shapes inside a graph.

When ONNX Runtime loads a graph it looks for each value's buffer among those that are free by then, and compares shapes by their names. What a
`Reshape` to -1 gives has none and is like nothing else, so that all are compared with all and none is used again: half of the time that the
built-in model's denoiser took to load. Optimisers that ask whether two shapes are the same compare names too.
"""

from __future__ import annotations

import onnx
from onnx import helper, shape_inference

# Batch and frames of three shape inferences, of which the second differs in the one and the third in the other.
PROBES = ((7, 4096), (11, 4096), (7, 3 * 4096))


def name_shapes(model: onnx.ModelProto, per_frame: dict[str, int]) -> None:
    """State the shape of every value, in place. `per_frame` tells how much of each dynamic dimension of the inputs a frame is; `B` is the batch."""
    fixed = [{"B": batch, **{name: count * frames for name, count in per_frame.items()}} for batch, frames in PROBES]
    inferred = [_infer(model, sizes) for sizes in fixed]
    names = {tuple(sizes[name] for sizes in fixed): name for name in fixed[0]}
    del model.graph.value_info[:]
    for value, (kind, _) in inferred[0].items():
        dims = [_name(sizes, names) for sizes in zip(*(shapes[value][1] for shapes in inferred), strict=True)]
        model.graph.value_info.append(helper.make_tensor_value_info(value, kind, dims))


def _infer(model: onnx.ModelProto, sizes: dict[str, int]) -> dict[str, tuple[int, list[int]]]:
    """Element type and shape of every value inside the graph when its dynamic dimensions have these sizes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for port in [*copy.graph.input, *copy.graph.output]:
        for dim in port.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = sizes[dim.dim_param]
    graph = shape_inference.infer_shapes(copy, check_type=True, strict_mode=True, data_prop=True).graph
    types = {value.name: value.type.tensor_type for value in graph.value_info}
    return {name: (kind.elem_type, [dim.dim_value for dim in kind.shape.dim]) for name, kind in types.items()}


def _name(sizes: tuple[int, ...], names: dict[tuple[int, ...], str]) -> int | str:
    """A dimension that has these sizes in the probes: a number, one of the inputs' or a name of its own."""
    first, with_more_batch, with_more_frames = sizes
    if first == with_more_batch == with_more_frames:
        return first
    if sizes in names:
        return names[sizes]
    if first != with_more_batch:
        return f"B_{first}"
    slope, rest = divmod(with_more_frames - first, PROBES[2][1] - PROBES[0][1])
    if rest:
        return f"F_{first}"
    offset = first - slope * PROBES[0][1]
    return f"{slope}F{offset:+d}" if offset else f"{slope}F"
