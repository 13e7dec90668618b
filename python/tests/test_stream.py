"""``Vocoder.stream``."""

import numpy as np
import pytest

import vocode_onnx


def pieces(mel, size):
    for start in range(0, mel.shape[1], size):
        yield mel[:, start : start + size]


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_a_stream_is_the_whole_clip_in_pieces(vocoder, mel, size):
    chunks = list(vocoder.stream(pieces(mel, size), steps=2, seed=3))
    assert all(chunk.dtype == np.float32 and chunk.ndim == 1 and chunk.size for chunk in chunks)
    np.testing.assert_allclose(np.concatenate(chunks), vocoder.decode(mel, steps=2, seed=3), atol=1e-3)


def test_audio_comes_before_the_mel_ends(vocoder, mel):
    taken = []

    def watched():
        for piece in pieces(np.tile(mel, 4), 10):
            taken.append(piece)
            yield piece

    audio = vocoder.stream(watched(), steps=2, chunk_frames=24)
    assert next(audio).size
    assert len(taken) < 48


def test_rate_and_convention_hold_for_streams(vocoder, mel):
    normalised = vocode_onnx.MelConvention("hifigan", mean=-5.5, std=2.1)
    chunks = vocoder.stream(pieces((mel + 5.5) / 2.1, 32), steps=1, mel_convention=normalised, sample_rate=44_100)
    audio = np.concatenate(list(chunks))
    np.testing.assert_allclose(audio, vocoder.decode(mel, steps=1, sample_rate=44_100), atol=2e-3)


def test_two_streams_may_take_turns(vocoder, mel):
    want = vocoder.decode(mel, steps=2)
    streams = [vocoder.stream(pieces(mel, 20), steps=2) for _ in range(2)]
    parts = [[], []]
    while True:
        got = [next(stream, None) for stream in streams]
        if all(chunk is None for chunk in got):
            break
        for part, chunk in zip(parts, got):
            part.append(chunk)
    for part in parts:
        np.testing.assert_allclose(np.concatenate(part), want, atol=1e-3)


def test_nothing_in_is_nothing_out(vocoder):
    assert list(vocoder.stream(iter([]))) == []


def test_an_exception_of_the_mels_comes_through_and_ends_the_stream(vocoder, mel):
    def broken():
        yield mel[:, :10]
        raise KeyError("the acoustic model")

    audio = vocoder.stream(broken())
    with pytest.raises(KeyError, match="acoustic"):
        list(audio)
    assert list(audio) == []


def test_a_bad_piece_is_refused(vocoder, mel):
    with pytest.raises(vocode_onnx.MelError, match="80 mel bands"):
        list(vocoder.stream([mel[:70]]))
    with pytest.raises(vocode_onnx.OptionError, match="window"):
        vocoder.stream([mel], chunk_frames=0)
    with pytest.raises(TypeError):
        vocoder.stream(3)
