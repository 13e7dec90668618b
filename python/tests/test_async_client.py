"""``AsyncClient``, against the real server."""

import asyncio

import numpy as np
import pytest
from conftest import free_port, serving

import vocode_onnx
from vocode_onnx import AsyncClient


def pieces(mel, size=20):
    for start in range(0, mel.shape[1], size):
        yield mel[:, start : start + size]


async def trickle(mel):
    for piece in pieces(mel):
        yield piece
        await asyncio.sleep(0)


async def gathered(stream):
    return np.concatenate([audio async for audio in stream])


def with_client(address, work):
    """Runs `work(client)` in a loop of its own."""

    async def run():
        async with AsyncClient(address) as client:
            return await work(client)

    return asyncio.run(run())


def test_every_call_gives_the_audio_of_the_module(address, vocoder, mel):
    async def work(client):
        whole = await client.vocode(mel, steps=2, seed=3)
        streams = [client.stream(mel, 2, 3), client.live(trickle(mel), 2, 3), client.live(pieces(mel), 2, 3)]
        return whole.audio, *await asyncio.gather(*map(gathered, streams)), await streams[0].sample_rate()

    *audios, rate = with_client(address, work)
    want = vocoder.decode(mel, steps=2, seed=3)
    assert rate == vocoder.sample_rate
    for audio in audios:
        np.testing.assert_allclose(audio, want, atol=1e-4)


def test_calls_outlive_their_server(program, vocoder, mel):
    address = f"127.0.0.1:{free_port()}"

    async def slowly():
        for piece in pieces(mel, 4):
            yield piece
            await asyncio.sleep(0.02)

    async def work(client):
        with serving(program, listen=address, kills=True):
            live = client.live(slowly(), 2, 3, first_chunk_frames=8, chunk_frames=8)
            heard = [await anext(live), await anext(live)]
        with serving(program, listen=address):
            heard += [audio async for audio in live]
        return np.concatenate(heard), live.resumed, live.summary.frames

    audio, resumed, frames = with_client(address, work)
    assert (resumed, frames) == (1, mel.shape[1])
    np.testing.assert_allclose(audio, vocoder.decode(mel, steps=2, seed=3), atol=1e-4)


def test_the_server_says_what_it_has(address):
    info = with_client(address, lambda client: client.info())
    assert info.version == vocode_onnx.__version__


def test_what_cannot_be_had_is_refused(address, mel):
    async def work(client):
        for call in (client.vocode(mel[:70]), gathered(client.stream(mel[:70])), gathered(client.live([mel[:70]]))):
            with pytest.raises(vocode_onnx.RequestError, match=r"70 bands.*mel\.n_mels"):
                await call

    with_client(address, work)
    with pytest.raises(ConnectionError, match="cannot reach"):
        with_client("127.0.0.1:1", lambda client: client.info())


def test_an_exception_of_the_mels_comes_out_of_the_answer(address, mel):
    async def broken():
        yield mel[:, :10]
        raise KeyError("the acoustic model")

    async def work(client):
        with pytest.raises(KeyError, match="acoustic"):
            await gathered(client.live(broken()))

    with_client(address, work)


def test_a_call_can_be_left_and_a_task_cancelled(address, mel):
    async def endless():
        while True:
            yield mel[:, :10]

    async def work(client):
        async with client.live(endless()) as audio:
            assert (await anext(audio)).size
        assert [chunk async for chunk in audio] == []
        first = asyncio.Event()

        async def listen():
            async for _ in client.live(endless()):
                first.set()

        task = asyncio.create_task(listen())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await client.vocode(mel, steps=1)).audio

    assert with_client(address, work).size


def test_remarks_are_warnings(address, mel):
    with pytest.warns(UserWarning, match="half a hop"):
        with_client(address, lambda client: client.vocode(mel, steps=1, mel_convention="tacotron2"))
