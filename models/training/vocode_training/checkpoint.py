"""Everything a run needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from . import parallel
from .mel import Convention
from .network import Config, Model


@dataclass
class State:
    """A run: the weights, their moving average, the optimisers, the random state and what has been seen."""

    model: Model
    average: AveragedModel
    optimisers: list[torch.optim.Optimizer]
    generator: torch.Generator
    log_equaliser: Tensor
    step: int = 0
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    best_score: float = float("-inf")  # of the scores inside the run
    others: dict[str, nn.Module] = field(default_factory=dict)

    def add(self, name: str, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Train another module beside the model; both are saved and restored with the rest."""
        self.others[name] = module
        self.optimisers.append(optimiser)

    def save(self, path: Path) -> None:
        """Written to a temporary name and renamed: a stop in between loses nothing. All processes of a run call this, the first writes."""
        generators = parallel.gathered(self.generator.get_state())
        if parallel.rank() > 0:
            return
        payload = {
            "config": self.model.config.to_dict(),
            "convention": self.model.convention.table(),
            "model": self.model.state_dict(),
            "ema": self.average.module.state_dict(),
            "ema_updates": self.average.n_averaged,
            "others": {name: module.state_dict() for name, module in self.others.items()},
            "optimisers": [o.state_dict() for o in self.optimisers],
            "generators": generators,
            "torch_rng": torch.get_rng_state(),
            "log_equaliser": self.log_equaliser.cpu(),
            "step": self.step,
            "audio_seconds": self.audio_seconds,
            "wall_seconds": self.wall_seconds,
            "best_score": self.best_score,
        }
        temporary = path.with_suffix(".part")
        torch.save(payload, temporary)
        os.replace(temporary, path)

    def restore(self, path: Path) -> None:
        payload = load(path)
        self.model.load_state_dict(payload["model"])
        self.average.module.load_state_dict(payload["ema"])
        self.average.n_averaged.copy_(payload["ema_updates"])
        for name, module in self.others.items():
            module.load_state_dict(payload["others"][name])
        for optimiser, saved in zip(self.optimisers, payload["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        states = payload["generators"]
        if parallel.rank() < len(states):
            self.generator.set_state(states[parallel.rank()])
        else:
            # More processes than before: each of the new ones draws numbers of its own.
            self.generator.manual_seed(payload["step"] * parallel.size() + parallel.rank())
        torch.set_rng_state(payload["torch_rng"])
        self.log_equaliser = payload["log_equaliser"].to(self.log_equaliser.device)
        self.step = payload["step"]
        self.audio_seconds = payload["audio_seconds"]
        self.wall_seconds = payload["wall_seconds"]
        self.best_score = payload["best_score"]


def load(path: Path) -> dict[str, Any]:
    """Weights-only: a pickle with code in it is refused by torch."""
    return torch.load(path, map_location="cpu", weights_only=True)


def load_model(path: Path) -> tuple[Model, Tensor]:
    """The averaged model of a checkpoint and its equaliser, ready to run or export."""
    payload = load(path)
    model = Model(Config(**payload["config"]), Convention.of(payload["convention"]))
    model.load_state_dict(payload["ema"])
    return model.eval(), payload["log_equaliser"]


def load_judge(path: Path, judge: nn.Module) -> None:
    """Discriminators that another run trained: of its checkpoint, or a file of their weights alone."""
    payload = load(path)
    judge.load_state_dict(payload["others"]["discriminator"] if "others" in payload else payload)


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Exponential, over few updates at first: at most 0.1 of it is older than the run."""

    @torch.no_grad()
    def average(averaged: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        torch._foreach_lerp_(averaged, current, 1.0 - min(decay, (1.0 + float(count)) / (10.0 + float(count))))

    return AveragedModel(model, multi_avg_fn=average)
