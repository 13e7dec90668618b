"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Self, Unpack

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray

from ..v1 import vocoder_pb2 as pb, vocoder_pb2_grpc
from ._answer import Reading, Speech, whole
from ._channel import Pem, Server
from ._kept import Kept
from ._options import MelLike, Options, Order
from ._status import exception
from ._tries import Tries


class AsyncClient:
    """A connection to `vocode serve` for asyncio, to be made in a running event loop. Tasks of that loop may share it.

    It connects with the first call, and tries again for some seconds while the server does not answer.
    """

    def __init__(
        self, address: str = "127.0.0.1:50051", *, api_key: str | None = None, tls_ca: Pem | None = None, tls_identity: tuple[Pem, Pem] | None = None
    ) -> None:
        """The arguments are those of `Client`."""
        self._server = Server(address, api_key, tls_ca, tls_identity)
        self._channel = self._server.channel(grpc.aio)
        self._stub: Any = vocoder_pb2_grpc.VocoderServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def info(self, timeout: float | None = 30.0) -> pb.GetInfoResponse:
        """Versions, the models with their mel conventions and schedules, and the limits of a call: `GetInfo`."""
        try:
            answer: pb.GetInfoResponse = await self._stub.GetInfo(pb.GetInfoRequest(), metadata=self._server.metadata, timeout=timeout)
        except grpc.RpcError as error:
            raise exception(error, self._server.address) from None
        return answer

    async def vocode(self, mel: MelLike, steps: int | None = None, seed: int = 0, **options: Unpack[Options]) -> Speech:
        """A whole mel, [n_mels, frames], for the whole audio, [samples]: `Vocode`. See `Client.vocode`."""
        order = Order(steps, seed, **options)
        request = pb.VocodeRequest(config=order.config, mel=order.mel(mel), request_id=order.request_id)
        try:
            answer = await self._stub.Vocode(request, metadata=self._server.metadata, timeout=order.timeout)
        except grpc.RpcError as error:
            raise exception(error, self._server.address) from None
        return whole(answer, request.mel.n_frames, order.changes_frames, stacklevel=2)

    def stream(self, mel: MelLike, steps: int | None = None, seed: int = 0, **options: Unpack[Options]) -> AsyncSpeechStream:
        """A whole mel, [n_mels, frames], for audio as it is made, [samples] each: `VocodeStream`. See `Client.stream`."""
        order = Order(steps, seed, **options)
        request = pb.VocodeStreamRequest(config=order.config, mel=order.mel(mel), request_id=order.request_id)
        feed = Feed((), order, request.mel.n_frames)

        def begin(sample: int) -> Any:
            request.config.start_sample = sample
            return self._stub.VocodeStream(request, metadata=self._server.metadata, timeout=order.timeout)

        return AsyncSpeechStream(begin, feed, self._server.address)

    def live(
        self, mels: AsyncIterable[MelLike] | Iterable[MelLike], steps: int | None = None, seed: int = 0, **options: Unpack[Options]
    ) -> AsyncSpeechStream:
        """Mels as they are made, [n_mels, any] each, for audio as it is made, [samples] each: `VocodeLive`. See `Client.live`.

        `mels` is read by a task of this loop; what takes long to make belongs into a thread, as `asyncio.to_thread` does it.
        """
        feed = Feed(mels, Order(steps, seed, **options))

        def begin(sample: int) -> Any:
            return self._stub.VocodeLive(feed.requests(sample), metadata=self._server.metadata, timeout=feed.order.timeout)

        return AsyncSpeechStream(begin, feed, self._server.address)

    async def close(self) -> None:
        """Ends the connection, and the calls on it."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._server.address!r})"


class AsyncSpeechStream(AsyncIterator[NDArray[np.float32]]):
    """The audio of a call as it is made: float32 arrays, [samples] each, full scale 1. Leaving an `async with` block ends the call.

    Where the server goes away or drains, it is taken up again as that of `SpeechStream`.
    """

    def __init__(self, begin: Callable[[int], Any], feed: Feed, address: str) -> None:
        self._begin, self._feed, self._address = begin, feed, address
        self._reading, self._tries = Reading(feed.order.changes_frames), Tries()
        self._call = begin(0)
        self._over = False
        self.resumed = 0
        """How many times the call was made again."""

    async def header(self) -> pb.StreamHeader:
        """What ran; waits until the server says it."""
        while self._reading.header is None and await self._event(stacklevel=2) is not None:
            pass
        if self._reading.header is None:
            self._reading.end()
        assert self._reading.header is not None
        return self._reading.header

    async def sample_rate(self) -> int:
        """Samples a second; waits until the server says it."""
        return (await self.header()).sample_rate_hz

    @property
    def summary(self) -> pb.StreamSummary | None:
        """Length and times, once all audio has come."""
        return self._reading.summary

    def close(self) -> None:
        """Ends the call; the server stops working on it."""
        self._over = True
        self._call.cancel()
        self._feed.stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> NDArray[np.float32]:
        while (audio := await self._event(stacklevel=2)) is not None:
            if audio.size:
                return audio
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def _event(self, stacklevel: int) -> NDArray[np.float32] | None:
        """The audio of the next event, of no samples where it holds none; None after the last."""
        if self._over:
            return None
        try:
            while True:
                try:
                    event = await self._call.read()
                except grpc.RpcError as error:
                    self._feed.check()
                    await self._go_on(error)
                    continue
                if event is not grpc.aio.EOF:
                    audio = self._reading.take(event, self._feed.frames, stacklevel + 1)
                    self._feed.needs(self._reading.needed_frame())
                    return np.empty(0, np.float32) if audio is None else audio
                self._feed.check()
                if self._reading.summary is not None:
                    self._over = True
                    return None
                await self._go_on(self._reading.cut_short())
        except asyncio.CancelledError:
            # gRPC ends the call so where the mels raise, and the task may have been cancelled as well.
            self.close()
            self._feed.check()
            raise
        except BaseException:
            self.close()
            raise


    async def _go_on(self, error: Any) -> None:
        """Makes the call again, or raises what ended it."""
        await asyncio.sleep(self._tries.pause(error, self._reading.samples, self._address))
        self._call = self._begin(self._reading.samples)
        self._reading.goes_on(self._feed.start)
        self.resumed += 1


class Feed:
    """The sending side of a call: mels to requests. What another call may need is kept."""

    def __init__(self, mels: AsyncIterable[MelLike] | Iterable[MelLike], order: Order, frames: int = 0) -> None:
        self.order, self.frames = order, frames
        self.start = 0
        """Frame that the mel of the call under way begins with."""
        self._mels = _asynchronous(mels)
        self._kept = Kept()
        self._pull: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._attempt = 0

    def needs(self, frame: int) -> None:
        """Says that frames before `frame` will not be asked for again."""
        self._kept.forget(frame)

    def requests(self, sample: int) -> AsyncIterator[pb.VocodeLiveRequest]:
        """The config of a call that begins with `sample`, then mels; a call before gets no more of them."""
        self._attempt += 1
        self.frames, self.start = 0, self._kept.first
        return self._requests(self._attempt, sample, self.start)

    async def _requests(self, attempt: int, sample: int, frame: int) -> AsyncIterator[pb.VocodeLiveRequest]:
        config = pb.SynthesisConfig()
        config.CopyFrom(self.order.config)
        config.start_sample, config.start_frame = sample, frame
        yield pb.VocodeLiveRequest(config=config, request_id=self.order.request_id)
        while attempt == self._attempt and (message := await self._next(frame)) is not None and attempt == self._attempt:
            frame += message.n_frames
            self.frames += message.n_frames
            yield pb.VocodeLiveRequest(mel=message)

    async def _next(self, frame: int) -> pb.Mel | None:
        """The mel that begins with `frame`, made where it was not sent before; None after the last."""
        if (kept := self._kept.at(frame)) is not None:
            return kept
        if self._pull is None:
            self._pull = asyncio.ensure_future(self._make())
        pull = self._pull
        try:
            # gRPC cancels the requests of a call that breaks off; the mel that is being made is the next call's.
            await asyncio.shield(pull)
        finally:
            if pull.done() and self._pull is pull:
                self._pull = None
        return self._kept.at(frame)

    async def _make(self) -> None:
        try:
            self._kept.add(self.order.mel(await anext(self._mels)))
        except StopAsyncIteration:
            return
        except Exception as error:
            self._error = error
            raise

    def stop(self) -> None:
        """Makes no more mels."""
        if self._pull is not None:
            self._pull.cancel()

    def check(self) -> None:
        """Raises what the mels raised."""
        if self._error is not None:
            raise self._error


async def _asynchronous(mels: AsyncIterable[MelLike] | Iterable[MelLike]) -> AsyncIterator[MelLike]:
    if isinstance(mels, AsyncIterable):
        async for mel in mels:
            yield mel
        return
    for mel in mels:
        yield mel
        # Audio may come in between.
        await asyncio.sleep(0)
