"""Objective quality of a synthesised clip against its recording.

Every score takes float arrays of the same length at `rate`, by default that of the default model; higher is better except for the two distances.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from io import StringIO

import numpy as np
import onnxruntime
import pystoi
import soxr
import torch
from distillmos import ConvTransformerSQAModel
from pesq import NoUtterancesError, pesq
from torch import Tensor

from . import pitch, voice
from .mel import HIFIGAN, Convention

SPEECH_RATE = 16_000
RATE = HIFIGAN.sample_rate
# FFT, hop and window of each resolution, and the floor of the power spectrum.
RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))
POWER_FLOOR = 1e-8


@dataclass(frozen=True)
class Scores:
    """One clip's scores, or their mean."""

    pesq: float
    stoi: float
    estoi: float
    mr_stft: float
    log_mel: float
    dnsmos_ovrl: float
    dnsmos_sig: float
    dnsmos_bak: float
    distillmos: float
    # Excess kurtosis of the LPC residual in three bands: `voice.pulse_kurtosis`.
    kurtosis_low: float
    kurtosis_middle: float
    kurtosis_high: float
    periodicity_rmse: float
    voicing_f1: float
    pitch_rmse: float
    # Level above 8 kHz against the recording, dB.
    high_band: float

    @staticmethod
    def mean(scores: list[Scores]) -> Scores:
        """NaN, which a silent clip's kurtosis is, does not count."""
        return Scores(**{f.name: float(np.nanmean([getattr(s, f.name) for s in scores])) for f in fields(Scores)})


def pesq_wb(estimate: np.ndarray, reference: np.ndarray, rate: int = RATE) -> float:
    """Wide-band PESQ (ITU-T P.862.2), 1.0 to 4.64; 1.0 where it hears no utterance at all."""
    try:
        return float(pesq(SPEECH_RATE, to_speech_rate(reference, rate), to_speech_rate(estimate, rate), "wb"))
    except NoUtterancesError:
        return 1.0


def stoi(estimate: np.ndarray, reference: np.ndarray, extended: bool = False, rate: int = RATE) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), or its extended form (Jensen and Taal 2016)."""
    return float(pystoi.stoi(reference, estimate, rate, extended=extended))


def _magnitude(audio: np.ndarray, n_fft: int, hop: int, win: int) -> Tensor:
    window = torch.hann_window(win, dtype=torch.float64)
    spectrum = torch.stft(torch.from_numpy(audio).double(), n_fft, hop, win, window, return_complex=True)
    return (spectrum.real**2 + spectrum.imag**2).clamp(min=POWER_FLOOR).sqrt()


def mr_stft(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Multi-resolution STFT distance: spectral convergence plus mean absolute difference of natural log magnitudes,
    averaged over RESOLUTIONS (Yamamoto et al. 2020, arXiv:1910.11480).

    Power is floored at 1e-8, which makes this the `M-STFT` of the published tables, the default of the auraloss package.
    The floor matters more than all else: Griffin-Lim leaves the bands above 8 kHz empty, and 1e-7 or 1e-10 in its place
    moves its score by -0.3 or +0.6.
    """
    total = 0.0
    for n_fft, hop, win in RESOLUTIONS:
        a, b = _magnitude(estimate, n_fft, hop, win), _magnitude(reference, n_fft, hop, win)
        total += float((a - b).norm() / b.norm() + (a.log() - b.log()).abs().mean())
    return total / len(RESOLUTIONS)


def log_mel_l1(estimate: np.ndarray, reference: np.ndarray, convention: Convention = HIFIGAN) -> float:
    """Mean absolute difference of the two mels of `convention`, in nepers."""
    mels = convention.mel(torch.from_numpy(np.stack([estimate, reference])).float())
    return float((mels[0] - mels[1]).abs().mean())


def high_band_level(estimate: np.ndarray, reference: np.ndarray, rate: int = RATE) -> float:
    """dB by which the power from 8 kHz to Nyquist differs from the recording's; the `hifigan` mel ends there, so it has to be guessed."""

    def power(audio: np.ndarray) -> float:
        spectrum = _magnitude(audio, 1024, 256, 1024).square()
        return float(spectrum[round(8000 / rate * 1024) :].sum())

    return 10 * np.log10(power(estimate) / power(reference))


