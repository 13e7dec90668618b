"""What the program makes of hard and of wrong mels: `python -m vocode_training.robustness --data SPEECH --binary vocode --out ../../docs`.

Speech under strain is scored against what it should have been; silence, noise, one frame and ten minutes are checked for what must hold;
mels of other conventions are given without saying so. Writes `robustness.md`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import welch

from .evaluate import load_clips
from .mel import HIFIGAN
from .metrics import distillmos, dnsmos, pesq_wb, stoi
from .sweep import parser_of
from .systems import Clip, griffin_lim, read_wav, run_binary

RATE, HOP = HIFIGAN.sample_rate, HIFIGAN.hop
MINUTE = 60 * RATE // HOP * HOP


@dataclass(frozen=True)
class Strain:
    """A way to make the mels of speech harder: what is done to the audio and then to the mel."""

    name: str
    audio: Callable[[np.ndarray], np.ndarray] = lambda audio: audio
    mel: Callable[[np.ndarray], np.ndarray] = lambda mel: mel
    gain: float = 1.0  # taken back before scoring
    flags: tuple[str, ...] = ()  # of the program


def white(shape: int | tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def noisy(decibels: float) -> Callable[[np.ndarray], np.ndarray]:
    """White noise so far below the speech."""
    return lambda audio: audio + white(len(audio)) * rms(audio) * 10 ** (-decibels / 20)


def jitter(nepers: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda mel: np.maximum(mel + nepers * white(mel.shape), np.float32(HIFIGAN.log_floor))


def blur(bands: float, frames: float) -> Callable[[np.ndarray], np.ndarray]:
    """A Gaussian over the log-mel, as regression leaves the mels of a speech synthesiser."""
    return lambda mel: gaussian_filter(mel, (bands, frames), mode="nearest")


RESTORED = ("--restore", "auto")
STRAINS = (
    Strain("as it is"),
    Strain("40 dB quieter", audio=lambda a: a * np.float32(0.01), gain=0.01),
    Strain("12 dB louder", audio=lambda a: a * np.float32(4.0), gain=4.0),
    Strain("12 dB louder, clipped at full scale", audio=lambda a: np.clip(4.0 * a, -1.0, 1.0)),
    Strain("white noise in the audio, 20 dB below", audio=noisy(20.0)),
    Strain("white noise in the audio, as loud as the speech", audio=noisy(0.0)),
    Strain("noise on the mel, 0.2 nepers", mel=jitter(0.2)),
    Strain("noise on the mel, 0.5 nepers", mel=jitter(0.5)),
    Strain("mel blurred over 1 frame", mel=blur(0.0, 1.0)),
    Strain("mel blurred over 1 band", mel=blur(1.0, 0.0)),
    Strain("mel blurred over 1 frame and 1 band", mel=blur(1.0, 1.0)),
    Strain("mel blurred over 2 frames and 2 bands", mel=blur(2.0, 2.0)),
    Strain("as it is, `--restore auto`", flags=RESTORED),
    Strain("1 frame, `--restore auto`", mel=blur(0.0, 1.0), flags=RESTORED),
    Strain("1 band, `--restore auto`", mel=blur(1.0, 0.0), flags=RESTORED),
    Strain("1 frame and 1 band, `--restore auto`", mel=blur(1.0, 1.0), flags=RESTORED),
    Strain("1.5 frames and 1.5 bands, `--restore auto`", mel=blur(1.5, 1.5), flags=RESTORED),
    Strain("2 frames and 2 bands, `--restore auto`", mel=blur(2.0, 2.0), flags=RESTORED),
)


@dataclass(frozen=True)
class WrongMel:
    """A mel that is not what the program takes it for."""

    name: str
    convention: str = ""  # what `vocode mel --mel-convention` takes, a name or TOML; empty: the right one
    change: Callable[[np.ndarray], np.ndarray] = lambda mel: mel


WRONG = (
    WrongMel("[frames, bands], which is told from the shape", change=lambda m: m.T),
    WrongMel("`tacotron2`, half a hop late", "tacotron2"),
    WrongMel("`lmnt`", "lmnt"),
    WrongMel("`vocos24k`", "vocos24k"),
    WrongMel("logarithm to base 10", change=lambda m: m / np.float32(np.log(10))),
    WrongMel("`espnet`: base 10, floor 1e-10, bands of 80 to 7600 Hz", "espnet"),
    WrongMel("decibels", change=lambda m: m * np.float32(20 / np.log(10))),
    WrongMel("decibels mapped to -4 to 4", change=lambda m: np.clip((m * 8.686 + 100) / 100 * 8 - 4, -4, 4).astype(np.float32)),
    WrongMel("decibels mapped to -1 to 1", change=lambda m: np.clip((m * 8.686 + 80) / 50 - 1, -1, 1).astype(np.float32)),
    WrongMel("z-normalised", change=lambda m: (m - m.mean()) / m.std()),
    WrongMel("no logarithm", change=np.exp),
    WrongMel("power, floor 1e-10", change=lambda m: 2 * m),
    WrongMel("power, floor 1e-5", 'base = "hifigan"\npower = 2.0'),
    WrongMel("audio of 16-bit integers, not divided by 32768", change=lambda m: m + np.float32(np.log(32768))),
    WrongMel("bands up to 11,025 Hz", 'base = "hifigan"\nf_max = 11025.0'),
    WrongMel("HTK mel scale", 'base = "hifigan"\nscale = "htk"'),
    WrongMel("filters of unit peak", 'base = "hifigan"\nnorm = "none"'),
    WrongMel("24,000 Hz, hop 300", 'base = "hifigan"\nsample_rate = 24000\nhop = 300'),
    WrongMel("NaN in one value", change=lambda m: np.where(np.arange(m.size).reshape(m.shape) == 99, np.float32(np.nan), m)),
)


PAGE = """\
# Hard and wrong mels

