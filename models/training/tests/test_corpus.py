"""Recordings to a corpus, and what is drawn from it."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vocode_training import augment, corpus, data, voice
from vocode_training.augment import Augmentation, Dice
from vocode_training.mel import HIFIGAN


@pytest.fixture
def source(tmp_path: Path, speech: torch.Tensor) -> Path:
    """Two speakers of the same words, one turned over; of one short words; and recordings that are to be left out."""
    folder = tmp_path / "source"
    audio = speech[0].numpy()
    silence = np.zeros(HIFIGAN.sample_rate, np.float32)
    files = {
        "up/a.wav": np.concatenate([silence, audio, silence]),
        "down/a.wav": -audio,
        "short/a.wav": audio[HIFIGAN.sample_rate : 2 * HIFIGAN.sample_rate],
        "short/b.wav": audio[2 * HIFIGAN.sample_rate : 3 * HIFIGAN.sample_rate],
        "bad/silent.wav": silence,
        "bad/clipped.wav": np.clip(30 * audio, -0.9, 0.9),
        "bad/noisy.wav": audio + 0.05 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32),
    }
    for name, samples in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, samples, HIFIGAN.sample_rate, subtype="FLOAT")
    (folder / "bad" / "text.wav").write_text("no audio")
    return folder


def make(monkeypatch: pytest.MonkeyPatch, source: Path, out: Path, *words: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The rows of the manifest, and why each file was left out."""
    monkeypatch.setattr(sys, "argv", ["corpus", "--source", str(source), "--out", str(out), *words])
    corpus.main()
    with (out / "manifest.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    with (out / "left_out.tsv").open() as lines:
        return rows, {row["file"]: row["why"] for row in csv.DictReader(lines, delimiter="\t")}


def test_a_corpus_is_trimmed_levelled_of_one_polarity_and_says_what_it_left_out(
    monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path, speech: torch.Tensor
) -> None:
    rows, left_out = make(monkeypatch, source, tmp_path / "out", "--licence", "CC0 1.0")
    assert {row["speaker"] for row in rows} == {"source.up", "source.down", "source.short"}
    assert {row["licence"] for row in rows} == {"CC0 1.0"}
    # The voice of the demo is that of a man; how it is drawn follows from it.
    assert all(80 <= float(row["pitch"]) <= 130 for row in rows)
    assert {e.weight for e in data.entries(tmp_path / "out", "train")} == {data.low_voice(float(row["pitch"])) for row in rows}
    assert set(left_out) == {"silent.wav", "clipped.wav", "noisy.wav", "text.wav"}
    assert "clipped" in left_out["clipped.wav"] and "speech and noise" in left_out["noisy.wav"] and "not decoded" in left_out["text.wav"]
    audio = {row["speaker"]: soundfile.read(tmp_path / "out" / row["file"])[0] for row in rows}
    seconds = speech.shape[1] / HIFIGAN.sample_rate
    assert len(audio["source.up"]) / HIFIGAN.sample_rate < seconds + 0.3
    assert 1.5 < len(audio["source.short"]) / HIFIGAN.sample_rate < 2.2
    # Both polarities become the same one.
    assert voice.residual_skewness(audio["source.up"], HIFIGAN.sample_rate) < 0
    assert voice.residual_skewness(audio["source.down"], HIFIGAN.sample_rate) < 0
    assert {row["speaker"]: row["polarity"] for row in rows}["source.up"] != {row["speaker"]: row["polarity"] for row in rows}["source.down"]
    assert all(0.1 < np.abs(a).max() <= 0.951 for a in audio.values())


def test_a_source_without_a_licence_is_refused(monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--licence"):
        make(monkeypatch, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bandwidth_is_where_the_spectrum_ends() -> None:
    noise = np.random.default_rng(0).standard_normal(HIFIGAN.sample_rate).astype(np.float32)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / HIFIGAN.sample_rate) > 7600] = 0
    assert 7400 < voice.bandwidth(np.fft.irfft(spectrum).astype(np.float32), HIFIGAN.sample_rate) < 7900
    assert voice.bandwidth(noise, HIFIGAN.sample_rate) > 10_900


def test_speakers_are_drawn_by_the_root_of_their_seconds() -> None:
    entry = data.Entry(Path("a"), "long", 1.0, np.inf)
    found = [entry, entry, data.Entry(Path("b"), "short", 1.0, np.inf), data.Entry(Path("c"), "twice", 2.0, np.inf)]
    weights = data.speaker_weights(found, [300.0, 100.0, 100.0, 100.0])
    torch.testing.assert_close(weights, torch.tensor([15.0, 5.0, 10.0, 20.0]))


def test_low_voices_are_drawn_more_often() -> None:
    entries = [data.Entry(Path("low/a"), "low", data.low_voice(90.0), 1e9), data.Entry(Path("high/a"), "high", data.low_voice(200.0), 1e9)]
    low, high = data.speaker_weights(entries, [100.0, 100.0]).tolist()
    assert low / high == pytest.approx((data.LOW_PITCH / 90.0) ** 2, rel=1e-6)
    assert data.low_voice(0.0) == 1.0 and data.low_voice(20.0) == data.LOW_VOICES


def test_slowed_crops_are_lower_and_end_where_their_clip_does(tmp_path: Path) -> None:
    rate, pitch = HIFIGAN.sample_rate, 1000.0
    tone = 0.5 * np.sin(2 * np.pi * pitch * np.arange(rate) / rate)
    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "tone.wav", tone, rate)
    recordings = data.Recordings([tmp_path], "train", torch.device("cpu"))
    how = Augmentation(quiet=0.0, low_pass=0.0, slow=1.0)
    audio, inside, cutoff = recordings._draw(16, 64, Dice(torch.Generator().manual_seed(1)), how)
    for crop, known, limit in zip(audio, inside, cutoff, strict=True):
        speed = float(limit) / (data.KNOWN * rate / 2)
        assert augment.SLOWEST <= speed < 1.0
        heard = crop[known].double()
        heard = heard[1000 : 1000 + 8192] * torch.hann_window(8192)
        peak = torch.fft.rfft(heard, 65536).abs()
        assert int(peak.argmax()) * rate / 65536 == pytest.approx(pitch * speed, abs=0.5)
        # A pure tone: what lies outside of its main lobe is far below it.
        far = (torch.arange(len(peak)) - int(peak.argmax())).abs() > 64
        assert float(peak[far].max() / peak.max()) < 1e-3
        assert float(crop[~known].abs().sum()) == 0.0


