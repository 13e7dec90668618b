"""Few-step finishing: `python -m vocode_training.finish --data SPEECH --init RUN/last.pt --out RUN2`.

The sampler is unrolled with its gradients over the few steps that will be used, and its output is judged as audio: log-mel and
multi-resolution STFT distance, and small discriminators (PeriodWave-Turbo, Lee et al. 2024, arXiv:2408.08019, finishes a flow
model in this way). The model from before stays the better one for many steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from . import consistency, envelope, loop, losses
from .data import MARGIN, Batch, Recordings
from .discriminator import Discriminator, discriminator_loss, generator_losses
from .mel import LOG_FLOOR
from .network import Model


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    loop.add_options(parser, minutes=30.0, batch=8, lr=5e-4, ema=0.99)
    parser.add_argument("--init", type=Path, required=True, help="bundle or checkpoint of the flow training")
    parser.add_argument("--steps", type=int, nargs="+", default=[4], help="numbers of steps to unroll, drawn at random")
    parser.add_argument("--learning-steps", type=int, default=3, help="how many of the last steps carry gradients")
    parser.add_argument("--passes", type=int, default=2, help="passes of mel consistency that the bundle will have")
    parser.add_argument("--mel", type=float, default=2.0, help="weight of the log-mel distance")
    parser.add_argument("--bare", type=float, default=0.5, help="weight of the log-mel distance before the passes")
    parser.add_argument("--stft", type=float, default=1.0, help="weight of the multi-resolution STFT distance")
    parser.add_argument("--adversarial", type=float, default=0.2)
    parser.add_argument("--matching", type=float, default=3.0)
    parser.add_argument("--flow", type=float, default=0.2, help="weight of the plain error of the estimates")
    parser.add_argument("--adversarial-after", type=int, default=200, help="updates before the discriminators are heard")
    return parser.parse_args()


def sample(model: Model, noise: Tensor, mel: Tensor, steps: int, learning: int) -> Tensor:
    """The sampler of the engine on a uniform grid, `noise [B, T]` and a mel with MARGIN frames more on each side.

    Gradients flow through the last `learning` steps; the ones before go on estimating the mean, as the flow loss taught.
    """
    inside = (noise != 0).float()
    cond = model.conditioner(mel)[..., MARGIN:-MARGIN]
    y = noise
    for k in range(steps):
        t = torch.full((len(y),), k / steps, device=y.device)
        with torch.set_grad_enabled(k >= steps - learning):
            estimate = model.denoiser(y, t, cond) * inside
            y = y + (estimate - y) / (steps - k)
    return y


def as_audio(excitation: Tensor, batch: Batch, log_equaliser: Tensor) -> Tensor:
    """The envelope put back on a crop; its neighbours are missing, alike for the estimate and the target."""
    cut = MARGIN - envelope.EDGE - 2
    gain = torch.exp(envelope.log_gain(batch.mel[..., cut:-cut], log_equaliser))
    return envelope.apply_gain(excitation, gain)


def loudness_scale(batch: Batch) -> Tensor:
    """One gain per crop that brings its loudest band to 1, so that quiet crops weigh as much as loud ones."""
    peak = batch.mel.amax((1, 2)).clamp(min=LOG_FLOOR + 4)
    return torch.exp(-peak)[:, None]


def main() -> None:
    args = arguments()
    device = loop.device_of(args)
    data = Recordings(args.data, "train", device, tuple(args.skip))
    state = loop.start(args, device, data, None, args.init)
    judge = Discriminator().to(device)
    state.add("discriminator", judge, torch.optim.AdamW(judge.parameters(), args.lr, betas=(0.8, 0.99), weight_decay=0.01))
    loop.resume(args, state)
    model, parameters = state.model, list(state.model.parameters())
    own = state.optimisers[:-1]
    judging = state.optimisers[-1]
    choices = torch.tensor(args.steps)

    def update() -> dict[str, Tensor]:
        batch = data.crops(args.batch, args.frames, state.generator, state.log_equaliser)
        noise = torch.randn(batch.excitation.shape, generator=state.generator, device=device) * batch.inside
        steps = int(choices[torch.randint(len(choices), (1,))])
        with torch.autocast(device.type, torch.bfloat16):
            estimate = sample(model, noise, batch.mel, steps, args.learning_steps)
        scale = loudness_scale(batch)
        bare = as_audio(estimate.float(), batch, state.log_equaliser)
        real = as_audio(batch.excitation, batch, state.log_equaliser) * scale
        fake = consistency.refine(bare, batch.mel[..., MARGIN:-MARGIN], args.passes) * scale
        record = {"mel": losses.log_mel_distance(fake, real), "stft": losses.stft_distance(fake, real)}
        # Without it the levels drift: the passes would take care of them, up to a limit.
        record["bare"] = losses.log_mel_distance(bare * scale, real)
        record["flow"] = losses.weighted_error((estimate.float() - batch.excitation) * batch.inside)[0].mean()
        total = args.mel * record["mel"] + args.bare * record["bare"] + args.stft * record["stft"] + args.flow * record["flow"]
        if args.adversarial > 0:
            total = total + adversarial_terms(real, fake, record)
        for optimiser in own:
            optimiser.zero_grad(set_to_none=True)
        total.backward()
        record["gradient"] = nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimiser in own:
            optimiser.step()
        return {k: v.detach() for k, v in record.items()}

    def adversarial_terms(real: Tensor, fake: Tensor, record: dict[str, Tensor]) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            judging.zero_grad(set_to_none=True)
            verdict = discriminator_loss(judge(real), judge(fake.detach()))
        verdict.backward()
        nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
        judging.step()
        record["judge"] = verdict
        if state.step < args.adversarial_after:
            return torch.zeros((), device=device)
        judge.requires_grad_(False)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                wanted = judge(real)
            record["adversarial"], record["matching"] = generator_losses(wanted, judge(fake))
        judge.requires_grad_(True)
        return args.adversarial * record["adversarial"] + args.matching * record["matching"]

    print(f"{len(data.paths)} clips, {data.seconds / 60:.1f} min; steps {args.steps}; {device}", flush=True)
    loop.run(args, state, update)


if __name__ == "__main__":
    main()