What the built-in model makes of them with its default schedule and seed 0, written by
`python -m vocode_training.robustness --data SPEECH --binary vocode --out ../../docs` from `models/training`. Levels are RMS unless they are called
peaks; 0 dBFS is an amplitude of 1.

## Speech under strain

{clips} held-out clips ({seconds:.0f} s). The target is the audio that the mel was taken from; where only the mel is changed, the clean recording. Speech made
louder or quieter is scored at its usual level, its own level is in the last columns. A blurred
log-mel is a quieter one: its peaks are what the blur takes. Griffin-Lim (32 iterations) starts from the same mels.

{strained}

## What is no speech

{fixed}

## A long mel

The clips one after the other, again and again. The work is done in windows of fixed size; what grows with the length is the mel and
the audio, which are held whole.

{minutes}

## Mels of other conventions

The first clip's mel as other programs write it, given without `--mel-convention`. PESQ-wb against the recording, 3 to 4 where all is well. What only
changes the meaning of the bands or of the frames leaves no mark on the values, and is taken. How often another scale is told, and how often a right mel is
wrongly remarked on, is in [scales.md](scales.md); the names and the fields of conventions in [conventions.md](conventions.md).

{wrong}
"""


@dataclass(frozen=True)
class Outcome:
    """How one run of the program ended."""

    code: int
    message: str
    mebibytes: float
    audio: np.ndarray


def arguments() -> argparse.Namespace:
    parser = parser_of(__doc__)
    parser.add_argument("--minutes", type=int, default=10, help="length of the long mel")
    parser.add_argument("--out", type=Path, required=True, help="folder for robustness.md")
    return parser.parse_args()


def rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def dbfs(amplitude: float) -> str:
    """A level, 0 dBFS being an amplitude of 1."""
    return f"{20 * np.log10(amplitude):.1f} dBFS" if amplitude > 0 else "digital zero"


def hop_buzz(audio: np.ndarray) -> float:
    """How far the power of the audio pulses at the rate of the frames, in dB over the pulsing at other rates near it: 0 where no frame shows."""
    rates, power = welch(np.square(audio, dtype=np.float64), RATE, nperseg=64 * HOP)
    frame_rate = RATE / HOP
    near = (np.abs(rates - frame_rate) < 25) & (np.abs(rates - frame_rate) > 5)
    return float(10 * np.log10(power[np.argmin(np.abs(rates - frame_rate))] / np.median(power[near])))


def peak_mebibytes(process: int) -> float:
    """Most resident memory of a process so far. What `wait4` tells is no less than that of this process, which started it."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


