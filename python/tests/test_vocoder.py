"""``Vocoder.decode`` and ``Vocoder.mel``."""

import threading
from importlib import metadata

import numpy as np
import pytest

import vocode_onnx
from vocode_onnx import MelConvention


def test_a_mel_becomes_audio_of_its_length(vocoder, mel):
    audio = vocoder.decode(mel)
    assert audio.shape == (mel.shape[1] * vocoder.hop,)
    assert audio.dtype == np.float32
    assert 0.05 < np.abs(audio).max() <= 1.5


def test_the_seed_decides_the_audio(vocoder, mel):
    assert np.array_equal(vocoder.decode(mel, seed=7), vocoder.decode(mel, seed=7))
    assert not np.array_equal(vocoder.decode(mel, seed=7), vocoder.decode(mel, seed=8))


def test_each_mel_of_a_batch_sounds_as_it_does_alone(vocoder, mel):
    batch = np.stack([mel, mel[:, ::-1]])
    audio = vocoder.decode(batch, steps=2)
    assert audio.shape == (2, mel.shape[1] * vocoder.hop)
    for row, one in zip(audio, batch):
        np.testing.assert_allclose(row, vocoder.decode(one, steps=2), atol=1e-4)


def test_what_pads_a_batch_is_silent(vocoder, mel):
    padded = np.zeros((2, 80, 120), np.float32)
    padded[0], padded[1, :, :60] = mel, mel[:, :60]
    audio = vocoder.decode(padded, steps=2, lengths=[120, 60])
    assert audio.shape == (2, 120 * vocoder.hop)
    np.testing.assert_allclose(audio[1, : 60 * vocoder.hop], vocoder.decode(mel[:, :60], steps=2), atol=1e-4)
    assert not audio[1, 60 * vocoder.hop :].any()
    with pytest.raises(ValueError, match="give 1 to 120"):
        vocoder.decode(padded, lengths=[120, 121])
    with pytest.raises(ValueError, match="1 numbers for 2 mels"):
        vocoder.decode(padded, lengths=[120])


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_floats_of_all_sizes_are_taken(vocoder, mel, dtype):
    audio = vocoder.decode(mel.astype(dtype), steps=1)
    np.testing.assert_allclose(audio, vocoder.decode(mel, steps=1), atol=2e-2)


def test_any_strides_are_taken(vocoder, mel):
    want = vocoder.decode(mel, steps=1)
    assert np.array_equal(vocoder.decode(np.asfortranarray(mel), steps=1), want)
    assert np.array_equal(vocoder.decode(mel.T.copy(), steps=1, layout="frames-first"), want)
    assert np.array_equal(vocoder.decode(mel.T, steps=1, layout="auto"), want)


class Tensor:
    """What is used of a torch tensor, so that torch need not be installed."""

    def __init__(self, values, half=False):
        self.values, self.half = values, half

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return Tensor(self.values)

    def numpy(self):
        if self.half:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


def test_tensors_are_taken(vocoder, mel):
    want = vocoder.decode(mel, steps=1)
    assert np.array_equal(vocoder.decode(Tensor(mel), steps=1), want)
    assert np.array_equal(vocoder.decode(Tensor(mel, half=True), steps=1), want)
    audio = vocoder.decode(Tensor(mel[None]), steps=1)
    assert audio.shape == (1, want.size)


def test_a_tensor_of_torch_is_taken(vocoder, mel):
    torch = pytest.importorskip("torch")
    want = vocoder.decode(mel, steps=1)
    tensor = torch.from_numpy(mel.copy()).requires_grad_()
    assert np.array_equal(vocoder.decode(tensor, steps=1), want)
    np.testing.assert_allclose(vocoder.decode(tensor.bfloat16(), steps=1), want, atol=0.2)


def test_a_normalised_mel_gives_the_same_audio(vocoder, mel):
    convention = MelConvention("hifigan", mean=-5.5, std=2.1)
    audio = vocoder.decode((mel + 5.5) / 2.1, steps=2, mel_convention=convention)
    np.testing.assert_allclose(audio, vocoder.decode(mel, steps=2), atol=1e-3)
    assert (convention.mean, convention.std) == (-5.5, 2.1)
    assert convention == MelConvention().normalized(-5.5, 2.1)
    assert convention != MelConvention()


def test_conventions_are_named_read_and_refused(vocoder, mel, tmp_path):
    text = 'base = "hifigan"\nname = "ten"\ncompression = { kind = "log10" }'
    (tmp_path / "ten.toml").write_text(text)
    want = vocoder.decode(mel, steps=2)
    for convention in [MelConvention.from_toml(text), str(tmp_path / "ten.toml"), tmp_path / "ten.toml"]:
        audio = vocoder.decode(mel / np.log(10), steps=2, mel_convention=convention)
        np.testing.assert_allclose(audio, want, atol=1e-3)
    assert vocoder.mel_convention.hop == vocoder.hop == 256
    with pytest.raises(vocode_onnx.MelError, match="cannot be converted exactly"):
        vocoder.decode(mel, mel_convention="lmnt")
    with pytest.raises(ValueError, match="hifigan, tacotron2"):
        MelConvention("hifi")


