"""Calls that are made again: where a server goes away, another one goes on with the same samples."""

from __future__ import annotations

from typing import Any

from .._errors import ServiceError
from ._status import exception

ATTEMPTS = 10
"""Calls in a row that may fail before any audio comes."""
FIRST_PAUSE = 0.02
"""Seconds after the first of them; they double each time."""
LONGEST_PAUSE = 1.0


class Tries:
    """How often a call has failed since its last audio."""

    def __init__(self) -> None:
        self._failed = 0
        self._samples = 0

    def pause(self, error: Any, samples: int, address: str) -> float:
        """Seconds to wait before the next call, of which `samples` have come.

        Raises the error's exception where another call would fare no better or enough were made; `error` is a `grpc.RpcError`, or the
        ServiceError of an answer that ended early.
        """
        if samples > self._samples:
            self._failed, self._samples = 0, samples
        known = error if isinstance(error, ServiceError) else exception(error, address)
        if self._failed >= ATTEMPTS or not (error is known or _is_of_transport(error)):
            raise known from None
        pause = FIRST_PAUSE * 2**self._failed
        self._failed += 1
        return min(known.retry_after or pause, LONGEST_PAUSE)


def _is_of_transport(error: Any) -> bool:
    """Whether the server or the way to it was lost, or it is about to stop. What a server says itself has details."""
    code = error.code().name
    if code in ("UNKNOWN", "INTERNAL", "CANCELLED"):
        return all(key != "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ())
    return bool(code == "UNAVAILABLE")
