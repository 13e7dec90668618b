"""The client for programs without asyncio."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, Unpack

import grpc
import numpy as np
from numpy.typing import NDArray

from ..v1 import vocoder_pb2 as pb, vocoder_pb2_grpc
from ._answer import Reading, Speech, whole
from ._channel import Pem, Server
from ._kept import Kept
from ._options import MelLike, Options, Order
from ._status import exception
from ._tries import Tries


class Client:
    """A connection to `vocode serve`. Threads may share it; each call is one stream of the server.

    It connects with the first call, and tries again for some seconds while the server does not answer.
    """

    def __init__(
        self, address: str = "127.0.0.1:50051", *, api_key: str | None = None, tls_ca: Pem | None = None, tls_identity: tuple[Pem, Pem] | None = None
    ) -> None:
        """`address` is host:port, https://host:port or unix:/path.

        `api_key` is one of the server's `--api-keys`. With https, `tls_ca` is the authority that signed the server's certificate (a file's path,
        or the PEM itself), where that is not a public one, and `tls_identity` a certificate and its key, for servers that ask for them.
        """
        self._server = Server(address, api_key, tls_ca, tls_identity)
        self._channel = self._server.channel(grpc)
        self._stub: Any = vocoder_pb2_grpc.VocoderServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def info(self, timeout: float | None = 30.0) -> pb.GetInfoResponse:
        """Versions, the models with their mel conventions and schedules, and the limits of a call: `GetInfo`."""
        try:
            answer: pb.GetInfoResponse = self._stub.GetInfo(pb.GetInfoRequest(), metadata=self._server.metadata, timeout=timeout)
        except grpc.RpcError as error:
            raise exception(error, self._server.address) from None
        return answer

    def vocode(self, mel: MelLike, steps: int | None = None, seed: int = 0, **options: Unpack[Options]) -> Speech:
        """A whole mel, [n_mels, frames], for the whole audio, [samples]: `Vocode`. For clips up to `info().limits.max_unary_frames`.

        `options` are those of `vocode_onnx.client.Options`. What the server finds odd about the mel becomes a UserWarning.
        Raises MelError and OptionError for what cannot be sent, and ServiceError with the server's words for what it refuses.
        """
        order = Order(steps, seed, **options)
        request = pb.VocodeRequest(config=order.config, mel=order.mel(mel), request_id=order.request_id)
        try:
            answer = self._stub.Vocode(request, metadata=self._server.metadata, timeout=order.timeout)
        except grpc.RpcError as error:
            raise exception(error, self._server.address) from None
        return whole(answer, request.mel.n_frames, order.changes_frames, stacklevel=2)

    def stream(self, mel: MelLike, steps: int | None = None, seed: int = 0, **options: Unpack[Options]) -> SpeechStream:
        """A whole mel, [n_mels, frames], for audio as it is made, [samples] each: `VocodeStream`. Arguments and errors are those of `vocode`."""
        order = Order(steps, seed, **options)
        request = pb.VocodeStreamRequest(config=order.config, mel=order.mel(mel), request_id=order.request_id)
        feed = Feed((), order, request.mel.n_frames)

        def begin(sample: int) -> Any:
            request.config.start_sample = sample
            return self._stub.VocodeStream(request, metadata=self._server.metadata, timeout=order.timeout)

        return SpeechStream(begin, feed, self._server.address)

    def live(self, mels: Iterable[MelLike], steps: int | None = None, seed: int = 0, **options: Unpack[Options]) -> SpeechStream:
        """Mels as they are made, [n_mels, any] each, for audio as it is made, [samples] each: `VocodeLive`.

        `mels` is read by another thread, as fast as the server has room for them. An exception of it comes out of the answer. Arguments and
        errors are those of `vocode`.
        """
        feed = Feed(mels, Order(steps, seed, **options))

        def begin(sample: int) -> Any:
            call = self._stub.VocodeLive(feed.requests(sample), metadata=self._server.metadata, timeout=feed.order.timeout)
            feed.belongs_to(call)
            return call

        return SpeechStream(begin, feed, self._server.address)

    def close(self) -> None:
        """Ends the connection, and the calls on it."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._server.address!r})"


