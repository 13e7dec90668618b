"""What edits a recording can go through: each takes mono samples at 22,050 Hz and gives samples at 22,050 Hz.

Codecs and most effects are those of ffmpeg and sox, which must be installed.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

RATE = 22_050
Attack = Callable[[np.ndarray], np.ndarray]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _through(samples: np.ndarray, ending: str, command: Callable[[str, str], list[str]]) -> np.ndarray:
    """Writes a WAV, has a command make another file of it, and reads that, whatever it is, by ffmpeg."""
    with tempfile.TemporaryDirectory() as folder:
        before, between, after = (str(Path(folder) / name) for name in ("a.wav", f"b.{ending}", "c.wav"))
        soundfile.write(before, samples, RATE)
        _run(command(before, between))
        _run(["ffmpeg", "-y", "-loglevel", "error", "-i", between, "-ar", str(RATE), "-ac", "1", after])
        return soundfile.read(after, dtype="float32")[0]


def _codec(ending: str, *flags: str) -> Attack:
    return lambda x: _through(x, ending, lambda a, b: ["ffmpeg", "-y", "-loglevel", "error", "-i", a, *flags, b])


def _sox(*effect: str) -> Attack:
    return lambda x: _through(x, "wav", lambda a, b: ["sox", a, b, *effect])


def _noise(decibels: float) -> Attack:
    def add(x: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(len(x)).standard_normal(len(x))
        return (x + noise * x.std() * 10 ** (-decibels / 20)).astype(np.float32)

    return add


def _room(seconds: float) -> Attack:
    """A room's response as noise that decays by 60 dB in so many seconds, as loud as the direct sound."""

    def convolve(x: np.ndarray) -> np.ndarray:
        time = np.arange(int(seconds * RATE)) / RATE
        tail = np.random.default_rng(3).standard_normal(len(time)) * 10 ** (-3 * time / seconds)
        tail /= np.sqrt((tail**2).sum())
        tail[0] += 1
        length = len(x) + len(tail)
        wet = np.fft.irfft(np.fft.rfft(x, length) * np.fft.rfft(tail, length), length)[: len(x)]
        return (wet * np.abs(x).max() / np.abs(wet).max()).astype(np.float32)

    return convolve


def _cut(seconds: float) -> Attack:
    """From one and a bit seconds on, where that is possible."""

    def cut(x: np.ndarray) -> np.ndarray:
        length = int(seconds * RATE)
        start = min(27_001, len(x) - length)
        return x[max(start, 0) :][:length]

    return cut


def _clip(decibels: float) -> Attack:
    return lambda x: np.clip(x / np.abs(x).max() * 10 ** (decibels / 20), -1, 1)


def _second_mark(x: np.ndarray) -> np.ndarray:
    """Another pattern of the same kind over the first one: cells of 86 Hz and 46 ms, 0.8 dB up or down."""
    import librosa

    spectrum = librosa.stft(x, n_fft=1024, hop_length=256)
    signs = np.random.default_rng(5).choice([-1.0, 1.0], (77, spectrum.shape[1] // 4 + 1))
    gains = np.zeros(spectrum.shape)
    gains[42:350] = signs.repeat(4, 0).repeat(4, 1)[:, : spectrum.shape[1]]
    return librosa.istft(spectrum * 10 ** (0.8 * gains / 20), hop_length=256, length=len(x)).astype(np.float32)


def _griffin_lim(x: np.ndarray) -> np.ndarray:
    """Its mel of 80 bands, and sound of that by 32 iterations of Griffin and Lim."""
    import librosa

    bank = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=80, fmax=8000)
    mel = bank @ np.abs(librosa.stft(x, n_fft=1024, hop_length=256))
    magnitudes = np.maximum(np.linalg.pinv(bank) @ mel, 0)
    return librosa.griffinlim(magnitudes, n_iter=32, hop_length=256, n_fft=1024, length=len(x), random_state=0).astype(np.float32)


ATTACKS: dict[str, Attack] = {
    "none": lambda x: x,
    **{f"MP3 {k} kbit/s": _codec("mp3", "-b:a", f"{k}k") for k in (128, 64, 32, 16)},
    **{f"AAC {k} kbit/s": _codec("m4a", "-b:a", f"{k}k") for k in (64, 48, 24)},
    **{f"Opus {k} kbit/s": _codec("ogg", "-c:a", "libopus", "-b:a", f"{k}k") for k in (64, 32, 24, 16, 8)},
    **{f"Vorbis {k} kbit/s": _codec("ogg", "-c:a", "libvorbis", "-b:a", f"{k}k") for k in (64, 32)},
    "16 kHz": _codec("wav", "-ar", "16000"),
    "8 kHz": _codec("wav", "-ar", "8000"),
    "8 kHz, mu-law": _codec("wav", "-ar", "8000", "-c:a", "pcm_mulaw"),
    **{f"noise {d} dB below": _noise(d) for d in (30, 20, 10)},
    **{f"room of {s} s": _room(s) for s in (0.3, 0.8)},
    "bass +8 dB, treble -8 dB": _sox("gain", "-9", "bass", "+8", "treble", "-8"),
    "telephone band, 300-3,400 Hz": _sox("sinc", "300-3400"),
    "compressor 6:1": _codec("wav", "-af", "acompressor=threshold=0.05:ratio=6:attack=5:release=80"),
    "gain -30 dB, 16 bits": _sox("gain", "-30"),
    "clipped by 12 dB": _clip(12),
    **{f"cut to {s} s": _cut(s) for s in (5, 2, 1)},
    **{f"speed {s:+} %": _sox("speed", str(1 + s / 100)) for s in (0.5, 1, -2, 3, 5)},
    **{f"tempo {s:+} %": _sox("tempo", "-s", str(1 + s / 100)) for s in (1, 3)},
    **{f"pitch {c:+} cents": _sox("pitch", str(c)) for c in (20, 100)},
    "a second mark": _second_mark,
    "Griffin-Lim on its mel": _griffin_lim,
}
