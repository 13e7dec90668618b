"""Train the default model: `python -m vocode_training.train --data SPEECH --out RUN`.

Flow matching with sample prediction in the excitation domain: y_t = (1 - t) n + t x, the network estimates x.
A run stops by wall clock, writes `RUN/last.pt` every few minutes, and goes on from it when started again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from . import checkpoint, finish, loop, losses, parallel, precision
from .data import MARGIN, Recordings
from .network import Config
from .schedules import FINISHED


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    loop.add_options(parser, minutes=60.0, batch=16, lr=2e-3, ema=0.999)
    parser.add_argument("--init", type=Path, help="start from the weights of this bundle or checkpoint")
    parser.add_argument("--spectral", type=float, default=0.0, help="weight of the log-spectral loss on the estimate")
    for name, value in Config.sizes().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    return parser.parse_args()


# Share of the items at exactly the times of the finished schedules, where the sampler will call.
AT_SCHEDULES = 0.3


def sample_times(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """t = sigmoid(N(-0.3, 1)): more of the middle; a share of them at the samplers' own times."""
    normal = torch.randn(count, generator=generator, device=device)
    anywhere = torch.sigmoid(normal - 0.3).clamp(max=0.995)
    table = torch.tensor(sorted({t for s in FINISHED for t in s.times}), device=device)
    at = table[torch.randint(len(table), (count,), generator=generator, device=device)]
    return torch.where(torch.rand(count, generator=generator, device=device) < AT_SCHEDULES, at, anywhere)


@dataclass
class Training:
    """One update of the flow."""

    args: argparse.Namespace
    data: Recordings
    state: checkpoint.State
    bf16: bool

    def update(self) -> dict[str, Tensor]:
        args, state, denoiser = self.args, self.state, self.state.model.denoiser
        device = self.data.device
        batch = self.data.crops(args.batch, args.frames, state.generator, state.log_equaliser, loop.augmentation(args))
        x = batch.excitation
        t = sample_times(len(x), state.generator, device)
        noise = torch.randn(x.shape, generator=state.generator, device=device) * batch.inside
        y = (1 - t[:, None]) * noise + t[:, None] * x
        c_in, c_skip, c_out = denoiser.scales(t)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            cond = state.model.conditioner(batch.mel)[..., MARGIN:-MARGIN]
            output = denoiser.network(c_in * y, t, cond).float()
        rate = args.convention.sample_rate
        error = losses.low_passed((output - (x - c_skip * y) / c_out) * batch.inside, batch.cutoff, rate)
        loss, bands = losses.weighted_error(error, rate)
        total = loss.mean()
        if args.spectral > 0:
            total = total + args.spectral * losses.log_spectral_distance(c_skip * y + c_out * output, x, t, rate)
        for optimiser in state.optimisers:
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        parameters = list(state.model.parameters())
        parallel.average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimiser in state.optimisers:
            optimiser.step()
        return {"loss": loss.mean().detach(), "bands": bands}


def train(args: argparse.Namespace) -> None:
    device = loop.device_of(args)
    data = Recordings(args.data, "train", device, args.convention, tuple(args.skip))
    config = Config(**{k: getattr(args, k) for k in Config.sizes()})
    state = loop.start(args, device, data, config, args.init)
    loop.resume(args, state)
    bf16 = precision.autocast(args.precision, device, lambda: finish.trial(state.model, args))
    parameters = state.model.parameter_count() / 1e6
    loop.say(f"{len(data.paths)} clips, {data.seconds / 60:.1f} min; {parameters:.2f} M parameters; {device}, {'bfloat16' if bf16 else 'float32'}")
    scored = {s.name: s.times for s in FINISHED if s.share >= 0.3}
    training = Training(args, data, state, bf16)
    loop.run(args, state, training.update, [args.lr] * len(state.optimisers), loop.Scoring(args, scored, 2, 0.0))


def main() -> None:
    args = arguments()
    parallel.launch(train, args, args.processes)


if __name__ == "__main__":
    main()
