"""What a recording tells of itself: the pulses of its LPC residual, its polarity, bandwidth, and the ratio of speech to noise.

Arrays are mono float, `rate` is in Hz. Used to build a corpus, and to hold synthesis against its recording.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, lfilter, sosfiltfilt
from scipy.stats import kurtosis

LPC_ORDER = 24
LPC_FRAME = 1024
# Edges in Hz of the bands in which pulses are measured.
PULSE_BANDS = ((80, 2000), (2000, 4000), (4000, 8000))
# Frames within this many dB of the loudest are active.
ACTIVE_DB = 20.0
# A speaker's mean skewness must exceed this for its polarity to be known.
POLARITY_KNOWN = 0.1


def lpc_residual(audio: np.ndarray) -> np.ndarray:
    """The prediction error of a linear predictor of order LPC_ORDER a frame (autocorrelation method), overlapped by half; `[T] -> [T]`.

    Its pulses are the closures of the glottis. Frames of nearly no energy are left zero.
    """
    audio = np.asarray(audio, np.float64)
    out = np.zeros_like(audio)
    window = np.hanning(LPC_FRAME)
    for start in range(0, len(audio) - LPC_FRAME, LPC_FRAME // 2):
        frame = audio[start : start + LPC_FRAME] * window
        correlation = np.correlate(frame, frame, "full")[LPC_FRAME - 1 : LPC_FRAME + LPC_ORDER]
        if correlation[0] < 1e-4:
            continue
        correlation[0] *= 1.0001
        predictor = solve_toeplitz(correlation[:LPC_ORDER], correlation[1:])
        context = audio[max(0, start - LPC_ORDER) : start + LPC_FRAME]
        error = lfilter(np.concatenate([[1.0], -predictor]), 1.0, context)[-LPC_FRAME:]
        out[start : start + LPC_FRAME] += error * window
    return out


def pulse_kurtosis(audio: np.ndarray, rate: int) -> list[float]:
    """Excess kurtosis of the LPC residual in blocks of 1,024 samples, the median over active blocks, for each of PULSE_BANDS.

    Speech lies near 3; more means pulses that are too much alike at every frequency, as a vocoder without phase errors makes them.
    """
    residual = lpc_residual(audio)
    found = []
    for low, high in PULSE_BANDS:
        band = sosfiltfilt(butter(4, [low, min(high, 0.49 * rate)], "band", fs=rate, output="sos"), residual)
        blocks = band[: len(band) // LPC_FRAME * LPC_FRAME].reshape(-1, LPC_FRAME)
        power = (blocks**2).mean(1) if len(blocks) else np.zeros(0)
        if not len(power) or power.max() <= 0:
            return [float("nan")] * len(PULSE_BANDS)
        found.append(float(np.median(kurtosis(blocks[power > power.max() * 10 ** (-ACTIVE_DB / 10)], axis=1))))
    return found


def residual_skewness(audio: np.ndarray, rate: int) -> float:
    """Skewness of the LPC residual: its sign is the polarity of the recording, negative where closures point down."""
    clean = sosfiltfilt(butter(2, 80, "high", fs=rate, output="sos"), np.asarray(audio, np.float64))
    residual = lpc_residual(clean)
    residual = residual[np.abs(residual) > 0]
    if len(residual) < LPC_FRAME:
        return 0.0
    centred = residual - residual.mean()
    return float((centred**3).mean() / max(centred.std(), 1e-12) ** 3)


def frame_powers(audio: np.ndarray, rate: int) -> np.ndarray:
    """Mean power of frames of 20 ms."""
    size = rate // 50
    return (audio[: len(audio) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(1)


def bandwidth(audio: np.ndarray, rate: int) -> float:
    """Highest frequency in Hz whose mean power over the loud frames lies within 70 dB of the peak, in bands of 100 Hz."""
    size = 2048
    if len(audio) < size:
        return rate / 2
    frames = np.lib.stride_tricks.sliding_window_view(audio, size)[:: size // 2]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    loudness = spectra.sum(1)
    mean = spectra[loudness >= np.quantile(loudness, 0.7)].mean(0)
    width = max(1, round(100 * size / rate))
    smooth = np.convolve(mean, np.ones(width) / width, "same")
    present = np.flatnonzero(smooth > smooth.max() * 1e-7)
    return float(present[-1] * rate / size) if len(present) else 0.0


def speech_to_noise(audio: np.ndarray, rate: int) -> float:
    """dB between the loud (95 %) and the quietest (5 %) frames that are not digital silence; 80 where there are none of those."""
    powers = frame_powers(audio, rate)
    powers = powers[powers > 1e-10]
    if len(powers) < 10:
        return 80.0
    low, high = np.quantile(powers, [0.05, 0.95])
    return float(10 * np.log10(high / low))


def clipped_share(audio: np.ndarray) -> float:
    """Share of the samples that stand at the peak in runs of three and more."""
    peak = np.abs(audio).max(initial=0.0)
    if peak == 0:
        return 0.0
    at = np.abs(audio) >= 0.998 * peak
    runs = at[2:] & at[1:-1] & at[:-2]
    return float(runs.mean()) if len(runs) else 0.0


def trimmed(audio: np.ndarray, rate: int, longest_pause: float = 0.4) -> np.ndarray:
    """The recording without silence at its ends, and with pauses cut to `longest_pause` seconds; 60 ms stay around what is heard."""
    size = rate // 50
    powers = frame_powers(audio, rate)
    if not len(powers):
        return audio[:0]
    heard = powers > max(np.quantile(powers, 0.98) * 1e-4, 1e-9)
    kernel = np.ones(7)
    near = np.convolve(heard, kernel, "same") > 0
    keep = near.copy()
    # Of a pause, its first half of `longest_pause` and its last.
    half = max(1, round(longest_pause * 50 / 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[1], near.astype(int), [1]])))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if begin > 0 and end < len(near):
            keep[begin : begin + half] = True
            keep[max(begin, end - half) : end] = True
    return audio[: len(keep) * size].reshape(-1, size)[keep].reshape(-1)
