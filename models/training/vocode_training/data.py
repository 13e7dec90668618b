"""Recordings in memory, random crops out.

A data set is a folder with a `manifest.tsv` (columns split, file, seconds; files relative to it) or a plain folder of
WAV/FLAC files. Any rate and channel count is read; everything is held once as mono int16 at the model's rate.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import resample_poly
from torch import Tensor

from . import envelope, mel as melspec

# Frames of true context kept on each side of a crop: the conditioner's reach.
MARGIN = 8
# Digital silence between clips, so that a crop may start before its clip or end after it.
GUARD = (2 * MARGIN + 4) * melspec.HOP


def clip_paths(folder: Path, split: str) -> list[Path]:
    """The files of one split; without a manifest every file belongs to `train`."""
    manifest = folder / "manifest.tsv"
    if manifest.exists():
        with manifest.open(newline="") as lines:
            rows = csv.DictReader(lines, delimiter="\t")
            return [folder / row["file"] for row in rows if row["split"] == split]
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".wav", ".flac"})
    return files if split == "train" else []


def read_clip(path: Path, rate: int = melspec.SAMPLE_RATE) -> np.ndarray:
    """One recording as mono float32 at `rate`."""
    audio, found = soundfile.read(path, dtype="float32", always_2d=True)
    mono = audio.mean(1)
    if found != rate:
        common = gcd(rate, found)
        mono = resample_poly(mono, rate // common, found // common).astype(np.float32)
    return mono


@dataclass
class Batch:
    """Crops of `frames` frames: the whitened target, the mel with MARGIN frames more on each side, and where the clip is."""

    excitation: Tensor  # [B, frames * hop]
    mel: Tensor  # [B, n_mels, frames + 2 * MARGIN]
    inside: Tensor  # [B, frames * hop], 1 inside the clip, 0 outside


class Recordings:
    """All clips of a split on one device, cropped there."""

    def __init__(self, folders: list[Path], split: str, device: torch.device, skip: tuple[str, ...] = ()) -> None:
        paths = [p for folder in folders for p in clip_paths(folder, split)]
        paths = [p for p in paths if not any(part in p.parts for part in skip)]
        if not paths:
            raise SystemExit(f"no '{split}' clips under {', '.join(map(str, folders))}: give --data a folder with manifest.tsv or audio files")
        clips = [np.clip(read_clip(p) * 32767.0, -32768, 32767).astype(np.int16) for p in paths]
        self.paths = paths
        self.seconds = sum(map(len, clips)) / melspec.SAMPLE_RATE
        silence = np.zeros(GUARD, np.int16)
        parts, starts, position = [silence], [], GUARD
        for clip in clips:
            starts.append(position)
            parts += [clip, silence]
            position += len(clip) + GUARD
        self.device = device
        self.flat = torch.from_numpy(np.concatenate(parts)).to(device)
        self.starts = torch.tensor(starts, device=device)
        self.lengths = torch.tensor([len(c) for c in clips], device=device)

    def crops(self, count: int, frames: int, generator: torch.Generator, log_equaliser: Tensor | None) -> Batch:
        """Random crops at any sample, clips weighted by length, gain -9 to +3 dB."""
        hop, length = melspec.HOP, frames * melspec.HOP
        which = torch.multinomial(self.lengths.float(), count, replacement=True, generator=generator)
        start, size = self.starts[which], self.lengths[which]
        # A crop may begin up to MARGIN frames before its clip and end as many after it.
        slack = MARGIN * hop
        room = (size - length + 2 * slack).clamp(min=1)
        uniform = torch.rand(count, generator=generator, device=self.device)
        first = start - slack + (uniform * room).long()
        context = MARGIN * hop + (melspec.N_FFT - hop) // 2
        offsets = torch.arange(-context, length + context, device=self.device)
        index = (first[:, None] + offsets).clamp(0, len(self.flat) - 1)
        inside = (index >= start[:, None]) & (index < (start + size)[:, None])
        gain = 10 ** ((torch.rand(count, 1, generator=generator, device=self.device) * 12 - 9) / 20)
        audio = self.flat[index].float() / 32768.0 * inside * gain
        mel = melspec.mel_of_padded(audio)
        inner = mel[..., MARGIN - envelope.EDGE - 2 : mel.shape[-1] - (MARGIN - envelope.EDGE - 2)]
        gains = torch.exp(-envelope.log_gain(inner, log_equaliser))
        # The filter sees the crop with its neighbours: whiten with them, then cut.
        excitation = _whiten_crop(audio, gains, context, length)
        core = slice(context, context + length)
        mask = inside[:, core].float()
        return Batch(excitation.clamp(-30.0, 30.0) * mask, mel, mask)


def _whiten_crop(audio: Tensor, gain: Tensor, context: int, length: int) -> Tensor:
    """Overlap-add filter of a crop that keeps its real neighbours, unlike `envelope.apply_gain` at a clip's ends."""
    hop, edge = melspec.HOP, envelope.EDGE
    begin = context - edge * hop + hop // 2 - envelope.WINDOW // 2
    window = torch.hann_window(envelope.WINDOW, device=audio.device)
    blocks = audio[:, begin:].unfold(-1, envelope.WINDOW, hop)[:, : gain.shape[-1]] * window
    offset = envelope.OFFSET
    spectrum = torch.fft.rfft(torch.nn.functional.pad(blocks, (offset, offset)))
    filtered = torch.fft.irfft(spectrum * gain.transpose(-1, -2), envelope.FFT)
    total = (gain.shape[-1] - 1) * hop + envelope.FFT
    folded = torch.nn.functional.fold(filtered.transpose(-1, -2), (1, total), (1, envelope.FFT), stride=(1, hop))[:, 0, 0]
    start = context - begin + offset
    return folded[:, start : start + length] / envelope.OLA_SUM


def measure_equaliser(data: Recordings, batches: int = 40) -> Tensor:
    """Half the log of the mean power spectrum of the excitation over active frames, `[envelope.BINS]`.

    Without it the band below 1 kHz has many times the power of the others and the network spends itself there.
    """
    generator = torch.Generator(data.device).manual_seed(1)
    window = torch.hann_window(envelope.WINDOW, device=data.device)
    scale = 1.0 / window.pow(2).sum()
    total = torch.zeros(envelope.BINS, device=data.device)
    frames = 0
    for _ in range(batches):
        batch = data.crops(16, 64, generator, None)
        blocks = batch.excitation.unfold(-1, envelope.WINDOW, melspec.HOP) * window
        power = torch.fft.rfft(blocks, envelope.FFT).abs() ** 2 * scale
        loudness = torch.logsumexp(batch.mel[..., MARGIN : MARGIN + blocks.shape[1]], 1)
        active = (loudness > loudness.amax() - 6.0)[..., None]
        # The excitation is small before it is equalised: outliers are those far above the median level.
        level = power.median()
        total += (power.clamp(max=60.0 * level) * active).sum((0, 1))
        frames += int(active.sum())
    mean = (total / max(frames, 1)).clamp(min=1e-12)
    padded = torch.nn.functional.pad(mean[None, None], (4, 4), mode="replicate")
    smooth = torch.nn.functional.avg_pool1d(padded, 9, 1)[0, 0]
    return 0.5 * torch.log(smooth)
