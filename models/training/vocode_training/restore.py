"""Train the restorer: `python -m vocode_training.restore --data CORPUS --out RUN`.

Mels of recordings, half of them blurred over bands, frames or both, with and without noise; the loss is the distance to the clean ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint, loop, parallel
from .augment import Augmentation, Dice
from .data import Recordings
from .mel import LOG_FLOOR
from .restorer import Config, Restorer

# Widest blur, as the deviation of a Gaussian in bands or frames.
WIDEST = 1.6
REACH = 6


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    loop.add_options(parser, minutes=30.0, batch=16, lr=2e-3, ema=0.999)
    parser.set_defaults(frames=64, optimiser="adamw")
    parser.add_argument("--clean", type=float, default=0.4, help="share of the mels that are left as they are")
    return parser.parse_args()


def gaussian(mel: Tensor, deviation: Tensor, dim: int) -> Tensor:
    """`[B, n_mels, F]` blurred over `dim` by a Gaussian of `deviation [B]`; 0 leaves it as it is. Edges are repeated."""
    offsets = torch.arange(-REACH, REACH + 1, device=mel.device)
    weights = torch.exp(-0.5 * (offsets / deviation.clamp(min=1e-2)[:, None]) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    padding = (REACH, REACH, 0, 0) if dim == 2 else (0, 0, REACH, REACH)
    padded = nn.functional.pad(mel[:, None], padding, mode="replicate")[:, 0]
    return (padded.unfold(dim, 2 * REACH + 1, 1) * weights[:, None, None]).sum(-1)


def blurred(clean: Tensor, share_clean: float, dice: Dice) -> Tensor:
    """What an acoustic model might have made of a clean mel; values at the floor stay there."""
    count = len(clean)
    touched = ~dice.chosen(count, share_clean)
    over_bands = dice.uniform(count, 0.0, WIDEST) * dice.chosen(count, 0.7) * touched
    over_frames = dice.uniform(count, 0.0, WIDEST) * dice.chosen(count, 0.7) * touched
    found = gaussian(gaussian(clean, over_bands, 1), over_frames, 2)
    noise = torch.randn(clean.shape, generator=dice.generator, device=clean.device)
    found = found + noise * (dice.uniform(count, 0.0, 0.1) * dice.chosen(count, 0.3) * touched)[:, None, None]
    return torch.where(clean <= LOG_FLOOR, clean, found).clamp(min=LOG_FLOOR)


def train(args: argparse.Namespace) -> None:
    device = loop.device_of(args)
    data = Recordings(args.data, "train", device, tuple(args.skip))
    torch.manual_seed(args.seed)
    model = Restorer(Config()).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), args.lr, betas=(0.9, 0.98), weight_decay=0.01)
    generator = torch.Generator(device).manual_seed(args.seed + 1 + 1000 * parallel.rank())
    state = checkpoint.State(model, checkpoint.moving_average(model, args.ema), [optimiser], generator, torch.zeros(0, device=device))
    loop.resume(args, state)
    how, reach, dice = Augmentation(args.quiet, args.low_pass), model.config.context(), Dice(generator)

    def update() -> dict[str, Tensor]:
        clean = data.mels(args.batch, args.frames, generator, how)
        given = blurred(clean, args.clean, dice)
        inner = slice(reach, -reach)
        difference = (model(given) - clean)[..., inner].abs()
        loss = difference.mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        parallel.average_gradients(model.parameters())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return {"loss": loss.detach(), "as_given": (given - clean)[..., inner].abs().mean()}

    loop.say(f"{len(data.paths)} clips, {data.seconds / 60:.1f} min; {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters; {device}")
    loop.run(args, state, update, [args.lr], loop.Scoring(args, {}, 0))


def load(path: Path) -> Restorer:
    """The averaged restorer of a checkpoint."""
    payload = checkpoint.load(path)
    model = Restorer(Config(**payload["config"]))
    model.load_state_dict(payload["ema"])
    return model.eval()


def main() -> None:
    args = arguments()
    parallel.launch(train, args, args.processes)


if __name__ == "__main__":
    main()