def test_a_shifted_convention_warns(vocoder, mel):
    with pytest.warns(UserWarning, match="half a hop"):
        vocoder.decode(mel, steps=1, mel_convention="tacotron2")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m[:79], "expected 80 mel bands"),
        (lambda m: m.T, "layout=\"frames-first\""),
        (lambda m: m[0], "found shape"),
        (lambda m: m[:, :0], "no frames"),
        (lambda m: np.where(m == m.max(), np.nan, m), "NaN"),
        (lambda m: m.astype(np.int64), "give mel.astype"),
        (lambda m: m * 100, "another convention"),
        (lambda m: [["a"]], "not supported"),
    ],
)
def test_a_bad_mel_is_refused_in_the_librarys_words(vocoder, mel, change, words):
    with pytest.raises(vocode_onnx.MelError, match=words):
        vocoder.decode(change(mel))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"steps": 0}, "at least one"),
        ({"steps": 2, "schedule": "fast"}, "give one of them"),
        ({"schedule": "none-such"}, "no schedule named"),
        ({"solver": "ddim"}, "flow model"),
        ({"solver": "magic"}, "magic"),
        ({"layout": "sideways"}, "bands-first"),
        ({"lengths": [3]}, "belongs to a batch"),
    ],
)
def test_a_bad_argument_is_refused(vocoder, mel, arguments, words):
    with pytest.raises(vocode_onnx.OptionError, match=words):
        vocoder.decode(mel, **arguments)


def test_steps_schedules_and_solvers_are_the_callers_choice(vocoder, mel):
    four = vocoder.decode(mel, schedule=[0.0, 0.25, 0.5, 0.75])
    assert np.array_equal(four, vocoder.decode(mel, schedule=[0.0, 0.25, 0.5, 0.75], solver="euler"))
    assert vocoder.default_schedule in vocoder.schedules
    assert vocoder.decode(mel, schedule=vocoder.default_schedule).shape == four.shape


def test_another_rate_is_resampled(vocoder, mel):
    audio = vocoder.decode(mel, steps=1, sample_rate=44_100)
    assert audio.shape == (2 * mel.shape[1] * vocoder.hop,)
    with pytest.raises(vocode_onnx.AudioError, match="10"):
        vocoder.decode(mel, steps=1, sample_rate=10)


def test_the_mel_of_audio_is_near_the_mel_that_made_it(vocoder, mel):
    again = vocoder.mel(vocoder.decode(mel), vocoder.sample_rate)
    assert again.shape == mel.shape
    assert np.abs(again - mel).mean() < 0.5


def test_the_mel_takes_integers_one_channel_and_any_rate(vocoder):
    tone = 0.3 * np.sin(np.arange(44_100) * 0.05)
    floats = vocoder.mel(tone, 44_100)
    assert floats.shape == (80, 86)
    integers = vocoder.mel((tone * 32_768).astype(np.int16)[None], 44_100)
    assert np.abs(np.maximum(floats, -6) - np.maximum(integers, -6)).max() < 0.2
    with pytest.raises(vocode_onnx.AudioError, match="one channel"):
        vocoder.mel(np.stack([tone, tone]), 44_100)
    with pytest.raises(vocode_onnx.AudioError, match="int16"):
        vocoder.mel(tone.astype(np.int64), 44_100)
    with pytest.raises(vocode_onnx.MelError, match="samples"):
        vocoder.mel(tone[:10], 44_100)


def test_the_vocoder_tells_what_it_is(vocoder):
    assert (vocoder.sample_rate, vocoder.n_mels, vocoder.model) == (22_050, 80, "default")
    assert vocoder.precision in ("float", "int8")
    assert "CPU" in vocoder.provider.upper()
    assert len(vocoder.model_sha256) == 64
    assert vocode_onnx.__version__ == metadata.version("vocode-onnx")
    assert "22050 Hz" in repr(vocoder)


def test_integers_are_near_floats(vocoder, mel):
    integers = vocode_onnx.Vocoder(provider="cpu", precision="int8")
    assert integers.precision == "int8"
    error = integers.decode(mel) - vocoder.decode(mel)
    assert 0 < np.square(error).mean() < 0.2 * np.square(vocoder.decode(mel)).mean()


def test_a_vocoder_that_cannot_be_had_says_why(tmp_path):
    with pytest.raises(vocode_onnx.ModelError, match="bundle.toml"):
        vocode_onnx.Vocoder(tmp_path / "none")
    with pytest.raises(vocode_onnx.OptionError, match="cuda"):
        vocode_onnx.Vocoder(provider="gpu")
    with pytest.raises(vocode_onnx.OptionError, match="1024"):
        vocode_onnx.Vocoder(threads=0)
    with pytest.raises(vocode_onnx.OptionError, match="float"):
        vocode_onnx.Vocoder(precision="int4")


def test_a_built_in_model_is_taken_by_its_name_and_named_where_it_fits(vocoder, mel):
    wide = vocode_onnx.Vocoder("vocos24k", provider="cpu")
    assert (wide.model, wide.sample_rate, wide.n_mels) == ("vocos24k", 24_000, 100)
    high = wide.mel(vocoder.decode(mel, steps=1), vocoder.sample_rate)
    assert high.shape[0] == 100
    assert wide.decode(high, steps=1).shape == (high.shape[1] * wide.hop,)
    with pytest.raises(vocode_onnx.MelError, match='Vocoder\\(model="vocos24k"\\)'):
        vocoder.decode(high)
    with pytest.raises(vocode_onnx.ModelError, match="default, vocos24k"):
        vocode_onnx.Vocoder("vocos")


def test_other_threads_run_while_it_computes(vocoder, mel):
    long = np.tile(mel, 20)
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    before = counted[0]
    vocoder.decode(long)
    during = counted[0] - before
    done.set()
    counter.join()
    # With the GIL held all along, the counter would not move at all.
    assert during > 0


def test_threads_may_share_a_vocoder(vocoder, mel):
    want, got = vocoder.decode(mel, steps=2), []
    threads = [threading.Thread(target=lambda: got.append(vocoder.decode(mel, steps=2))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4 and all(np.array_equal(one, want) for one in got)
