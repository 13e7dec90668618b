"""Checkpoints of lmnt-com/diffwave and philsyn/DiffWave-Vocoder: read as weights only, and told apart by their keys."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import layouts
from .layouts import CheckpointError
from .network import DiffWave


@dataclass(frozen=True)
class Settings:
    """What the tensors do not tell: dilations repeat 1, 2, ... 2^(cycle - 1); one beta a training step."""

    cycle: int
    betas: list[float]


@dataclass(frozen=True)
class Checkpoint:
    """A file's contents; `params` are what lmnt stores beside the weights, empty for philsyn."""

    layout: str
    state: Mapping[str, Tensor]
    params: Mapping[str, Any]
    step: int | None

    def settings(self, cycle: int | None, betas: list[float] | None) -> Settings:
        """Of the flags, or else of the checkpoint."""
        cycle = cycle if cycle is not None else self.params.get("dilation_cycle_length")
        betas = betas if betas is not None else self.params.get("noise_schedule")
        if cycle is None:
            raise CheckpointError("the checkpoint does not say after how many layers the dilations repeat: give --dilation-cycle (10 in published models)")
        if betas is None:
            known = "1e-4:0.05:50 in published models of 64 channels, 1e-4:0.02:200 of 128"
            raise CheckpointError(f"the checkpoint does not hold the noise schedule: give --betas START:END:STEPS ({known})")
        if not isinstance(cycle, int) or not 1 <= cycle <= 20:
            raise CheckpointError(f"the dilation cycle must be 1 to 20 layers, and is {cycle!r}: --dilation-cycle sets another")
        if not isinstance(betas, list) or len(betas) < 2 or not all(isinstance(b, float) and 0.0 < b < 1.0 for b in betas):
            raise CheckpointError("the noise schedule must be two or more numbers between 0 and 1: --betas sets another")
        return Settings(cycle, betas)

    def network(self, settings: Settings) -> DiffWave:
        read = {"lmnt": layouts.lmnt, "philsyn": layouts.philsyn}[self.layout]
        return read(self.state, settings.cycle, len(settings.betas))


def load(path: Path) -> Checkpoint:
    """Read weights only: nothing that a pickle asks to run is run."""
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError("no such file") from error
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it asks for {name[1]}" if name else "it is not a file of tensors and plain values"
        advice = "Nothing in it was run; save the weights alone where the file is trusted"
        raise CheckpointError(f"refused: {what}, and only weights are loaded. {advice}") from error
    except Exception as error:  # torch raises whatever its readers meet in a damaged file
        reason = str(error).splitlines()[:1]
        raise CheckpointError(": ".join(["cannot be read as a PyTorch checkpoint", type(error).__name__, *reason])) from error
    return identify(payload)


def identify(payload: object) -> Checkpoint:
    """Tell the layout from the keys."""
    if not isinstance(payload, dict):
        raise CheckpointError(f"expected a dictionary with model (lmnt) or model_state_dict (philsyn), found a {type(payload).__name__}")
    if isinstance(payload.get("model"), dict) and "residual_layers.0.dilated_conv.weight" in payload["model"]:
        layout, state, params, step = "lmnt", payload["model"], payload.get("params"), payload.get("step")
    elif isinstance(payload.get("model_state_dict"), dict) and "residual_layer.residual_blocks.0.fc_t.weight" in payload["model_state_dict"]:
        layout, state, params, step = "philsyn", payload["model_state_dict"], None, payload.get("iter")
    else:
        wanted = "model with residual_layers.0.dilated_conv.weight (lmnt) or model_state_dict with residual_layer.residual_blocks.0.fc_t.weight (philsyn)"
        raise CheckpointError(f"neither published layout: expected {wanted}, found {_some(payload)}")
    params = params if isinstance(params, dict) else {}
    conditioned = {"lmnt": "residual_layers.0.conditioner_projection.weight", "philsyn": "residual_layer.residual_blocks.0.mel_conv.conv.weight_v"}[layout]
    if params.get("unconditional") or conditioned not in state:
        raise CheckpointError(f"an unconditional model: it has no {conditioned} and follows no mel, so there is nothing to vocode with")
    return Checkpoint(layout, state, params, step if isinstance(step, int) else None)


def _some(payload: dict) -> str:
    keys = [str(key)[:60] for key in list(payload)[:8]]
    return ", ".join(keys) + (f" and {len(payload) - 8} more" if len(payload) > 8 else "") if keys else "nothing"
