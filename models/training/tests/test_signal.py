"""Mel, envelope and consistency of each convention that models are trained in: against librosa, and against themselves."""

from __future__ import annotations

from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch

from vocode_training import consistency, conventions, envelope
from vocode_training.mel import HIFIGAN, VOCOS24K, Convention

BOTH = pytest.mark.parametrize("convention", [HIFIGAN, VOCOS24K], ids=lambda c: c.name)


def librosas_filters(c: Convention) -> np.ndarray:
    norm = "slaney" if c.norm == "slaney" else None
    return librosa.filters.mel(sr=c.sample_rate, n_fft=c.n_fft, n_mels=c.n_mels, fmin=c.f_min, fmax=c.f_max, htk=c.scale == "htk", norm=norm, dtype=np.float64)


@BOTH
def test_filterbank_is_librosas(convention: Convention) -> None:
    np.testing.assert_allclose(convention.filterbank(), librosas_filters(convention), atol=1e-12)


@BOTH
def test_mel_is_librosas(speech: torch.Tensor, convention: Convention) -> None:
    audio, hop = speech[0].numpy(), convention.hop
    if convention.framing == "hop":
        spectrum = librosa.stft(np.pad(audio, (convention.n_fft - hop) // 2, mode="reflect"), n_fft=convention.n_fft, hop_length=hop, center=False)
    else:
        spectrum = librosa.stft(audio, n_fft=convention.n_fft, hop_length=hop, pad_mode="reflect")
    magnitude = np.sqrt(np.abs(spectrum) ** 2 + convention.magnitude_epsilon)
    expected = np.log(np.maximum(librosas_filters(convention) @ magnitude, convention.floor))
    found = convention.mel(speech)[0].numpy()
    assert found.shape == expected.shape == (convention.n_mels, len(audio) // hop + (convention.framing == "center"))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@BOTH
def test_a_mel_of_padded_audio_lies_as_the_framing_says(convention: Convention) -> None:
    """A click on the sample that a frame is centred on is loudest in that frame, and alike in its neighbours."""
    hop, frames = convention.hop, 12
    audio = torch.zeros(1, convention.before + frames * hop + convention.after)
    audio[0, convention.before + 5 * hop + convention.centre] = 1.0
    mel = convention.of_padded(audio)[0]
    assert mel.shape == (convention.n_mels, frames)
    assert int(mel.sum(0).argmax()) == 5
    torch.testing.assert_close(mel[:, 4], mel[:, 6], atol=1e-3, rtol=0.0)


def test_demo_mel_is_the_mel_of_the_demo(speech: torch.Tensor, demo_mel: np.ndarray) -> None:
    np.testing.assert_allclose(HIFIGAN.mel(speech)[0].numpy(), demo_mel, atol=1e-4)


@BOTH
def test_silence_is_the_floor(convention: Convention) -> None:
    # The 1e-9 under the root of `hifigan` is what a filter sees of silence: below the floor, so every band stands on it.
    np.testing.assert_allclose(convention.mel(torch.zeros(1, 4096)).numpy(), convention.log_floor, rtol=1e-6)
    assert conventions.floor_value(convention.table()) == convention.log_floor


@BOTH
def test_a_convention_is_its_table(convention: Convention) -> None:
    assert convention.table() == conventions.PRESETS[convention.name]
    assert Convention.of(convention.table()) == convention


def test_other_formulas_than_natural_logarithms_are_refused() -> None:
    with pytest.raises(ValueError, match=r"compression.kind = db.*natural logarithms"):
        Convention.of(conventions.lmnt())
    with pytest.raises(ValueError, match="power = 2"):
        Convention.of({**conventions.HIFIGAN, "power": 2.0})


@BOTH
def test_whitening_comes_back(speech: torch.Tensor, convention: Convention) -> None:
    hop = convention.hop
    mel, equaliser = convention.mel(speech)[..., : speech.shape[1] // hop], torch.full((envelope.BINS,), -1.0)
    excitation = envelope.whiten(convention, speech, mel, equaliser)
    error = envelope.unwhiten(convention, excitation, mel, equaliser) - speech
    decibels = 10 * torch.log10(speech.square().mean() / error.square().mean())
    assert decibels > 30.0
    # Nothing of the recording's level or tilt is left: a quiet and a loud passage have excitations alike.
    louder = envelope.whiten(convention, 4 * speech, mel + np.log(4.0), equaliser)
    inside = slice(6 * hop, -6 * hop)  # at the ends the floor outside, which does not rise, shows
    torch.testing.assert_close(louder[:, inside], excitation[:, inside], atol=2e-3, rtol=0.0)


@BOTH
def test_white_noise_takes_the_envelope_of_its_mel(speech: torch.Tensor, convention: Convention) -> None:
    frames = speech.shape[1] // convention.hop
    mel = convention.mel(speech)[..., :frames]
    excitation = torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    shaped = convention.mel(envelope.unwhiten(convention, excitation, mel, torch.zeros(envelope.BINS)))[..., :frames]
    together = torch.corrcoef(torch.stack([shaped.flatten(), mel.flatten()]))[0, 1]
    assert together > 0.9


@BOTH
def test_the_envelope_lies_where_the_frames_do(convention: Convention) -> None:
    """A burst in the mel raises white noise about the sample that its frame is centred on."""
    hop, frames, at = convention.hop, 40, 20
    mel = torch.full((1, convention.n_mels, frames), convention.log_floor + 3)
    mel[..., at] = convention.log_floor + 9
    flat = torch.ones(64, frames * hop) * (-1.0) ** torch.arange(frames * hop)
    loud = envelope.unwhiten(convention, flat, mel.expand(64, -1, -1), torch.zeros(envelope.BINS)).square().mean(0)
    centre = float((loud * torch.arange(frames * hop)).sum() / loud.sum())
    assert abs(centre - (at * hop + convention.centre)) < hop / 8


@BOTH
def test_consistency_brings_the_mel_closer_and_leaves_what_has_it(speech: torch.Tensor, convention: Convention) -> None:
    frames = speech.shape[1] // convention.hop
    mel = convention.mel(speech)[..., :frames]

    def refine(audio: torch.Tensor, passes: int = 1) -> torch.Tensor:
        return consistency.refine(convention, audio, mel[..., : audio.shape[1] // convention.hop], passes)

    assert torch.allclose(refine(speech, 2), speech, atol=1e-5)
    generator = torch.Generator().manual_seed(0)
    wrong = speech * 0.5 + 0.02 * torch.randn(speech.shape, generator=generator)

    def distance(audio: torch.Tensor) -> float:
        return float((convention.mel(audio)[..., :frames] - mel)[..., 2:-2].abs().mean())

    once, twice = distance(refine(wrong)), distance(refine(wrong, 2))
    assert twice < 0.85 * once < 0.7 * distance(wrong)
    short = speech[:, : 3 * convention.hop]  # shorter than a window
    assert torch.equal(refine(short), short)


def test_a_window_shorter_than_the_fft_lies_in_its_middle(speech: torch.Tensor) -> None:
    convention = replace(HIFIGAN, name="short", win_length=768)
    mel = convention.mel(speech)
    assert torch.allclose(consistency.refine(convention, speech, mel, 2), speech, atol=1e-5)