class Program:
    """The program, one mel a run."""

    def __init__(self, binary: Path, bundle: Path | None, folder: Path) -> None:
        self.binary = binary
        self.model = ["--model", str(bundle) if bundle else "default"]
        self.folder = folder

    def run(self, mel: np.ndarray, *words: str) -> Outcome:
        source, out, log = (self.folder / name for name in ("in.npy", "out.wav", "log"))
        np.save(source, mel)
        out.unlink(missing_ok=True)
        with log.open("w") as stream:
            command = [self.binary, source, "-o", out, "--format", "f32", *self.model, *words]
            process = subprocess.Popen(list(map(str, command)), stderr=stream, stdout=subprocess.DEVNULL)
            peak = 0.0
            while process.poll() is None:
                peak = max(peak, peak_mebibytes(process.pid))
                time.sleep(0.01)
        audio = soundfile.read(out, dtype="float32")[0] if out.exists() else np.zeros(0, np.float32)
        return Outcome(process.returncode, log.read_text().strip(), peak, audio)

    def mel(self, clip: Clip, convention: str) -> np.ndarray:
        """The clip's mel as `vocode mel` makes it in another convention."""
        wav, mel, toml = (self.folder / name for name in ("clip.wav", "clip.npy", "convention.toml"))
        soundfile.write(wav, clip.audio, RATE, subtype="FLOAT")
        toml.write_text(convention)
        named = str(toml) if "=" in convention else convention or "hifigan"
        subprocess.run([self.binary, "mel", wav, "-o", mel, "--force", "-q", "--mel-convention", named], check=True)
        return np.load(mel)


def score_strained(job: tuple[np.ndarray, np.ndarray, np.ndarray, float]) -> tuple[float, ...]:
    """One clip under one strain, in a worker process: the target, the mel, what was made of it, and the gain to take back."""
    target, mel, audio, gain = job
    torch.set_num_threads(1)
    level = 20 * np.log10(rms(audio) / rms(target))
    reference, estimate, classic = (a / np.float32(gain) for a in (target, audio, griffin_lim(mel)))
    scores = pesq_wb(estimate, reference), stoi(estimate, reference, extended=True), dnsmos(estimate)[0], distillmos(estimate)
    return (*scores, dnsmos(reference)[0], distillmos(reference), pesq_wb(classic, reference), level, float(np.abs(audio).max()))


