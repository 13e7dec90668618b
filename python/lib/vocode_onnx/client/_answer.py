"""Answers, held against the contract: a stream that ends early, or with a piece missing, never passes for the whole."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import ServiceError
from ..v1 import vocoder_pb2 as pb

SAMPLE_BYTES = 4


@dataclass(frozen=True, eq=False)
class Speech:
    """A whole answer."""

    audio: NDArray[np.float32]
    """[samples], float32, full scale 1."""
    header: pb.StreamHeader
    """What ran: model, schedule, solver, seed, provider, precision."""
    summary: pb.StreamSummary
    """Length and times."""

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return self.header.sample_rate_hz

    def __repr__(self) -> str:
        return f"Speech({len(self.audio)} samples at {self.sample_rate} Hz, {self.header.steps} steps, seed {self.header.seed})"


def whole(answer: pb.VocodeResponse, frames: int, changed: bool, stacklevel: int) -> Speech:
    """The answer to a unary call that sent `frames`, whose number the server may have `changed`. Its remarks become warnings."""
    if not answer.HasField("header") or not answer.HasField("summary"):
        raise _broken("it has no header or no summary")
    if not changed:
        _same("frames", answer.summary.frames, frames)
    _same("samples", answer.summary.samples, len(answer.audio) / SAMPLE_BYTES)
    _float_samples(answer.header)
    warn(answer.header.warnings, stacklevel + 1)
    warn(answer.summary.warnings, stacklevel + 1)
    return Speech(_samples(answer.audio), answer.header, answer.summary)


class Reading:
    """Follows one streamed answer, event by event, over as many calls as it takes."""

    def __init__(self, changed: bool) -> None:
        """`changed`: the server may make another number of frames of the mel, by cutting padding or by an approximate conversion."""
        self.header: pb.StreamHeader | None = None
        self._changed = changed
        self.summary: pb.StreamSummary | None = None
        self.samples = 0
        """Samples that have come: another call goes on with this one."""
        self._first = 0
        self._first_frame = 0
        self._chunks = 0
        self._headed = False

    def take(self, event: Any, frames: int, stacklevel: int) -> NDArray[np.float32] | None:
        """The audio of the next event, where it holds some; `frames` is what the call has sent so far."""
        kind = event.WhichOneof("event")
        if self.summary is not None:
            raise _broken("it goes on after its summary")
        if self._headed == (kind == "header"):
            raise _broken("it has two headers" if self._headed else "it does not begin with its header")
        if kind == "header":
            self._headed = True
            self._head(event.header, stacklevel + 1)
            return None
        if kind == "chunk":
            return self._chunk(event.chunk)
        if kind != "summary":
            raise _broken("it has an empty event; the server may be of another version")
        _same("samples", event.summary.samples, self.samples - self._first)
        if not self._changed:
            _same("frames", event.summary.frames, frames)
        self.summary = event.summary
        self.summary.samples = self.samples
        self.summary.frames += self._first_frame
        warn(event.summary.warnings, stacklevel + 1)
        return None

    def goes_on(self, frame: int) -> None:
        """Says that the next event is the first of another call, which begins with sample `samples`, and whose mel begins with `frame`."""
        self._first, self._chunks, self._headed = self.samples, 0, False
        self._first_frame = frame

    def needed_frame(self) -> int:
        """The first frame of the mel that another call needs."""
        if self.header is None:
            return 0
        at = self.samples / max(1, self.header.sample_rate_hz) * self.header.frames_per_second
        # One frame more: the product is rounded.
        return max(0, int(at) - self.header.lead_frames - 1)

    def cut_short(self) -> ServiceError:
        """What is wrong with an answer that ended without its summary."""
        return ServiceError(f"the server's answer ended after {self.samples} samples, before its summary")

    def end(self) -> None:
        """Raises ServiceError where the summary did not come."""
        if self.summary is None:
            raise self.cut_short()

    def _chunk(self, chunk: pb.AudioChunk) -> NDArray[np.float32] | None:
        if (chunk.sequence, chunk.start_sample) != (self._chunks, self.samples):
            raise _broken(f"chunk {chunk.sequence} at sample {chunk.start_sample} comes where {self._chunks} at {self.samples} is due")
        if len(chunk.audio) != chunk.samples * SAMPLE_BYTES:
            raise _broken(f"a chunk of {chunk.samples} samples has {len(chunk.audio)} bytes")
        self._chunks += 1
        self.samples += chunk.samples
        return _samples(chunk.audio) if chunk.samples else None

    def _head(self, header: pb.StreamHeader, stacklevel: int) -> None:
        _float_samples(header)
        if self.header is None:
            self.header = header
            warn(header.warnings, stacklevel + 1)
            return
        for field in ("model_sha256", "schedule", "solver", "precision", "sample_rate_hz", "seed", "steps"):
            if getattr(header, field) != getattr(self.header, field):
                raise _broken(f"the call broke off, and the server that took it up has another {field}: the audio would not fit together")


def warn(remarks: Any, stacklevel: int) -> None:
    """The server's remarks as Python's warnings, of the caller `stacklevel` calls above."""
    for remark in remarks:
        warnings.warn(remark, UserWarning, stacklevel=stacklevel + 1)


def _samples(audio: bytes) -> NDArray[np.float32]:
    return np.frombuffer(audio, "<f4").astype(np.float32)


def _float_samples(header: pb.StreamHeader) -> None:
    if header.encoding != pb.AUDIO_ENCODING_PCM_F32LE:
        raise _broken("its audio is not of the encoding that was asked for")


def _same(what: str, said: int, found: float) -> None:
    if said != found:
        raise _broken(f"it says {said} {what} and there are {found:g}")


def _broken(reason: str) -> ServiceError:
    return ServiceError(f"the server's answer is not whole: {reason}")
