"""Recordings in, a corpus with a manifest out: `python -m vocode_training.corpus --source FOLDER --out CORPUS`.

A source is a folder with a `sources.tsv` (columns set, speaker, file, licence; files relative to it), or a folder of SPEAKER/FILE with
`--licence` for all. Every recording is decoded and resampled once, trimmed of silence, brought to one level and to one polarity, and short
ones of a speaker are joined. Recordings that are noisy, clipped or nearly silent are left out; why, and how many, is in `left_out.tsv`.

`manifest.tsv`: split, file, seconds, speaker, set, weight, rate (of the source), bandwidth, pitch (the speaker's median in Hz, 0: unknown),
polarity (-1: turned over), licence.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from . import pitch, voice

COLUMNS = ("split", "file", "seconds", "speaker", "set", "weight", "rate", "bandwidth", "pitch", "polarity", "licence")
# Thresholds of what is left out.
LEAST_SECONDS = 0.25
LEAST_SNR = 20.0
MOST_CLIPPED = 1e-3
# Level: power over frames that are heard, and the highest peak, relative to full scale.
SPEECH_DB = -23.0
PEAK = 0.95
# Short recordings of a speaker are joined up to about so many seconds, with a pause between them.
JOINED_SECONDS = 12.0
PAUSE_SECONDS = 0.12
# How many recordings tell the polarity of a speaker.
POLARITY_CLIPS = 12
# How many joined recordings, and how much of each, tell the pitch of a speaker.
PITCH_CLIPS = 5
PITCH_SECONDS = 15


@dataclass(frozen=True)
class Origin:
    """One published file."""

    set: str
    speaker: str
    path: Path
    licence: str


@dataclass
class Speaker:
    """What is kept of one speaker: `[T]` float32 at the corpus' rate each."""

    set: str
    licence: str
    clips: list[np.ndarray] = field(default_factory=list)
    rates: list[int] = field(default_factory=list)
    bandwidths: list[float] = field(default_factory=list)
    seconds: float = 0.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, action="append", required=True, help="folder of recordings; may be given again")
    parser.add_argument("--licence", default="", help="licence of sources without a sources.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rate", type=int, default=22_050)
    parser.add_argument("--split", default="train", help="what the manifest calls these recordings")
    parser.add_argument("--minutes", type=float, default=25.0, help="at most so much of one speaker")
    parser.add_argument("--lead", action="append", default=[], metavar="SET=SECONDS:SECONDS", help="cut so much from each file's begin and end (announcements)")
    parser.add_argument("--weight", action="append", default=[], metavar="SET=FACTOR", help="draw the speakers of a set more or less often")
    parser.add_argument("--music", action="append", default=[], metavar="SET", help="a set whose quiet parts are no noise")
    parser.add_argument("--keep-polarity", action="store_true", help="turn no speaker over (recordings to score with)")
    return parser.parse_args()


def origins(folder: Path, licence: str) -> list[Origin]:
    """The files of a source, in a fixed order."""
    table = folder / "sources.tsv"
    if table.exists():
        with table.open(newline="") as lines:
            rows = [r for r in csv.DictReader(lines, delimiter="\t") if r["set"] != "set"]
        return [Origin(r["set"], r["speaker"], folder / r["file"], r["licence"]) for r in rows]
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".wav", ".flac", ".ogg", ".mp3"})
    if not files:
        raise SystemExit(f"{folder}: no sources.tsv and no recordings (.wav, .flac, .ogg, .mp3) in it")
    if not licence:
        raise SystemExit(f"{folder} has no sources.tsv: say with --licence under what its recordings were published")
    return [Origin(folder.name, p.parent.name, p, licence) for p in files]


