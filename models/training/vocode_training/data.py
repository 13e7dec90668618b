"""Recordings in memory, random crops out.

A data set is a folder with a `manifest.tsv` (columns split, file, seconds and, from `corpus`, speaker, weight and bandwidth; files relative to
it) or a plain folder of WAV/FLAC files. Any rate and channel count is read; everything is held once as mono int16 at the model's rate.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import resample_poly
from torch import Tensor

from . import augment, envelope, mel as melspec
from .augment import Augmentation, Dice

# Frames of true context kept on each side of a crop: the conditioner's reach.
MARGIN = 8
# Samples of it, with what the mel's first window needs.
CONTEXT = MARGIN * melspec.HOP + (melspec.N_FFT - melspec.HOP) // 2
# Digital silence between clips, so that a crop may start before its clip or end after it.
GUARD = (2 * MARGIN + 4) * melspec.HOP


# A recording counts as band-limited where its bandwidth ends this far below Nyquist, in Hz.
FULL_BAND = 700.0


@dataclass(frozen=True)
class Entry:
    """One file of a data set."""

    path: Path
    speaker: str
    weight: float  # how often its speaker is drawn, beside others of as many seconds
    cutoff: float  # Hz; the losses look below it


def entries(folder: Path, split: str) -> list[Entry]:
    """The files of one split; without a manifest every file belongs to `train`, and its folder is its speaker."""
    manifest = folder / "manifest.tsv"
    if manifest.exists():
        with manifest.open(newline="") as lines:
            rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["split"] == split]
        return [_entry(folder, row) for row in rows]
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".wav", ".flac"})
    return [Entry(p, p.parent.name, 1.0, math.inf) for p in files] if split == "train" else []


def _entry(folder: Path, row: dict[str, str]) -> Entry:
    path = folder / row["file"]
    bandwidth = float(row.get("bandwidth") or math.inf)
    limited = bandwidth < melspec.SAMPLE_RATE / 2 - FULL_BAND
    return Entry(path, row.get("speaker") or path.parent.name, float(row.get("weight") or 1.0), 0.96 * bandwidth if limited else math.inf)


def clip_paths(folder: Path, split: str) -> list[Path]:
    """The files of one split."""
    return [entry.path for entry in entries(folder, split)]


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
    mel: Tensor  # [B, n_mels, frames + 2 * MARGIN], as the model is given it
    inside: Tensor  # [B, frames * hop], 1 inside the clip, 0 outside
    cutoff: Tensor  # [B] Hz, above which nothing is known of the recording


class Recordings:
    """All clips of a split on one device, cropped there."""

    def __init__(self, folders: list[Path], split: str, device: torch.device, skip: tuple[str, ...] = ()) -> None:
        found = [e for folder in folders for e in entries(folder, split)]
        found = [e for e in found if not any(part in e.path.parts for part in skip)]
        if not found:
            raise SystemExit(f"no '{split}' clips under {', '.join(map(str, folders))}: give --data a folder with manifest.tsv or audio files")
        clips = [np.clip(read_clip(e.path) * 32767.0, -32768, 32767).astype(np.int16) for e in found]
        self.paths = [e.path for e in found]
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
        self.cutoffs = torch.tensor([e.cutoff for e in found], device=device)
        self.weights = speaker_weights(found, [len(c) / melspec.SAMPLE_RATE for c in clips]).to(device)

    def _draw(self, count: int, frames: int, dice: Dice, how: Augmentation) -> tuple[Tensor, Tensor, Tensor]:
        """Audio `[B, context + frames * hop + context]` with MARGIN frames and the mel's margin on each side, where it lies inside its clip, and which."""
        hop, length = melspec.HOP, frames * melspec.HOP
        which = torch.multinomial(self.weights, count, replacement=True, generator=dice.generator)
        start, size = self.starts[which], self.lengths[which]
        # A crop may begin up to MARGIN frames before its clip and end as many after it.
        slack = MARGIN * hop
        room = (size - length + 2 * slack).clamp(min=1)
        first = start - slack + (dice.uniform(count) * room).long()
        offsets = torch.arange(-CONTEXT, length + CONTEXT, device=self.device)
        index = (first[:, None] + offsets).clamp(0, len(self.flat) - 1)
        inside = (index >= start[:, None]) & (index < (start + size)[:, None])
        return augment.recording(self.flat[index].float() / 32768.0 * inside, how, dice) * inside, inside, which

    def crops(self, count: int, frames: int, generator: torch.Generator, log_equaliser: Tensor | None, how: Augmentation | None = None) -> Batch:
        """Random crops at any sample, clips drawn by `weights`; `how` they are changed, by default in level alone."""
        how, dice, length = how or Augmentation(quiet=0.0, low_pass=0.0), Dice(generator), frames * melspec.HOP
        audio, inside, which = self._draw(count, frames, dice, how)
        mel = augment.mel(melspec.mel_of_padded(audio), how, dice)
        inner = mel[..., MARGIN - envelope.EDGE - 2 : mel.shape[-1] - (MARGIN - envelope.EDGE - 2)]
        gains = torch.exp(-envelope.log_gain(inner, log_equaliser))
        # The filter sees the crop with its neighbours: whiten with them, then cut.
        excitation = _whiten_crop(audio, gains, CONTEXT, length)
        mask = inside[:, CONTEXT : CONTEXT + length].float()
        return Batch(excitation.clamp(-30.0, 30.0) * mask, mel, mask, self.cutoffs[which])


def speaker_weights(found: list[Entry], seconds: list[float]) -> Tensor:
    """How often each clip is drawn: a speaker by the root of its seconds, so that many are heard; its clips by their length."""
    total: dict[str, float] = {}
    for entry, length in zip(found, seconds, strict=True):
        total[entry.speaker] = total.get(entry.speaker, 0.0) + length
    return torch.tensor([e.weight * length / math.sqrt(max(total[e.speaker], 1e-9)) for e, length in zip(found, seconds, strict=True)])


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
