"""Recordings in memory, random crops out.

A data set is a folder with a `manifest.tsv` (columns split, file, seconds and, from `corpus`, speaker, weight, bandwidth and pitch; files relative to
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

from . import augment, envelope
from .augment import Augmentation, Dice
from .mel import HIFIGAN, Convention

# Frames of true context kept on each side of a crop: the conditioner's reach.
MARGIN = 8
# Frames of digital silence between clips, so that a crop may start before its clip or end after it.
GUARD = 2 * MARGIN + 4

# Voices below this pitch, in Hz, are drawn more often, by the square of how far they are below it, at most LOW_VOICES times: the lower a voice, the less a mel
# tells its harmonics apart, and the fewer of its kind a corpus has.
LOW_PITCH = 150.0
LOW_VOICES = 3.0
# A recording counts as band-limited where its bandwidth ends this far below Nyquist, in Hz.
FULL_BAND = 700.0
# Share of a bandwidth below which the losses look: a recording fades towards its end.
KNOWN = 0.96


@dataclass(frozen=True)
class Entry:
    """One file of a data set."""

    path: Path
    speaker: str
    weight: float  # how often its speaker is drawn, beside others of as many seconds
    cutoff: float  # Hz; the losses look below it


def entries(folder: Path, split: str, rate: int = HIFIGAN.sample_rate) -> list[Entry]:
    """The files of one split, to be read at `rate`; without a manifest every file belongs to `train`, and its folder is its speaker."""
    manifest = folder / "manifest.tsv"
    if manifest.exists():
        with manifest.open(newline="") as lines:
            rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["split"] == split]
        return [_entry(folder, row, rate) for row in rows]
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".wav", ".flac"})
    return [Entry(p, p.parent.name, 1.0, math.inf) for p in files] if split == "train" else []


def _entry(folder: Path, row: dict[str, str], rate: int) -> Entry:
    path = folder / row["file"]
    bandwidth = float(row.get("bandwidth") or math.inf)
    limited = bandwidth < rate / 2 - FULL_BAND
    weight = float(row.get("weight") or 1.0) * low_voice(float(row.get("pitch") or 0.0))
    return Entry(path, row.get("speaker") or path.parent.name, weight, KNOWN * bandwidth if limited else math.inf)


def low_voice(pitch: float) -> float:
    """How many times as often a voice of so many Hz is drawn, 0 being none that is known."""
    return min(max((LOW_PITCH / pitch) ** 2, 1.0), LOW_VOICES) if pitch > 0.0 else 1.0


def clip_paths(folder: Path, split: str) -> list[Path]:
    """The files of one split."""
    return [entry.path for entry in entries(folder, split)]


def read_clip(path: Path, rate: int = HIFIGAN.sample_rate) -> np.ndarray:
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
    """All clips of a split on one device, at the convention's rate, cropped there."""

    def __init__(self, folders: list[Path], split: str, device: torch.device, convention: Convention = HIFIGAN, skip: tuple[str, ...] = ()) -> None:
        rate = convention.sample_rate
        found = [e for folder in folders for e in entries(folder, split, rate)]
        found = [e for e in found if not any(part in e.path.parts for part in skip)]
        if not found:
            raise SystemExit(f"no '{split}' clips under {', '.join(map(str, folders))}: give --data a folder with manifest.tsv or audio files")
        clips = [np.clip(read_clip(e.path, rate) * 32767.0, -32768, 32767).astype(np.int16) for e in found]
        self.paths = [e.path for e in found]
        self.convention = convention
        self.seconds = sum(map(len, clips)) / rate
        silence = np.zeros(GUARD * convention.hop, np.int16)
        parts, starts, position = [silence], [], len(silence)
        for clip in clips:
            starts.append(position)
            parts += [clip, silence]
            position += len(clip) + len(silence)
        self.device = device
        self.flat = torch.from_numpy(np.concatenate(parts)).to(device)
        self.starts = torch.tensor(starts, device=device)
        self.lengths = torch.tensor([len(c) for c in clips], device=device)
        self.cutoffs = torch.tensor([e.cutoff for e in found], device=device)
        self.weights = speaker_weights(found, [len(c) / rate for c in clips]).to(device)

    def _draw(self, count: int, frames: int, dice: Dice, how: Augmentation) -> tuple[Tensor, Tensor, Tensor]:
        """Audio `[B, before + (MARGIN + frames + MARGIN) * hop + after]`, where it lies inside its clip, and below which frequency it is known, `[B]`."""
        hop, length = self.convention.hop, frames * self.convention.hop
        which = torch.multinomial(self.weights, count, replacement=True, generator=dice.generator)
        start, size = self.starts[which], self.lengths[which]
        # A crop may begin up to MARGIN frames before its clip and end as many after it.
        slack = MARGIN * hop
        room = (size - length + 2 * slack).clamp(min=1)
        first = start - slack + (dice.uniform(count) * room).long()
        offsets = torch.arange(-slack - self.convention.before, length + slack + self.convention.after, device=self.device)
        speed = augment.speeds(count, how, dice)
        places = first[:, None] + offsets * speed.double()[:, None]
        inside = (places >= start[:, None]) & (places < (start + size)[:, None])
        audio = augment.samples(self.flat, places)
        cutoff = torch.where(speed < 1, self.cutoffs[which].clamp(max=KNOWN * self.convention.sample_rate / 2) * speed, self.cutoffs[which])
        audio = audio / 32768.0 * inside
        return augment.recording(audio, self.convention.sample_rate, how, dice) * inside, inside, cutoff

    def crops(self, count: int, frames: int, generator: torch.Generator, log_equaliser: Tensor | None, how: Augmentation | None = None) -> Batch:
        """Random crops at any sample, clips drawn by `weights`; `how` they are changed, by default in level alone."""
        how, dice, convention = how or Augmentation(quiet=0.0, low_pass=0.0), Dice(generator), self.convention
        audio, inside, cutoff = self._draw(count, frames, dice, how)
        mel = augment.mel(convention.of_padded(audio), convention.log_floor, how, dice)
        inner = mel[..., MARGIN - envelope.EDGE - 2 : mel.shape[-1] - (MARGIN - envelope.EDGE - 2)]
        gains = torch.exp(-envelope.log_gain(convention, inner, log_equaliser))
        crop = slice(convention.before + MARGIN * convention.hop, -MARGIN * convention.hop - convention.after)
        # The filter sees the crop with its neighbours, unlike `envelope.apply_gain` at a clip's ends.
        filtered = envelope.filter_blocks(convention, audio[:, crop.start - envelope.reach(convention) :], gains)
        start = envelope.reach(convention) + (envelope.FFT - envelope.window_length(convention)) // 2
        mask = inside[:, crop].float()
        excitation = filtered[:, start : start + mask.shape[1]]
        return Batch(excitation.clamp(-30.0, 30.0) * mask, mel, mask, cutoff)


def speaker_weights(found: list[Entry], seconds: list[float]) -> Tensor:
    """How often each clip is drawn: a speaker by the root of its seconds, so that many are heard; its clips by their length."""
    total: dict[str, float] = {}
    for entry, length in zip(found, seconds, strict=True):
        total[entry.speaker] = total.get(entry.speaker, 0.0) + length
    return torch.tensor([e.weight * length / math.sqrt(max(total[e.speaker], 1e-9)) for e, length in zip(found, seconds, strict=True)])


def measure_equaliser(data: Recordings, batches: int = 40) -> Tensor:
    """Half the log of the mean power spectrum of the excitation over active frames, `[envelope.BINS]`.

    Without it the band below 1 kHz has many times the power of the others and the network spends itself there.
    """
    generator = torch.Generator(data.device).manual_seed(1)
    window = torch.hann_window(envelope.window_length(data.convention), device=data.device)
    scale = 1.0 / window.pow(2).sum()
    total = torch.zeros(envelope.BINS, device=data.device)
    frames = 0
    for _ in range(batches):
        batch = data.crops(16, 64, generator, None)
        blocks = batch.excitation.unfold(-1, len(window), data.convention.hop) * window
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
