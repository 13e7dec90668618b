"""Watermarks: ``decode`` and ``stream`` put them in, ``detect`` finds them."""

import numpy as np
import pytest

import vocode_onnx

KEY = b"a key of the tests of the wheel"


@pytest.fixture(scope="module")
def long_mel(mel):
    return np.tile(mel, 10)


def test_a_watermark_is_found_by_its_key_alone(vocoder, long_mel):
    audio = vocoder.decode(long_mel, watermark=0xCAFE0123, watermark_key=KEY)
    found = vocode_onnx.detect(audio, vocoder.sample_rate, key=KEY)
    assert found.is_marked() and found.false_alarm < 1e-6
    assert found.payload == 0xCAFE0123
    assert found.seconds == pytest.approx(len(audio) / vocoder.sample_rate)
    assert found.places[0].start == 0.0 and found.places[0].log10_false_alarm < -6
    assert not vocode_onnx.detect(audio, vocoder.sample_rate).is_marked(1e-3)


def test_streams_and_wholes_have_the_same_watermark(vocoder, long_mel):
    whole = vocoder.decode(long_mel, watermark=True)
    pieces = (long_mel[:, start : start + 100] for start in range(0, long_mel.shape[1], 100))
    streamed = np.concatenate(list(vocoder.stream(pieces, watermark=True)))
    np.testing.assert_allclose(streamed, whole, atol=1e-4)
    assert vocode_onnx.detect(streamed, vocoder.sample_rate).is_marked()
    assert np.array_equal(vocoder.decode(long_mel[:, :60], watermark=False), vocoder.decode(long_mel[:, :60]))


def test_a_short_key_is_refused(vocoder, mel):
    with pytest.raises(vocode_onnx.OptionError, match="at least 16 bytes"):
        vocoder.decode(mel, watermark=True, watermark_key=b"short")