def strained_speech(args: argparse.Namespace, clips: list[Clip], folder: Path) -> list[str]:
    lines = [
        "| speech | PESQ-wb | Griffin-Lim's | ESTOI | DNSMOS, of the target | DistillMOS, of the target | level against the target | highest peak |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for number, strain in enumerate(STRAINS):
        targets = [strain.audio(clip.audio) for clip in clips]
        heard = [strain.mel(HIFIGAN.mel(torch.from_numpy(target)[None])[0].numpy()) for target in targets]
        out = folder / f"strain-{number}"
        run_binary(args.binary, args.bundle, list(strain.flags), {clip.name: mel for clip, mel in zip(clips, heard, strict=True)}, out)
        jobs = [(target, mel, read_wav(out, clip), strain.gain) for clip, target, mel in zip(clips, targets, heard, strict=True)]
        with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
            rows = np.array(list(pool.map(score_strained, jobs)))
        pesq, estoi, ovrl, distilled, target_ovrl, target_distilled, classic, level, _ = rows.mean(0)
        lines.append(
            f"| {strain.name} | {pesq:.2f} | {classic:.2f} | {estoi:.3f} | {ovrl:.2f}, {target_ovrl:.2f} | {distilled:.2f}, {target_distilled:.2f} "
            f"| {level:+.1f} dB | {dbfs(rows[:, -1].max())} |"
        )
        print(lines[-1], flush=True)
    return lines


def properties(program: Program, clip: Clip) -> list[str]:
    """Rows of what must hold outside speech. A run that fails or gives NaN ends the program here."""

    def made(mel: np.ndarray) -> np.ndarray:
        outcome = program.run(mel)
        if outcome.code != 0 or len(outcome.audio) != mel.shape[1] * HOP or not np.isfinite(outcome.audio).all():
            raise SystemExit(f"{mel.shape[1]} frames: exit code {outcome.code}, {len(outcome.audio)} samples: {outcome.message}")
        return outcome.audio

    def peak(audio: np.ndarray) -> str:
        return dbfs(float(np.abs(audio).max()))

    silence = made(np.full((HIFIGAN.n_mels, 430), HIFIGAN.log_floor, np.float32))
    gap = np.concatenate([clip.mel, np.full((HIFIGAN.n_mels, 172), HIFIGAN.log_floor, np.float32), clip.mel], 1)
    inside = made(gap)[clip.mel.shape[1] * HOP :][: 172 * HOP][RATE // 10 : -RATE // 10]
    noise = np.float32(0.07) * white(MINUTE)
    noise_mel = HIFIGAN.mel(torch.from_numpy(noise)[None])[0].numpy()
    hiss = made(noise_mel)
    offset = (HIFIGAN.mel(torch.from_numpy(hiss)[None])[0].numpy() - noise_mel).mean() * 20 / np.log(10)
    chaos = made(np.random.default_rng(0).uniform(HIFIGAN.log_floor, 2.0, (HIFIGAN.n_mels, 430)).astype(np.float32))
    loudest = clip.mel[:, [int(clip.mel.sum(0).argmax())]]
    moment, held = made(loudest), made(np.repeat(loudest, MINUTE // HOP, 1))
    rows = [
        ("silence, 5 s of the floor", f"RMS {dbfs(rms(silence))}, peak {peak(silence)}"),
        ("2 s of silence between two clips, 0.1 s from their ends", f"RMS {dbfs(rms(inside))}, peak {peak(inside)}"),
        (
            "white noise, 60 s at -23 dBFS",
            f"level {20 * np.log10(rms(hiss) / rms(noise)):+.1f} dB, in the mel's bands {offset:+.1f} dB; pulsing at the frames' rate "
            f"{hop_buzz(hiss):+.1f} dB over its neighbours (the noise itself {hop_buzz(noise):+.1f} dB)",
        ),
        ("random values from the floor to 2, 5 s", f"finite, RMS {dbfs(rms(chaos))}, peak {peak(chaos)}"),
        ("one frame, the loudest of a clip", f"{len(moment)} samples, finite, RMS {dbfs(rms(moment))}, peak {peak(moment)}"),
        (
            "the same frame held for 60 s",
            f"RMS {dbfs(rms(held))}, peak {peak(held)}; pulsing at the frames' rate {hop_buzz(held):+.1f} dB over its neighbours",
        ),
    ]
    return ["| mel | what comes out |", "|---|---|", *(f"| {name} | {found} |" for name, found in rows)]


def long_mel(program: Program, clips: list[Clip], minutes: int) -> list[str]:
    """Level and likeness minute by minute, and the memory that one minute and all of them take."""
    speech = np.concatenate([c.audio for c in clips])
    reference = np.tile(speech, -(-minutes * MINUTE // len(speech)))[: minutes * MINUTE]
    mel = HIFIGAN.mel(torch.from_numpy(reference)[None])[0].numpy()
    short, long = program.run(mel[:, : MINUTE // HOP]), program.run(mel)
    if long.code != 0 or len(long.audio) != len(reference) or not np.isfinite(long.audio).all():
        raise SystemExit(f"{minutes} minutes: exit code {long.code}, {len(long.audio)} samples: {long.message}")
    lines = ["| minute | level of the recording | level against it | mean (DC) | ESTOI |", "|---:|---:|---:|---:|---:|"]
    for minute in range(minutes):
        part = slice(minute * MINUTE, (minute + 1) * MINUTE)
        a, b = long.audio[part], reference[part]
        level, mean = 20 * np.log10(rms(a) / rms(b)), float(a.mean(dtype=np.float64))
        lines.append(f"| {minute + 1} | {dbfs(rms(b))} | {level:+.2f} dB | {mean:+.1e} | {stoi(a, b, extended=True):.3f} |")
    memory = f"All {minutes} minutes are finite. Peak resident memory: {short.mebibytes:.0f} MiB for one minute, {long.mebibytes:.0f} MiB for {minutes}."
    return [memory, "", *lines]


def wrong_mels(program: Program, clip: Clip) -> list[str]:
    lines = ["| mel, said to be `hifigan` | the program | what it says | PESQ-wb of what came out |", "|---|---|---|---:|"]
    for wrong in WRONG:
        outcome = program.run(wrong.change(program.mel(clip, wrong.convention)))
        # The summary is the last line; before it come remarks.
        remarks = [line for line in outcome.message.splitlines() if re.match(r"(warning|note|error)\b", line, re.IGNORECASE)]
        verdict = "refuses" if outcome.code else "warns" if remarks else "takes it"
        said = re.sub(r"\S*in\.npy: ", "", "; ".join(remarks)).replace("|", "\\|")
        score = "" if outcome.code else f"{pesq_wb(np.resize(outcome.audio, len(clip.audio)), clip.audio):.2f}"
        lines.append(f"| {wrong.name} | {verdict} | {said} | {score} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    args = arguments()
    clips = load_clips(args.data, args.split, args.limit)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = Program(args.binary, args.bundle, folder)
        wrong = wrong_mels(program, clips[0])
        fixed = properties(program, clips[0])
        minutes = long_mel(program, clips, args.minutes)
        strained = strained_speech(args, clips, folder)
    seconds = sum(len(clip.audio) for clip in clips) / RATE
    page = PAGE.format(
        clips=len(clips),
        seconds=seconds,
        strained="\n".join(strained),
        fixed="\n".join(fixed),
        minutes="\n".join(minutes),
        wrong="\n".join(wrong),
    )
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "robustness.md").write_text(page)


if __name__ == "__main__":
    main()