class SpeechStream(Iterator[NDArray[np.float32]]):
    """The audio of a call as it is made: float32 arrays, [samples] each, full scale 1. Leaving a `with` block ends the call.

    Where the server goes away or drains, the call is made again from the first sample that has not come, which any server with the same
    model makes as the first one would have.
    """

    def __init__(self, begin: Callable[[int], Any], feed: Feed, address: str) -> None:
        self._begin, self._feed, self._address = begin, feed, address
        self._reading, self._tries = Reading(feed.order.changes_frames), Tries()
        self._call = begin(0)
        self._over = False
        self.resumed = 0
        """How many times the call was made again."""

    @property
    def header(self) -> pb.StreamHeader:
        """What ran; waits until the server says it."""
        while self._reading.header is None and self._event(stacklevel=2) is not None:
            pass
        if self._reading.header is None:
            self._reading.end()
        assert self._reading.header is not None
        return self._reading.header

    @property
    def sample_rate(self) -> int:
        """Samples a second; waits until the server says it."""
        return self.header.sample_rate_hz

    @property
    def summary(self) -> pb.StreamSummary | None:
        """Length and times, once all audio has come."""
        return self._reading.summary

    def close(self) -> None:
        """Ends the call; the server stops working on it."""
        self._over = True
        self._call.cancel()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> NDArray[np.float32]:
        while (audio := self._event(stacklevel=2)) is not None:
            if audio.size:
                return audio
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _event(self, stacklevel: int) -> NDArray[np.float32] | None:
        """The audio of the next event, of no samples where it holds none; None after the last."""
        if self._over:
            return None
        try:
            while True:
                try:
                    event = next(self._call)
                except StopIteration:
                    self._feed.check()
                    if self._reading.summary is not None:
                        self._over = True
                        return None
                    self._go_on(self._reading.cut_short())
                except grpc.RpcError as error:
                    self._feed.check()
                    self._go_on(error)
                else:
                    audio = self._reading.take(event, self._feed.frames, stacklevel + 1)
                    self._feed.needs(self._reading.needed_frame())
                    return np.empty(0, np.float32) if audio is None else audio
        except BaseException:
            self.close()
            raise

    def _go_on(self, error: Any) -> None:
        """Makes the call again, or raises what ended it."""
        time.sleep(self._tries.pause(error, self._reading.samples, self._address))
        self._call = self._begin(self._reading.samples)
        self._reading.goes_on(self._feed.start)
        self.resumed += 1


class Feed:
    """The sending side of a call: mels to requests, in a thread of gRPC. What another call may need is kept."""

    def __init__(self, mels: Iterable[MelLike], order: Order, frames: int = 0) -> None:
        self.order, self.frames = order, frames
        self.start = 0
        """Frame that the mel of the call under way begins with."""
        self._mels = iter(mels)
        self._kept = Kept()
        self._pulling = threading.Lock()
        self._error: BaseException | None = None
        self._call: Any = None
        self._attempt = 0

    def belongs_to(self, call: Any) -> None:
        """Says which call ends when the mels do not go on."""
        self._call = call
        if self._error is not None:
            call.cancel()

    def needs(self, frame: int) -> None:
        """Says that frames before `frame` will not be asked for again."""
        self._kept.forget(frame)

    def requests(self, sample: int) -> Iterator[pb.VocodeLiveRequest]:
        """The config of a call that begins with `sample`, then mels; a call before gets no more of them."""
        self._attempt += 1
        self.frames, self.start = 0, self._kept.first
        return self._requests(self._attempt, sample, self.start)

    def _requests(self, attempt: int, sample: int, frame: int) -> Iterator[pb.VocodeLiveRequest]:
        config = pb.SynthesisConfig()
        config.CopyFrom(self.order.config)
        config.start_sample, config.start_frame = sample, frame
        yield pb.VocodeLiveRequest(config=config, request_id=self.order.request_id)
        while attempt == self._attempt and (message := self._next(frame)) is not None and attempt == self._attempt:
            frame += message.n_frames
            self.frames += message.n_frames
            yield pb.VocodeLiveRequest(mel=message)

    def _next(self, frame: int) -> pb.Mel | None:
        """The mel that begins with `frame`, made where it was not sent before; None after the last."""
        if (kept := self._kept.at(frame)) is not None:
            return kept
        try:
            # A call before may still wait for the mel: then it is that one's to keep.
            with self._pulling:
                if (kept := self._kept.at(frame)) is not None:
                    return kept
                return self._kept.add(self.order.mel(next(self._mels)))
        except StopIteration:
            return None
        except BaseException as error:
            # gRPC would log it and tell the caller nothing.
            self._error = error
            if self._call is not None:
                self._call.cancel()
            return None

    def check(self) -> None:
        """Raises what the mels raised."""
        if self._error is not None:
            raise self._error
