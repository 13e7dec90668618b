"""Few-step finishing: `python -m vocode_training.finish --data CORPUS --init RUN/last.pt --out RUN2`.

The sampler is unrolled with its gradients over the few steps that will be used, at the times that will be used, and its output is judged as
audio: log-mel, STFT and short-window distances, and small discriminators (PeriodWave-Turbo, Lee et al. 2024, arXiv:2408.08019, and Flow2GAN,
arXiv:2512.23278, finish a flow model in this way).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import checkpoint, consistency, envelope, loop, losses, parallel, precision
from .data import MARGIN, Batch, Recordings
from .discriminator import Discriminator, discriminator_loss, generator_losses
from .mel import Convention
from .network import Config, Model
from .schedules import FINISHED

# The loudest band of a crop counts as at least this, in nepers: 4 above the floor of `hifigan`.
QUIETEST = -7.5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    loop.add_options(parser, minutes=30.0, batch=4, lr=3e-4, ema=0.999)
    parser.set_defaults(frames=128, optimiser="adamw")
    parser.add_argument("--init", type=Path, required=True, help="bundle or checkpoint to start from")
    parser.add_argument("--channels", type=int, help="more channels than --init has: it is widened")
    parser.add_argument("--judge", type=Path, help="discriminators to start from: a checkpoint of a finishing run, or their weights")
    parser.add_argument("--judge-lr", type=float, default=3e-4)
    parser.add_argument("--schedules", nargs="+", choices=[s.name for s in FINISHED], default=[s.name for s in FINISHED], help="time grids to finish for")
    parser.add_argument("--learning-steps", type=int, default=3, help="how many of the last steps carry gradients")
    parser.add_argument("--passes", type=int, default=2, help="passes of mel consistency that the bundle will have")
    parser.add_argument("--momentum", type=float, default=0.0, help="and how much of the change from pass to pass is made once more")
    parser.add_argument("--mel", type=float, default=2.0, help="weight of the log-mel distance")
    parser.add_argument("--bare", type=float, default=0.3, help="weight of the log-mel distance before the passes")
    parser.add_argument("--stft", type=float, default=0.5, help="weight of the multi-resolution STFT distance")
    parser.add_argument("--short", type=float, default=0.15, help="weight of the log-magnitude distance in short windows; too much flattens pulses")
    parser.add_argument("--level", type=float, default=0.0, help="weight of the distance of levels in 32 bands and pieces of 0.2 s; not tried to its end yet")
    parser.add_argument("--adversarial", type=float, default=0.5)
    parser.add_argument("--matching", type=float, default=2.0)
    parser.add_argument("--judge-frames", type=int, default=64, help="length of the part of each crop that the discriminators see")
    parser.add_argument("--flow", type=float, default=0.1, help="weight of the plain error of each step's estimate")
    parser.add_argument("--adversarial-after", type=int, default=300, help="updates before the discriminators are heard")
    return parser.parse_args()


def sample(model: Model, noise: Tensor, mel: Tensor, times: tuple[float, ...], learning: int) -> list[Tensor]:
    """The sampler of the engine, `noise [B, T]` and a mel with MARGIN frames more on each side: the estimates that carry gradients, the last
    of which is the result."""
    inside = (noise != 0).float()
    cond = model.conditioner(mel)[..., MARGIN:-MARGIN]
    y, estimates = noise, []
    for k, (time_now, following) in enumerate(zip(times, [*times[1:], 1.0], strict=True)):
        t = torch.full((len(y),), time_now, device=y.device)
        learns = k >= len(times) - learning
        with torch.set_grad_enabled(learns):
            estimate = model.denoiser(y, t, cond) * inside
            y = y + (estimate - y) * ((following - time_now) / (1.0 - time_now))
        if learns:
            estimates.append(estimate)
    return estimates


def as_audio(convention: Convention, excitation: Tensor, batch: Batch, log_equaliser: Tensor) -> Tensor:
    """The envelope put back on a crop; its neighbours are missing, alike for the estimate and the target."""
    cut = MARGIN - envelope.EDGE - 2
    gain = torch.exp(envelope.log_gain(convention, batch.mel[..., cut:-cut], log_equaliser))
    return envelope.apply_gain(convention, excitation, gain)


def loudness_scale(convention: Convention, batch: Batch) -> Tensor:
    """One gain per crop that brings its loudest band to 1, as filters of unit area measure it, so that quiet crops weigh as much as loud ones."""
    area = torch.tensor(np.log(convention.n_fft / convention.sample_rate) - convention.log_sums(), dtype=torch.float32, device=batch.mel.device)
    peak = (batch.mel + area[:, None]).amax((1, 2)).clamp(min=QUIETEST)
    return torch.exp(-peak)[:, None]


@dataclass
class Finishing:
    """One update of the generator and one of the discriminators."""

    args: argparse.Namespace
    data: Recordings
    state: checkpoint.State
    judge: Discriminator
    bf16: bool

    def __post_init__(self) -> None:
        self.device = self.data.device
        self.schedules = [s for s in FINISHED if s.name in self.args.schedules]
        self.shares = torch.tensor([s.share for s in self.schedules])
        # All processes draw the same number of steps, or they would wait for each other.
        self.shared = torch.Generator().manual_seed(self.args.seed + self.state.step)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def update(self) -> dict[str, Tensor]:
        args, state = self.args, self.state
        batch = self.data.crops(args.batch, args.frames, state.generator, state.log_equaliser, loop.augmentation(args))
        noise = torch.randn(batch.excitation.shape, generator=state.generator, device=self.device) * batch.inside
        times = self.schedules[int(torch.multinomial(self.shares, 1, generator=self.shared))].times
        with self.autocast():
            estimates = [e.float() for e in sample(state.model, noise, batch.mel, times, args.learning_steps)]
        total, fake, real, record = self.distances(estimates, batch)
        if args.adversarial > 0:
            total = total + self.adversarial_terms(real, fake, record)
        *own, _ = state.optimisers
        for optimiser in own:
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        parameters = list(state.model.parameters())
        parallel.average_gradients(parameters)
        record["gradient"] = nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimiser in own:
            optimiser.step()
        return {k: v.detach() for k, v in record.items()}

    def distances(self, estimates: list[Tensor], batch: Batch) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """The weighted sum of all that needs no discriminator, the audio made, its target, and each term."""
        args, equaliser, mel = self.args, self.state.log_equaliser, self.data.convention
        scale = loudness_scale(mel, batch)

        def known(signal: Tensor) -> Tensor:
            return losses.low_passed(signal, batch.cutoff, mel.sample_rate)

        bare = as_audio(mel, estimates[-1], batch, equaliser)
        real = known(as_audio(mel, batch.excitation, batch, equaliser) * scale)
        fake = known(consistency.refine(mel, bare, batch.mel[..., MARGIN:-MARGIN], args.passes, args.momentum) * scale)
        bare = known(bare * scale)
        wanted = losses.log_mels(mel, real)
        # Without `bare` the levels drift: the passes would take care of them, up to a limit.
        record = {
            "mel": losses.log_mel_distance(mel, fake, wanted),
            "bare": losses.log_mel_distance(mel, bare, wanted),
            "stft": losses.stft_distance(fake, real),
            "short": losses.short_distance(fake, real),
            "level": losses.level_distance(fake, real),
        }
        errors = [known((e - batch.excitation) * batch.inside) for e in estimates]
        record["flow"] = torch.stack([losses.weighted_error(error, mel.sample_rate)[0].mean() for error in errors]).mean()
        total = sum((getattr(args, name) * value for name, value in record.items()), torch.zeros((), device=self.device))
        return total, fake, real, record

    def adversarial_terms(self, real: Tensor, fake: Tensor, record: dict[str, Tensor]) -> Tensor:
        judging, judge = self.state.optimisers[-1], self.judge
        length = self.args.judge_frames * self.data.convention.hop
        first = int(torch.randint(max(1, real.shape[1] - length + 1), (1,)))
        real, fake = real[:, first : first + length], fake[:, first : first + length]
        judging.zero_grad(set_to_none=True)
        with self.autocast():
            wanted = judge(real)
            verdict = discriminator_loss(wanted, judge(fake.detach()))
        verdict.backward()
        parallel.average_gradients(judge.parameters())
        nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
        judging.step()
        record["judge"] = verdict
        if self.state.step < self.args.adversarial_after:
            return torch.zeros((), device=self.device)
        judge.requires_grad_(False)
        with self.autocast():
            # The features of the recording are those from before the discriminators' update.
            record["adversarial"], record["matching"] = generator_losses(wanted, judge(fake))
        judge.requires_grad_(True)
        return self.args.adversarial * record["adversarial"] + self.args.matching * record["matching"]


def train(args: argparse.Namespace) -> None:
    device = loop.device_of(args)
    data = Recordings(args.data, "train", device, args.convention, tuple(args.skip))
    config = Config(channels=args.channels) if args.channels else None
    state = loop.start(args, device, data, config, args.init)
    judge = Discriminator().to(device)
    if args.judge:
        checkpoint.load_judge(args.judge, judge)
    state.add("discriminator", judge, torch.optim.AdamW(judge.parameters(), args.judge_lr, betas=(0.8, 0.99), weight_decay=0.01))
    loop.resume(args, state)
    bf16 = precision.autocast(args.precision, device, lambda: trial(state.model, args))
    finishing = Finishing(args, data, state, judge, bf16)
    loop.say(f"{len(data.paths)} clips, {data.seconds / 60:.1f} min; {args.schedules}; {device}, {'bfloat16' if bf16 else 'float32'}, {time.ctime()}")
    rates = [args.lr] * (len(state.optimisers) - 1) + [args.judge_lr]
    scored = {s.name: s.times for s in finishing.schedules if s.share >= 0.3}
    loop.run(args, state, finishing.update, rates, loop.Scoring(args, scored, args.passes, args.momentum))


def trial(model: Model, args: argparse.Namespace) -> Tensor:
    """What `--precision auto` times: one denoiser call at the size of a crop batch."""
    cond = model.conditioner(torch.zeros(args.batch, model.config.n_mels, args.frames, device=next(model.parameters()).device))
    y = torch.ones(args.batch, args.frames * model.config.hop, device=cond.device)
    return model.denoiser(y, torch.full((args.batch,), 0.5, device=cond.device), cond)


def main() -> None:
    args = arguments()
    parallel.launch(train, args, args.processes)


if __name__ == "__main__":
    main()
