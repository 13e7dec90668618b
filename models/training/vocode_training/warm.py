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

from . import checkpoint, envelope
from .mel import Convention
from .network import MEL_SPREAD, Config, Model
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
    manifest = tomllib.loads((folder / "bundle.toml").read_text())
    model = Model(Config(**json.loads(properties[CONFIG_KEY])), Convention.of(manifest["mel"]))
    weights = _weights(denoiser)
    weights["skip.weight"] = weights["skip.weight"] * model.config.layers**0.5
    _copy(model.denoiser, weights)
    _copy(model.conditioner, _weights(onnx.load(folder / "conditioner.onnx")))
    return model, torch.tensor(manifest["envelope"]["log_equaliser"])


def load_start(path: Path) -> tuple[Model, Tensor]:
    """What `--init` names: a bundle's folder or a checkpoint."""
    return load_bundle(path) if path.is_dir() else checkpoint.load_model(path)


def widened(model: Model, config: Config, seed: int = 0) -> Model:
    """A model with more channels that computes the same.

    The old weights fill the first channels. New channels start as in a fresh model, so that gradients reach them, and what old outputs
    take from them is zero.
    """
    old, config = model.config, config.hearing(model.convention)
    if replace(config, channels=old.channels) != old or config.channels < old.channels:
        raise SystemExit(f"--init has {old}; asked for {config}: only more channels can be made of it, with all other sizes the same")
    if config == old:
        return model
    torch.manual_seed(seed)
    wide = Model(config, model.convention)
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


def retuned(model: Model, convention: Convention) -> Model:
    """A model for mels of another convention that begins with what `model` can do.

    A signal at another rate is taken for one at the old rate: what counts is the frequency as a share of the rate. The first convolution of
    the conditioner is given the matrix that makes the old mel of the new one, by interpolation between band centres in log magnitude; where
    frames lie half a hop apart, the mean of two. The rest is as it was. The equaliser has to be measured anew.
    """
    old = model.convention
    if convention.hop != old.hop:
        raise SystemExit(f"--init is for mels with a hop of {old.hop}, {convention.name!r} has {convention.hop}: the network cannot go on with another hop")
    new = Model(model.config, convention).to(next(model.parameters()).device)
    shared = {name: value for name, value in model.state_dict().items() if not name.startswith("conditioner.input")}
    new.load_state_dict(shared, strict=False)
    matrix = envelope.between(envelope.centres(convention) / convention.sample_rate, envelope.centres(old) / old.sample_rate)
    offset = old.log_sums() - matrix @ convention.log_sums()
    matrix, offset = (torch.from_numpy(x).float() for x in (matrix, offset))
    # In what the convolution hears: (mel - centre) / MEL_SPREAD.
    offset = (offset + matrix.sum(1) * new.config.mel_centre - model.config.mel_centre) / MEL_SPREAD
    source = model.conditioner.input
    with torch.no_grad():
        weight = torch.einsum("obk,bn->onk", source.weight, matrix)
        new.conditioner.input.weight.copy_(_between_frames(weight, convention.centre - old.centre, old.hop))
        new.conditioner.input.bias.copy_(source.bias + torch.einsum("obk,b->o", source.weight, offset))
    return new


def _between_frames(weight: Tensor, later: int, hop: int) -> Tensor:
    """Taps `[out, in, k]` for frames that lie `later` samples after those that they were for, or before where it is negative."""
    if later == 0:
        return weight
    share = abs(later) / hop
    # A frame between two is a mean of both; what would need a tap beyond the last is put on that one.
    side = 1 if later < 0 else -1
    moved = torch.roll(weight, side, 2)
    end = -1 if side > 0 else 0
    moved[..., 0 if side > 0 else -1] = 0
    moved[..., end] += weight[..., end]
    return (1 - share) * weight + share * moved