@lru_cache(maxsize=1)
def _dnsmos_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = resources.files("speechmos").joinpath("dnsmos_models/sig_bak_ovr.onnx").read_bytes()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def dnsmos(audio: np.ndarray, rate: int = RATE) -> tuple[float, float, float]:
    """DNSMOS P.835 (Reddy et al. 2022, arXiv:2110.01763) without a reference: overall, signal, background, 1 to 5.

    The model hears 9.01 s: a shorter clip is repeated, a longer one scored every second and averaged, then the authors'
    polynomials map the raw scores. The weights come with the speechmos package, and the result is that package's.
    """
    clip = np.clip(to_speech_rate(audio, rate), -1.0, 1.0).astype(np.float32)
    length = int(9.01 * SPEECH_RATE)
    while len(clip) < length:
        clip = np.concatenate([clip, clip])
    starts = range(int(len(clip) // SPEECH_RATE - 9.01) + 1)
    blocks = [clip[s * SPEECH_RATE :][:length] for s in starts]
    raw = np.concatenate([_dnsmos_session().run(None, {"input_1": b[None]})[0] for b in blocks])
    signal, background, overall = raw.astype(np.float64).T
    return (
        float(np.polyval([-0.06766283, 1.11546468, 0.04602535], overall).mean()),
        float(np.polyval([-0.08397278, 1.22083953, 0.0052439], signal).mean()),
        float(np.polyval([-0.13166888, 1.60915514, -0.39604546], background).mean()),
    )


@lru_cache(maxsize=1)
def _distillmos_model() -> ConvTransformerSQAModel:
    with redirect_stdout(StringIO()):  # it prints where its weights lie
        return ConvTransformerSQAModel().eval()


@torch.inference_mode()
def distillmos(audio: np.ndarray, rate: int = RATE) -> float:
    """DistillMOS (Stahl and Gamper 2025, arXiv:2502.05356) without a reference, 1 to 5: a small network that learned from a large one
    on XLS-R, which learned from listeners.

    It scales its input to full scale and hears 7.68 s, a longer clip in overlapping pieces. The weights come with the distillmos package.
    """
    return float(_distillmos_model()(torch.from_numpy(to_speech_rate(audio, rate).astype(np.float32))[None]))


def to_speech_rate(audio: np.ndarray, rate: int = RATE) -> np.ndarray:
    """To the 16 kHz that PESQ, DNSMOS and DistillMOS hear."""
    return soxr.resample(audio, rate, SPEECH_RATE, quality="HQ")


def score(estimate: np.ndarray, reference: np.ndarray, convention: Convention = HIFIGAN) -> Scores:
    """All scores of one clip, at the convention's rate."""
    rate = convention.sample_rate
    if estimate.shape != reference.shape:
        raise ValueError(f"estimate has shape {estimate.shape}, reference {reference.shape}: cut both to frames * hop samples")
    overall, signal, background = dnsmos(estimate, rate)
    low, middle, high = voice.pulse_kurtosis(estimate, rate)
    tone = pitch.compare(estimate, reference, rate)
    return Scores(
        pesq=pesq_wb(estimate, reference, rate),
        stoi=stoi(estimate, reference, rate=rate),
        estoi=stoi(estimate, reference, extended=True, rate=rate),
        mr_stft=mr_stft(estimate, reference),
        log_mel=log_mel_l1(estimate, reference, convention),
        dnsmos_ovrl=overall,
        dnsmos_sig=signal,
        dnsmos_bak=background,
        distillmos=distillmos(estimate, rate),
        kurtosis_low=low,
        kurtosis_middle=middle,
        kurtosis_high=high,
        periodicity_rmse=tone.periodicity_rmse,
        voicing_f1=tone.voicing_f1,
        pitch_rmse=tone.pitch_rmse,
        high_band=high_band_level(estimate, reference, rate),
    )
