"""Weights back out of a bundle, so that training can go on from what was shipped."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from . import checkpoint
from .network import Config, Model
from .onnx_model import CONFIG_KEY


def _weights(graph: onnx.ModelProto) -> dict[str, Tensor]:
    found = {w.name.removesuffix(".half"): numpy_helper.to_array(w) for w in graph.graph.initializer}
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in found.items() if value.dtype.kind == "f"}


def _copy(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Fill `module` from weights of its own names; products are stored transposed in the graph."""
    layers = dict(module.named_modules())
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            value = weights.get(name)
            if value is None:
                # Folded into another weight: the layers' skip biases into the bias of the product after them, the input's into `offset_bias`.
                parameter.zero_()
                continue
            owner = layers[name.rpartition(".")[0]]
            if isinstance(owner, nn.Conv1d) and value.ndim == 2 and parameter.ndim == 3:
                # As a product over shifted slices, `[taps * in, out]`.
                value = value.T.unflatten(1, (owner.kernel_size[0], -1)).transpose(1, 2)
            parameter.copy_(value.T if isinstance(owner, nn.Linear) and value.ndim == 2 else value)


def load_bundle(folder: Path) -> tuple[Model, Tensor]:
    """The model of a bundle that `export` wrote, and its equaliser; equal to the exported one in what it computes."""
    denoiser = onnx.load(folder / "denoiser.onnx")
    properties = {p.key: p.value for p in denoiser.metadata_props}
    if CONFIG_KEY not in properties:
        raise SystemExit(f"{folder / 'denoiser.onnx'} does not say its sizes ({CONFIG_KEY}): it was not written by this package's export")
    model = Model(Config(**json.loads(properties[CONFIG_KEY])))
    weights = _weights(denoiser)
    weights["skip.weight"] = weights["skip.weight"] * model.config.layers**0.5
    _copy(model.denoiser, weights)
    _copy(model.conditioner, _weights(onnx.load(folder / "conditioner.onnx")))
    manifest = tomllib.loads((folder / "bundle.toml").read_text())
    return model, torch.tensor(manifest["envelope"]["log_equaliser"])


def load_start(path: Path) -> tuple[Model, Tensor]:
    """What `--init` names: a bundle's folder or a checkpoint."""
    return load_bundle(path) if path.is_dir() else checkpoint.load_model(path)


def widened(model: Model, config: Config, seed: int = 0) -> Model:
    """A model with more channels that computes the same.

    The old weights fill the first channels. New channels start as in a fresh model, so that gradients reach them, and what old outputs
    take from them is zero.
    """
    old = model.config
    if replace(config, channels=old.channels) != old or config.channels < old.channels:
        raise SystemExit(f"--init has {old}; asked for {config}: only more channels can be made of it, with all other sizes the same")
    if config == old:
        return model
    torch.manual_seed(seed)
    wide = Model(config)
    with torch.no_grad():
        for target, source in zip(wide.parameters(), model.parameters(), strict=True):
            target.copy_(_widened(source, target, old.channels, config.channels))
    return wide


def _widened(source: Tensor, fresh: Tensor, old: int, new: int) -> Tensor:
    """One parameter: an axis that counts channels is taken apart into its blocks of them (layers, gate and content, taps)."""
    pairs = list(zip(source.shape, fresh.shape, strict=True))
    blocks = [a // old if a != b else 1 for a, b in pairs]
    folded = source.reshape([n for (a, _), count in zip(pairs, blocks, strict=True) for n in (count, a // count)])
    target = fresh.detach().reshape([n for (_, b), count in zip(pairs, blocks, strict=True) for n in (count, b // count)]).clone()
    if source.ndim == 2:
        target[:, : folded.shape[1]] = 0
    target[tuple(slice(0, n) for n in folded.shape)] = folded
    return target.reshape(fresh.shape)
