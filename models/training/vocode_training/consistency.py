"""Bringing a signal closer to the mel that it was made from: each band of each frame is scaled by what the mel asks for over what is there.

A vocoder hears the mel and is free not to follow it; this follows it as far as a filter can, like the magnitude half of a Griffin-Lim
iteration (Griffin and Lim 1984) with 80 bands for magnitudes, and keeps the phases. The Rust twin is `src/dsp/consistency.rs`; a parity
test holds the two together.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from .mel import Convention

# Most that a band is scaled by in one pass, as a natural logarithm.
LIMIT = 2.0


@lru_cache(maxsize=8)
def _tensors(convention: Convention, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The filterbank `[n_mels, bins]`, the shares of the bands in each bin `[bins, n_mels]` (they add up to 1, or are all 0), and the window
    of `n_fft` samples, zero where `win_length` does not reach."""
    bank = torch.tensor(convention.filterbank(), dtype=torch.float32)
    shares = bank.T / bank.sum(0)[:, None].clamp(min=1e-12)
    side = (convention.n_fft - convention.win_length) // 2
    window = torch.nn.functional.pad(torch.hann_window(convention.win_length), (side, convention.n_fft - convention.win_length - side))
    return bank.to(device), shares.to(device), window.to(device)


def refine(convention: Convention, audio: Tensor, mel: Tensor, passes: int = 1, momentum: float = 0.0) -> Tensor:
    """`audio [B, F * hop]` and the mel `[B, n_mels, F]` that it should have -> audio that is closer to it, same shape.

    With `momentum`, the change from one pass to the next is made so much once more before the pass after it, as in the accelerated
    Griffin-Lim algorithm (Perraudin, Balazs and Soendergaard 2013); what the last pass made is the result. Frames whose window leaves the
    clip are left as they are: what their mel saw beyond the end is not known.
    """
    bank, shares, window = _tensors(convention, audio.device)
    n_fft, hop, margin = convention.n_fft, convention.hop, convention.before
    # The squared windows over one sample.
    overlap = 0.375 * convention.win_length / hop
    frames = mel.shape[-1]
    first = -(-margin // hop)
    last = (frames * hop + margin - n_fft) // hop
    if last < first:
        return audio
    before = audio
    for index in range(passes):
        # Frame f begins at f * hop - margin.
        start, count = first * hop - margin, last - first + 1
        part = audio[:, start : start + (count - 1) * hop + n_fft].float()
        spectrum = torch.stft(part, n_fft, hop, n_fft, window, center=False, return_complex=True)
        found = torch.log(torch.clamp(bank @ convention.magnitudes(spectrum), min=convention.floor))
        wanted = mel[..., first : last + 1].float()
        gain = torch.exp(shares @ (wanted - found).clamp(-LIMIT, LIMIT)) - 1.0
        change = torch.fft.irfft((spectrum * gain).transpose(1, 2), n_fft) * window
        total = (count - 1) * hop + n_fft
        folded = torch.nn.functional.fold(change.transpose(1, 2), (1, total), (1, n_fft), stride=(1, hop))[:, 0, 0]
        made = audio + torch.nn.functional.pad(folded / overlap, (start, audio.shape[1] - start - total))
        audio = made + momentum * (made - before) if 0 < index < passes - 1 else made
        before = made
    return audio
