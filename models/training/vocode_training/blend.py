"""Between two models of one line: `python -m vocode_training.blend A B --share 0.5 --out blend.pt`.

Weights of networks that one was trained on from the other can be averaged (Wortsman et al. 2022, WiSE-FT, arXiv:2109.01903, and model
soups, arXiv:2203.05482). Finishing takes pulses from too peaked to too flat; between the two they are as peaked as speech, and PESQ-wb at
few steps is better than at either end (RUNS.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from . import checkpoint, warm
from .network import Model


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs=2, metavar="MODEL", help="bundles or checkpoints; the first is retuned to the mels of the second")
    parser.add_argument("--share", type=float, default=0.5, help="of the second one")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write, for `export` and `finish --init`")
    return parser.parse_args(words)


def blended(first: Model, second: Model, share: float) -> Model:
    """`second` with the weights `first + share (second - first)`. Ends the program for networks of different sizes."""
    if first.convention != second.convention:
        first = warm.retuned(first, second.convention)
    if first.config != second.config:
        raise SystemExit(f"the networks are of different sizes: {first.config} and {second.config}")
    with torch.no_grad():
        for target, source in zip(second.parameters(), first.parameters(), strict=True):
            target.lerp_(source, 1.0 - share)
    return second


def save(model: Model, log_equaliser: Tensor, path: Path) -> None:
    average = checkpoint.moving_average(model, 0.999)
    checkpoint.State(model, average, [], torch.Generator(), log_equaliser).save(path)


def main(words: list[str] | None = None) -> None:
    args = arguments(words)
    (first, _), (second, log_equaliser) = (warm.load_start(path) for path in args.models)
    save(blended(first, second, args.share), log_equaliser, args.out)


if __name__ == "__main__":
    main()
