"""Mel and envelope: against librosa, and against themselves."""

from __future__ import annotations

import librosa
import numpy as np
import torch

from vocode_training import consistency, envelope
from vocode_training.mel import F_MAX, F_MIN, HOP, LOG_FLOOR, N_FFT, N_MELS, SAMPLE_RATE, filterbank, mel_spectrogram


def test_filterbank_is_librosas() -> None:
    expected = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX, dtype=np.float64)
    np.testing.assert_allclose(filterbank(), expected, atol=1e-12)


def test_mel_is_librosas(speech: torch.Tensor) -> None:
    margin = (N_FFT - HOP) // 2
    padded = np.pad(speech[0].numpy(), margin, mode="reflect")
    spectrum = librosa.stft(padded, n_fft=N_FFT, hop_length=HOP, center=False)
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX)
    expected = np.log(np.maximum(bank @ np.sqrt(np.abs(spectrum) ** 2 + 1e-9), 1e-5))
    found = mel_spectrogram(speech)[0].numpy()
    assert found.shape == expected.shape == (N_MELS, speech.shape[1] // HOP)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_demo_mel_is_the_mel_of_the_demo(speech: torch.Tensor, demo_mel: np.ndarray) -> None:
    np.testing.assert_allclose(mel_spectrogram(speech)[0].numpy(), demo_mel, atol=1e-4)


def test_silence_is_the_floor() -> None:
    # The 1e-9 under the root is what a filter sees of silence: below the floor, so every band stands on it.
    assert torch.all(mel_spectrogram(torch.zeros(1, 4096)) == LOG_FLOOR)


def test_whitening_comes_back(speech: torch.Tensor) -> None:
    mel, equaliser = mel_spectrogram(speech), torch.full((envelope.BINS,), -1.0)
    excitation = envelope.whiten(speech, mel, equaliser)
    error = envelope.unwhiten(excitation, mel, equaliser) - speech
    decibels = 10 * torch.log10(speech.square().mean() / error.square().mean())
    assert decibels > 30.0
    # Nothing of the recording's level or tilt is left: a quiet and a loud passage have excitations alike.
    louder = envelope.whiten(4 * speech, mel + np.log(4.0), equaliser)
    inside = slice(6 * HOP, -6 * HOP)  # at the ends the floor outside, which does not rise, shows
    torch.testing.assert_close(louder[:, inside], excitation[:, inside], atol=2e-3, rtol=0.0)


def test_white_noise_takes_the_envelope_of_its_mel(speech: torch.Tensor) -> None:
    mel = mel_spectrogram(speech)
    excitation = torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    shaped = mel_spectrogram(envelope.unwhiten(excitation, mel, torch.zeros(envelope.BINS)))
    together = torch.corrcoef(torch.stack([shaped.flatten(), mel.flatten()]))[0, 1]
    assert together > 0.9


def test_consistency_brings_the_mel_closer_and_leaves_what_has_it(speech: torch.Tensor) -> None:
    mel = mel_spectrogram(speech)
    assert torch.allclose(consistency.refine(speech, mel, 2), speech, atol=1e-5)
    generator = torch.Generator().manual_seed(0)
    wrong = speech * 0.5 + 0.02 * torch.randn(speech.shape, generator=generator)

    def distance(audio: torch.Tensor) -> float:
        return float((mel_spectrogram(audio) - mel)[..., 2:-2].abs().mean())

    once, twice = distance(consistency.refine(wrong, mel)), distance(consistency.refine(wrong, mel, 2))
    assert twice < 0.8 * once < 0.6 * distance(wrong)
    short = speech[:, : 4 * HOP]
    assert torch.equal(consistency.refine(short, mel[..., :4]), short)
