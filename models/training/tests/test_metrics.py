"""The scores: what they give for identical, damaged and resynthesised speech."""

from __future__ import annotations

from dataclasses import fields

import librosa
import numpy as np
import pytest
import torch

from vocode_training import metrics, pitch
from vocode_training.evaluate import altered, load_clips, markdown, summarise
from vocode_training.mel import HIFIGAN
from vocode_training.metrics import Scores, score
from vocode_training.sweep import Point, table
from vocode_training.systems import Clip, griffin_lim


@pytest.fixture(scope="module")
def audio(speech: torch.Tensor) -> np.ndarray:
    return speech[0].numpy()


def test_a_recording_is_equal_to_itself(audio: np.ndarray) -> None:
    scores = score(audio, audio)
    assert scores.pesq > 4.6
    assert scores.stoi > 0.999 and scores.estoi > 0.999
    assert scores.mr_stft == 0.0 and scores.log_mel == 0.0
    assert scores.periodicity_rmse == 0.0 and scores.voicing_f1 == 1.0 and scores.pitch_rmse == 0.0 and scores.high_band == 0.0
    assert 1.0 < scores.kurtosis_low < 8.0


def test_a_semitone_up_is_a_hundred_cents() -> None:
    tone = np.sin(2 * np.pi * np.cumsum(np.full(2 * HIFIGAN.sample_rate, 200.0)) / HIFIGAN.sample_rate).astype(np.float32)
    higher = np.sin(2 * np.pi * np.cumsum(np.full(2 * HIFIGAN.sample_rate, 200.0 * 2 ** (1 / 12))) / HIFIGAN.sample_rate).astype(np.float32)
    assert pitch.compare(higher, tone, HIFIGAN.sample_rate).pitch_rmse == pytest.approx(100.0, abs=5.0)


def test_whispering_loses_voicing(audio: np.ndarray) -> None:
    found = pitch.compare(whispered(audio), audio, HIFIGAN.sample_rate)
    assert found.voicing_f1 < 0.5 and found.periodicity_rmse > 0.4


def whispered(audio: np.ndarray) -> np.ndarray:
    """The recording's magnitudes with the phases of noise, once."""
    spectrum = librosa.stft(audio, n_fft=256)
    phases = np.angle(librosa.stft(np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32), n_fft=256))
    return librosa.istft(np.abs(spectrum) * np.exp(1j * phases), length=len(audio))


def test_the_level_above_8_khz_is_told(audio: np.ndarray) -> None:
    noise = np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    assert metrics.high_band_level(0.5 * noise, noise) == pytest.approx(-6.02, abs=0.01)


def test_mr_stft_of_a_gain_is_known(audio: np.ndarray) -> None:
    """Halving: spectral convergence 1/2, and ln 2 in every bin well above the floor."""
    loud = audio + 0.1 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    assert metrics.mr_stft(0.5 * loud, loud) == pytest.approx(0.5 + np.log(2.0), abs=1e-3)


def test_dnsmos_is_the_packages(audio: np.ndarray) -> None:
    from speechmos import dnsmos

    for clip in (audio, np.tile(audio, 3)):
        expected = dnsmos.run(metrics.to_speech_rate(clip), 16_000)
        np.testing.assert_allclose(metrics.dnsmos(clip), [expected[f"{k}_mos"] for k in ("ovrl", "sig", "bak")], atol=1e-4)


def test_distillmos_hears_noise_but_no_level(audio: np.ndarray) -> None:
    clean = metrics.distillmos(audio)
    noise = 0.03 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    assert clean > 4.0
    assert metrics.distillmos(audio + noise) < clean - 0.5
    assert metrics.distillmos(0.1 * audio) == pytest.approx(clean, abs=1e-2)


def test_silence_gets_the_lowest_pesq(audio: np.ndarray) -> None:
    assert metrics.pesq_wb(audio, np.zeros_like(audio)) == 1.0


def test_griffin_lim_is_understood_and_in_time(audio: np.ndarray, demo_mel: np.ndarray) -> None:
    """Half a hop of misplacement alone would cost more than these bounds leave."""
    estimate = griffin_lim(demo_mel)
    assert estimate.shape == audio.shape
    assert metrics.stoi(estimate, audio) > 0.95
    assert metrics.mr_stft(estimate, audio) < 1.5


def test_lengths_must_agree(audio: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        score(audio[:-1], audio)


def test_the_table_has_a_row_for_each_system_and_speaker(audio: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    import soundfile

    folder = tmp_path_factory.mktemp("speech")
    rows = ["split\tfile\tseconds"]
    for name in ("one/a", "one/b", "two/a"):
        path = folder / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, audio[:9000], 22_050)
        rows.append(f"valid\t{name}.wav\t0.4")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    clips = load_clips(folder, "valid", 0)
    assert [c.name for c in clips] == ["one__a", "one__b", "two__a"]
    assert all(len(c.audio) == 9000 // 256 * 256 for c in clips)
    values = [Scores(*[float(i)] * len(fields(Scores))) for i in (1, 3, 5)]
    summary = summarise(clips, [{"system": v} for v in values])
    assert [summary[g]["system"].pesq for g in ("all", "one", "two")] == [3.0, 2.0, 5.0]
    assert len(markdown(clips, summary).splitlines()) == 2 + 3


def test_the_sweeps_table_has_the_learned_judges_where_they_were_asked(audio: np.ndarray) -> None:
    clips = [Clip("a", "one", audio)]
    for heard, columns in ((np.nan, 8), (4.0, 10)):
        page = table([Point("euler", 4, 4, "fast", 3.6, 0.8, 0.1, heard, heard, 0.03)], clips, "a machine")
        rows = [line for line in page.splitlines() if line.startswith("|")]
        assert [row.count("|") - 1 for row in rows] == [columns] * 3


def test_altered_clips_are_louder_or_noisier_by_what_was_asked(audio: np.ndarray) -> None:
    clip = Clip("a", "one", audio)
    quiet = altered(clip, -20.0, None)
    np.testing.assert_allclose(quiet.audio, 0.1 * audio, rtol=1e-5)
    noise = altered(clip, 0.0, 15.0).audio - audio
    assert 10 * np.log10(np.square(audio).mean() / np.square(noise).mean()) == pytest.approx(15.0, abs=0.2)
