"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self, Unpack

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray

from ..v1 import vocoder_pb2 as pb, vocoder_pb2_grpc
from ._answer import Reading, Speech, whole
from ._channel import Pem, Server
from ._options import MelLike, Options, Order
from ._status import exception


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
        return whole(answer, request.mel.n_frames, order.config.trim_padding, stacklevel=2)

    def stream(self, mel: MelLike, steps: int | None = None, seed: int = 0, **options: Unpack[Options]) -> AsyncSpeechStream:
        """A whole mel, [n_mels, frames], for audio as it is made, [samples] each: `VocodeStream`. See `Client.stream`."""
        order = Order(steps, seed, **options)
        request = pb.VocodeStreamRequest(config=order.config, mel=order.mel(mel), request_id=order.request_id)
        feed = Feed((), order, request.mel.n_frames)
        return AsyncSpeechStream(self._stub.VocodeStream(request, metadata=self._server.metadata, timeout=order.timeout), feed, self._server.address)

    def live(
        self, mels: AsyncIterable[MelLike] | Iterable[MelLike], steps: int | None = None, seed: int = 0, **options: Unpack[Options]
    ) -> AsyncSpeechStream:
        """Mels as they are made, [n_mels, any] each, for audio as it is made, [samples] each: `VocodeLive`. See `Client.live`.

        `mels` is read by a task of this loop; what takes long to make belongs into a thread, as `asyncio.to_thread` does it.
        """
        feed = Feed(mels, Order(steps, seed, **options))
        call = self._stub.VocodeLive(feed.requests(), metadata=self._server.metadata, timeout=feed.order.timeout)
        return AsyncSpeechStream(call, feed, self._server.address)

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
    """The audio of a call as it is made: float32 arrays, [samples] each, full scale 1. Leaving an `async with` block ends the call."""

    def __init__(self, call: Any, feed: Feed, address: str) -> None:
        self._call, self._feed, self._address = call, feed, address
        self._reading = Reading(feed.order.config.trim_padding)
        self._over = False

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
            event = await self._call.read()
            if event is not grpc.aio.EOF:
                audio = self._reading.take(event, self._feed.frames, stacklevel + 1)
                return np.empty(0, np.float32) if audio is None else audio
            self._over = True
            self._feed.check()
            self._reading.end()
            return None
        except grpc.RpcError as error:
            self._over = True
            self._feed.check()
            raise exception(error, self._address) from None
        except asyncio.CancelledError:
            # gRPC ends the call so where the mels raise, and the task may have been cancelled as well.
            self.close()
            self._feed.check()
            raise
        except BaseException:
            self.close()
            raise


class Feed:
    """The sending side of a call: mels to requests."""

    def __init__(self, mels: AsyncIterable[MelLike] | Iterable[MelLike], order: Order, frames: int = 0) -> None:
        self.order, self.frames = order, frames
        self._mels = mels
        self._error: Exception | None = None

    async def requests(self) -> AsyncIterator[pb.VocodeLiveRequest]:
        """The config, then mels."""
        yield pb.VocodeLiveRequest(config=self.order.config, request_id=self.order.request_id)
        try:
            async for mel in _asynchronous(self._mels):
                message = self.order.mel(mel)
                self.frames += message.n_frames
                yield pb.VocodeLiveRequest(mel=message)
        except Exception as error:
            self._error = error
            raise

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