def test_augmented_mels_are_blurred_noisy_or_as_they_were() -> None:
    torch.manual_seed(0)
    clean = torch.randn(64, 80, 20) - 5
    clean[:, 70:] = HIFIGAN.log_floor
    dice = Dice(torch.Generator().manual_seed(0))
    assert augment.mel(clean, HIFIGAN.log_floor, Augmentation(), dice) is clean
    blurred = augment.mel(clean, HIFIGAN.log_floor, Augmentation(smooth=0.5), dice)
    changed = (blurred - clean).abs().amax((1, 2)) > 1e-4
    assert 15 < int(changed.sum()) < 45
    rough = lambda m: m[:, :60].diff(dim=1).abs().mean((1, 2))  # noqa: E731
    assert (rough(blurred)[changed] < rough(clean)[changed]).all()
    assert (blurred[:, 72:] == HIFIGAN.log_floor).all()
    noisy = augment.mel(clean, HIFIGAN.log_floor, Augmentation(noise=1.0), dice)
    assert 0.02 < float((noisy - clean)[:, :70].std()) < 0.2


def test_sets_and_speakers_whose_names_join_alike_stay_apart(tmp_path: Path, speech: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """`a` with the speaker `b`, and `a-b` with one named after the set."""
    audio = speech[0].numpy()
    rows = [("a", "b", "one.wav"), ("a-b", "a-b", "two.wav")]
    for _, _, file in rows:
        soundfile.write(tmp_path / file, audio, HIFIGAN.sample_rate, subtype="FLOAT")
    (tmp_path / "sources.tsv").write_text("set\tspeaker\tfile\tlicence\n" + "".join(f"{s}\t{n}\t{f}\tCC0 1.0\n" for s, n, f in rows))
    monkeypatch.setattr(sys, "argv", ["corpus", "--source", str(tmp_path), "--out", str(tmp_path / "corpus")])
    corpus.main()
    with (tmp_path / "corpus" / "manifest.tsv").open(newline="") as lines:
        assert {(row["set"], row["speaker"]) for row in csv.DictReader(lines, delimiter="\t")} == {("a", "a.b"), ("a-b", "a-b")}
