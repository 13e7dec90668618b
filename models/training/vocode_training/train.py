"""Train the default model: `python -m vocode_training.train --data SPEECH --out RUN`.

Flow matching with sample prediction in the excitation domain: y_t = (1 - t) n + t x, the network estimates x.
A run stops by wall clock, writes `RUN/last.pt` every few minutes, and goes on from it when started again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from . import loop, losses
from .data import MARGIN, Recordings
from .network import Config


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    loop.add_options(parser, minutes=60.0, batch=16, lr=2e-3, ema=0.999)
    parser.add_argument("--init", type=Path, help="start from the weights of this bundle or checkpoint")
    parser.add_argument("--spectral", type=float, default=0.0, help="weight of the log-spectral loss on the estimate")
    for name, value in Config().to_dict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    return parser.parse_args()


def sample_times(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """t = sigmoid(N(-0.3, 1)): more of the middle, where the few-step samplers spend their calls."""
    normal = torch.randn(count, generator=generator, device=device)
    return torch.sigmoid(normal - 0.3).clamp(max=0.995)


def main() -> None:
    args = arguments()
    device = loop.device_of(args)
    data = Recordings(args.data, "train", device, tuple(args.skip))
    config = Config(**{k: getattr(args, k) for k in Config().to_dict()})
    state = loop.start(args, device, data, config, args.init)
    loop.resume(args, state)
    denoiser = state.model.denoiser
    print(f"{len(data.paths)} clips, {data.seconds / 60:.1f} min; {state.model.parameter_count() / 1e6:.2f} M parameters; {device}", flush=True)

    def update() -> dict[str, Tensor]:
        batch = data.crops(args.batch, args.frames, state.generator, state.log_equaliser)
        x = batch.excitation
        t = sample_times(len(x), state.generator, device)
        noise = torch.randn(x.shape, generator=state.generator, device=device) * batch.inside
        y = (1 - t[:, None]) * noise + t[:, None] * x
        c_in, c_skip, c_out = denoiser.scales(t)
        with torch.autocast(device.type, torch.bfloat16):
            cond = state.model.conditioner(batch.mel)[..., MARGIN:-MARGIN]
            output = denoiser.network(c_in * y, t, cond).float()
        error = (output - (x - c_skip * y) / c_out) * batch.inside
        loss, bands = losses.weighted_error(error)
        total = loss.mean()
        if args.spectral > 0:
            total = total + args.spectral * losses.log_spectral_distance(c_skip * y + c_out * output, x, t)
        for optimiser in state.optimisers:
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
        for optimiser in state.optimisers:
            optimiser.step()
        return {"loss": loss.mean().detach(), "bands": bands}

    loop.run(args, state, update)


if __name__ == "__main__":
    main()