def decode(path: Path) -> tuple[np.ndarray, int]:
    """One file as mono float32; where two channels cancel each other, the first."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = audio.mean(1)
    if audio.shape[1] > 1 and np.square(mono).sum() < 0.1 * np.square(audio[:, 0]).sum():
        mono = audio[:, 0]
    return mono, rate


def levelled(audio: np.ndarray, rate: int) -> np.ndarray:
    """At SPEECH_DB over the heard frames, unless a peak would pass PEAK."""
    powers = voice.frame_powers(audio, rate)
    heard = powers[powers > powers.max(initial=0.0) * 1e-3]
    gain = 10 ** (SPEECH_DB / 20) / np.sqrt(heard.mean())
    return (audio * min(gain, PEAK / np.abs(audio).max())).astype(np.float32)


def fault(audio: np.ndarray, rate: int, music: bool) -> str | None:
    """Why a recording is left out, or None."""
    if len(audio) < LEAST_SECONDS * rate:
        return f"shorter than {LEAST_SECONDS} s without its silence"
    if not np.isfinite(audio).all() or np.abs(audio).max() < 1e-3:
        return "silent or not finite"
    if voice.clipped_share(audio) > MOST_CLIPPED:
        return f"more than {MOST_CLIPPED:.1%} of the samples clipped"
    if not music and len(audio) > 2 * rate and voice.speech_to_noise(audio, rate) < LEAST_SNR:
        return f"less than {LEAST_SNR:.0f} dB between speech and noise"
    return None


def prepared(origin: Origin, rate: int, cut: tuple[float, float], music: bool) -> tuple[np.ndarray, int, float] | str:
    """A recording ready for the corpus with its own rate and bandwidth, or why it is left out."""
    try:
        audio, found = decode(origin.path)
    except soundfile.LibsndfileError as error:
        return f"not decoded: {error.error_string}"
    audio = audio[round(cut[0] * found) : len(audio) - round(cut[1] * found)]
    if len(audio) < LEAST_SECONDS * found:
        return f"shorter than {LEAST_SECONDS} s"
    width = voice.bandwidth(audio, found)
    audio = voice.trimmed(soxr.resample(audio, found, rate, quality="VHQ"), rate)
    return fault(audio, rate, music) or (levelled(audio, rate), found, width)


def pairs(words: list[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)


def gather(args: argparse.Namespace) -> tuple[dict[str, Speaker], list[tuple[str, str, str]]]:
    """All speakers, and what was left out as (speaker, file, why)."""
    cuts = {name: tuple(float(x) for x in value.split(":")) for name, value in pairs(args.lead).items()}
    speakers: dict[str, Speaker] = {}
    out: list[tuple[str, str, str]] = []
    for origin in (o for folder in args.source for o in origins(folder, args.licence)):
        name = origin.speaker if origin.speaker.startswith(origin.set) else f"{origin.set}.{origin.speaker}"
        speaker = speakers.setdefault(name, Speaker(origin.set, origin.licence))
        if speaker.seconds >= args.minutes * 60:
            continue
        found = prepared(origin, args.rate, cuts.get(origin.set, (0.0, 0.0)), origin.set in args.music)
        if isinstance(found, str):
            out.append((name, origin.path.name, found))
            continue
        audio, rate, width = found
        speaker.clips.append(audio)
        speaker.rates.append(rate)
        speaker.bandwidths.append(width)
        speaker.seconds += len(audio) / args.rate
    return {name: s for name, s in speakers.items() if s.clips}, out


def polarity(clips: list[np.ndarray], rate: int) -> int:
    """-1 where the clips are to be turned over so that closures point down, else 1."""
    longest = sorted(clips, key=len)[-3 * POLARITY_CLIPS :: 3]
    mean = np.mean([voice.residual_skewness(c[: 8 * rate], rate) for c in longest])
    return -1 if mean > voice.POLARITY_KNOWN else 1


def joined(clips: list[np.ndarray], rate: int) -> list[np.ndarray]:
    """Neighbours put together, with a pause between them, until JOINED_SECONDS are reached."""
    pause = np.zeros(round(PAUSE_SECONDS * rate), np.float32)
    done: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    for clip in clips:
        parts += [clip, pause]
        if sum(map(len, parts)) > JOINED_SECONDS * rate:
            done.append(np.concatenate(parts[:-1]))
            parts = []
    return done + ([np.concatenate(parts[:-1])] if parts else [])


def voice_pitch(clips: list[np.ndarray], rate: int) -> float:
    """The median pitch of a speaker in Hz, of some of the clips."""
    return pitch.median([c[: PITCH_SECONDS * rate] for c in clips[:: len(clips) // PITCH_CLIPS + 1]], rate)


def write(args: argparse.Namespace, speakers: dict[str, Speaker]) -> list[dict[str, object]]:
    """The corpus' files; returns the rows of the manifest."""
    weights = pairs(args.weight)
    rows = []
    for name, speaker in sorted(speakers.items()):
        sign = 1 if args.keep_polarity else polarity(speaker.clips, args.rate)
        common = {
            "split": args.split,
            "speaker": name,
            "set": speaker.set,
            "weight": float(weights.get(speaker.set, 1.0)),
            "rate": int(np.median(speaker.rates)),
            "bandwidth": round(float(np.median(speaker.bandwidths))),
            "polarity": sign,
            "licence": speaker.licence,
        }
        clips = joined(speaker.clips, args.rate)
        common["pitch"] = 0 if speaker.set in args.music else round(voice_pitch(clips, args.rate))
        (args.out / name).mkdir(parents=True, exist_ok=True)
        for number, clip in enumerate(clips):
            file = f"{name}/{number:04d}.flac"
            soundfile.write(args.out / file, sign * clip, args.rate, subtype="PCM_16")
            rows.append({**common, "file": file, "seconds": round(len(clip) / args.rate, 2)})
    return rows


def write_table(path: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerows([columns, *rows])


def main() -> None:
    args = arguments()
    speakers, left_out = gather(args)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = write(args, speakers)
    write_table(args.out / "manifest.tsv", COLUMNS, [tuple(row[c] for c in COLUMNS) for row in rows])
    write_table(args.out / "left_out.tsv", ("speaker", "file", "why"), left_out)
    minutes = sum(float(row["seconds"]) for row in rows) / 60
    print(f"{args.out}: {len(speakers)} speakers, {len(rows)} clips, {minutes:.1f} min; left out: {dict(Counter(why for *_, why in left_out))}")


if __name__ == "__main__":
    main()
