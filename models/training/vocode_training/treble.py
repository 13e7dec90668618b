"""The level above a mel's top band: `python -m vocode_training.treble BLEND.pt --data CORPUS --out LEVELLED.pt`.

What lies above a mel's highest filter (8 kHz of `hifigan`) no pass of mel consistency sees, and a network that is taught by distances of
single bins makes it too low: of a noise that cannot be foretold they want the median, which lies below its mean (RUNS.md, small-4). Here
the lack is measured by frequency on recordings and made good in the equaliser, which the envelope puts on every sound.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from . import blend, consistency, envelope, finish, losses, warm
from .data import MARGIN, Batch, Recordings
from .mel import Convention
from .network import Model
from .schedules import FINISHED

# Crops a call, their frames, and calls of each schedule.
CROPS, FRAMES, CALLS = 16, 64, 20
# Schedules that a bundle's users choose most; one equaliser serves both.
NAMES = ("draft", "fast")
# Bins of 1024 over which a lack is averaged, most that is made good, in nepers, and the width of the edge at the mel's end.
WIDTH, MOST, EDGE_HZ = 15, 0.7, 300.0
# Least mean power of a bin that counts: a recording has something there.
SILENT = 1e-9


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="bundle or checkpoint")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of recordings of `train`; may be given again")
    parser.add_argument("--passes", type=int, default=6, help="passes of mel consistency that the bundle will have")
    parser.add_argument("--momentum", type=float, default=0.5)
    parser.add_argument("--out", type=Path, required=True, help="checkpoint to write, for `export` and `finish --init`")
    return parser.parse_args(words)


def lacks(real: Tensor, made: Tensor, cutoff: Tensor, rate: int) -> Tensor:
    """By how many nepers `made [B, T]` is lower than `real` in each bin of an FFT of 1024, `[513]`: the median over the crops whose recording, known
    below `cutoff [B]` Hz, has something there."""
    of_real, of_made = (losses.error_spectrum(x).mean(-1) for x in (real, made))
    hertz = torch.linspace(0, rate / 2, of_real.shape[1])
    known = cutoff - EDGE_HZ * (cutoff < rate / 2)
    counts = (of_real > SILENT) & (hertz <= known[:, None])
    lack = 0.5 * torch.log(of_real.clamp(min=SILENT) / of_made.clamp(min=SILENT))
    return lack.masked_fill(~counts, math.nan).nanmedian(0).values.nan_to_num(0.0)


def correction(convention: Convention, lack: Tensor) -> Tensor:
    """What to add to a log equaliser `[envelope.BINS]` for a lack `[513]`: smooth, bounded, and nothing below the mel's top."""
    padded = torch.nn.functional.pad(lack[None, None], (WIDTH // 2, WIDTH // 2), mode="replicate")
    smooth = torch.nn.functional.avg_pool1d(padded, WIDTH, 1)
    fine = torch.nn.functional.interpolate(smooth, envelope.BINS, mode="linear", align_corners=True)[0, 0]
    hertz = torch.linspace(0, convention.sample_rate / 2, envelope.BINS)
    return fine.clamp(-MOST, MOST) * ((hertz - convention.f_max) / EDGE_HZ).clamp(0, 1)


@torch.inference_mode()
def made_of(model: Model, log_equaliser: Tensor, batch: Batch, times: tuple[float, ...], args: argparse.Namespace, dice: torch.Generator) -> Tensor:
    """What the model makes of a batch's mels, passes included, `[B, T]`."""
    noise = torch.randn(batch.excitation.shape, generator=dice) * batch.inside
    estimate = finish.sample(model, noise, batch.mel, times, 1)[-1]
    audio = finish.as_audio(model.convention, estimate, batch, log_equaliser)
    return consistency.refine(model.convention, audio, batch.mel[..., MARGIN:-MARGIN], args.passes, args.momentum)


def levelled(model: Model, log_equaliser: Tensor, data: Recordings, args: argparse.Namespace) -> Tensor:
    """The equaliser with what `model` lacks above its mel's top made good, half way between the schedules of NAMES."""
    generator, found = torch.Generator().manual_seed(0), []
    for times in (s.times for s in FINISHED if s.name in NAMES):
        real, made, cutoffs = [], [], []
        for _ in range(CALLS):
            batch = data.crops(CROPS, FRAMES, generator, log_equaliser)
            real.append(finish.as_audio(model.convention, batch.excitation, batch, log_equaliser))
            made.append(made_of(model, log_equaliser, batch, times, args, generator))
            cutoffs.append(batch.cutoff)
        found.append(lacks(torch.cat(real), torch.cat(made), torch.cat(cutoffs), model.convention.sample_rate))
        tell(found[-1], len(times), model.convention)
    return log_equaliser + correction(model.convention, torch.stack(found).mean(0))


def tell(lack: Tensor, steps: int, convention: Convention) -> None:
    """Prints a lack by kHz above the mel's top."""
    bins = torch.linspace(0, convention.sample_rate / 2, len(lack))
    for low in range(math.floor(convention.f_max / 1000), math.ceil(convention.sample_rate / 2000)):
        band = lack[(bins >= low * 1000) & (bins < (low + 1) * 1000)]
        if len(band):
            print(f"{steps} steps, {low} to {low + 1} kHz: {20 * band.mean() / math.log(10):.1f} dB too low", flush=True)


def main(words: list[str] | None = None) -> None:
    args = arguments(words)
    model, log_equaliser = warm.load_start(args.model)
    data = Recordings(args.data, "train", torch.device("cpu"), model.convention)
    blend.save(model, levelled(model.eval(), log_equaliser, data, args), args.out)


if __name__ == "__main__":
    main()
