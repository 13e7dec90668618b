"""Writes what the measured processes read: weights, graphs, a bundle. It runs in a process of its own, as it imports everything."""

from __future__ import annotations

import json
import math
import sys
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn

from vocode_training.diffwave import graph, speed, whole

from . import ROOT
from .networks import Vocos, network, parameters

# The published base of DiffWave.
CHANNELS, LAYERS = 64, 30


def prepare(folder: Path, models: set[str]) -> dict[str, int]:
    """Fills the folder for these models; returns the parameters of each."""
    counts = {}
    for model in sorted(models - {"griffin-lim", "", "diffwave"}):
        module = network(model)
        counts[model] = parameters(module)
        export(module.spectrum if isinstance(module, Vocos) else module, folder / f"{model}.onnx")
    if "" in models:
        counts[""] = sum(built_in(name) for name in ("conditioner", "denoiser"))
    if "diffwave" in models:
        counts["diffwave"] = diffwave(folder, CHANNELS, LAYERS)
    return counts


def built_in(name: str) -> int:
    """Numbers in one graph of vocode's default model."""
    graph = onnx.load(str(ROOT / "models/default" / f"{name}.onnx")).graph
    return sum(math.prod(weight.dims) for weight in graph.initializer if weight.dims)


def export(module: nn.Module, path: Path) -> None:
    """The graph of a network over any number of frames."""
    outputs = ["real", "imaginary"] if "vocos" in path.name else ["audio"]
    mel = torch.zeros(1, module.first.in_channels, 16)
    axes = {"mel": {2: "frames"}, **{name: {1 if name == "audio" else 2: "time"} for name in outputs}}
    with warnings.catch_warnings():
        # The exporter without further packages is the older one, and says so.
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (mel,), str(path), dynamo=False, opset_version=17, input_names=["mel"], output_names=outputs, dynamic_axes=axes)


def diffwave(folder: Path, channels: int, layers: int) -> int:
    """The network for PyTorch, and its bundle, whose graphs ONNX Runtime and vocode run."""
    net = speed.random_network(channels, layers)
    torch.save(net, folder / "diffwave.pt")
    whole.export(net, folder, graph.DEFAULT_FORM).rename(folder / "diffwave")
    affines = [net.input, net.step1, net.step2, net.skip, net.output, *net.upsamplers[0]]
    affines += [part for layer in net.layers for part in (layer.step, layer.taps, layer.cond, layer.residual, layer.skip)]
    return sum(affine.weight.numel() + affine.bias.numel() for affine in affines)


def main(words: list[str]) -> None:
    folder, *models = words
    print(json.dumps(prepare(Path(folder), set(models))))


if __name__ == "__main__":
    main(sys.argv[1:])
