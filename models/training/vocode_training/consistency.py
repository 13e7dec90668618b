"""Bringing a signal closer to the mel that it was made from: each band of each frame is scaled by what the mel asks for over what is there.

A vocoder hears the mel and is free not to follow it; this follows it as far as a filter can, like the magnitude half of a Griffin-Lim
iteration (Griffin and Lim 1984) with 80 bands for magnitudes, and keeps the phases. The Rust twin is `src/dsp/consistency.rs`; a parity
test holds the two together.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from . import mel as melspec

# Most that a band is scaled by in one pass, as a natural logarithm.
LIMIT = 2.0
# Windows of a frame's own length at hop 256, squared and added up.
OLA_SUM = 1.5


@lru_cache(maxsize=4)
def _tensors(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The filterbank `[n_mels, bins]`, the shares of the bands in each bin `[bins, n_mels]` (they add up to 1, or are all 0), the window."""
    bank = torch.tensor(melspec.filterbank(), dtype=torch.float32)
    shares = bank.T / bank.sum(0)[:, None].clamp(min=1e-12)
    return bank.to(device), shares.to(device), torch.hann_window(melspec.N_FFT, device=device)


def refine(audio: Tensor, mel: Tensor, passes: int = 1) -> Tensor:
    """`audio [B, F * hop]` and the `hifigan` mel `[B, n_mels, F]` that it should have -> audio that is closer to it, same shape.

    Frames whose window leaves the clip are left as they are: what their mel saw beyond the end is not known.
    """
    bank, shares, window = _tensors(audio.device)
    n_fft, hop = melspec.N_FFT, melspec.HOP
    frames, margin = mel.shape[-1], (n_fft - hop) // 2
    first = -(-margin // hop)
    last = (frames * hop + margin - n_fft) // hop
    if last < first:
        return audio
    for _ in range(passes):
        # Frame f begins at f * hop - margin.
        start, count = first * hop - margin, last - first + 1
        part = audio[:, start : start + (count - 1) * hop + n_fft].float()
        spectrum = torch.stft(part, n_fft, hop, n_fft, window, center=False, return_complex=True)
        magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + melspec.EPSILON)
        found = torch.log(torch.clamp(bank @ magnitude, min=melspec.FLOOR))
        wanted = mel[..., first : last + 1].float()
        gain = torch.exp(shares @ (wanted - found).clamp(-LIMIT, LIMIT)) - 1.0
        change = torch.fft.irfft((spectrum * gain).transpose(1, 2), n_fft) * window
        total = (count - 1) * hop + n_fft
        folded = torch.nn.functional.fold(change.transpose(1, 2), (1, total), (1, n_fft), stride=(1, hop))[:, 0, 0]
        audio = audio + torch.nn.functional.pad(folded / OLA_SUM, (start, audio.shape[1] - start - total))
    return audio
