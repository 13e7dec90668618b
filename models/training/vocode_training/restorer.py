"""A small network that sharpens blurred mels: `mel [B, n_mels, F]` -> mel, before everything else that reads it.

Acoustic models trained by regression make mels that are averages: harmonics and onsets are smeared over bands and frames, and a vocoder sings
what it is given. A blur can be undone in good part, and how much of it there is can be seen from the mel itself. Clean mels come out as they
went in, because clean ones are half of what it learns from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from .mel import LOG_FLOOR, N_MELS


@dataclass(frozen=True)
class Config:
    """Sizes of the restorer."""

    width: int = 160
    blocks: int = 3
    kernel: int = 5

    def context(self) -> int:
        """Frames on each side that the output depends on: the fixed blur, the first kernel of 3, one kernel a block."""
        return 1 + 1 + self.blocks * (self.kernel // 2)

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


class Block(nn.Module):
    """A ConvNeXt block over frames, `[B, C, F]`."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)
        nn.init.zeros_(self.contract.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).transpose(1, 2))
        return x + self.contract(nn.functional.gelu(self.expand(y))).transpose(1, 2)


def details(mel: Tensor) -> Tensor:
    """`[B, n_mels, F]` -> `[B, 3 n_mels, F]`: the mel in units of the network, and what a blur of one band, or of one frame, takes from it.

    With these at hand undoing a small blur is a linear map.
    """
    scaled = (mel - LOG_FLOOR) / 2.5 - 2.6
    over_bands = nn.functional.pad(mel, (0, 0, 1, 1), mode="replicate")
    bands = mel - (over_bands[:, :-2] + 2 * mel + over_bands[:, 2:]) / 4
    over_frames = nn.functional.pad(mel, (1, 1), value=LOG_FLOOR)
    frames = mel - (over_frames[..., :-2] + 2 * mel + over_frames[..., 2:]) / 4
    return torch.cat([scaled, bands, frames], 1)


class Restorer(nn.Module):
    """The mel plus a correction; where a band lies at the floor it stays there, and nothing falls below."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.input = nn.Conv1d(3 * N_MELS, config.width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(config.width, config.kernel) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)
        self.output = nn.Linear(config.width, N_MELS)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.input(details(mel))
        for block in self.blocks:
            x = block(x)
        correction = self.output(self.norm(x.transpose(1, 2))).transpose(1, 2)
        above = (mel > LOG_FLOOR).to(mel.dtype)
        return torch.clamp(mel + correction * above, min=LOG_FLOOR)
