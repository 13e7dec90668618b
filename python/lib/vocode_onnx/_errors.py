"""The exceptions of this package. Their messages are the library's, and say what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Mapping


class VocodeError(Exception):
    """Any error of the vocoder."""


class MelError(VocodeError, ValueError):
    """A mel that cannot be used: its shape, its values or its convention."""


class AudioError(VocodeError, ValueError):
    """Audio or a sample rate that cannot be used."""


class OptionError(VocodeError, ValueError):
    """An argument out of its range, or that does not fit the model."""


class ModelError(VocodeError):
    """A model folder that cannot be used."""


class OnnxRuntimeError(VocodeError, RuntimeError):
    """ONNX Runtime is missing or too old, or it refuses a provider or a graph."""


class ServiceError(VocodeError):
    """A call that the server refused or that failed, or an answer that is not whole.

    The message holds the server's words, the fields that it names and when to try again.
    """

    def __init__(
        self, message: str, code: str = "UNKNOWN", fields: Mapping[str, str] | None = None, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code: str = code
        """Name of the gRPC status code."""
        self.fields: dict[str, str] = dict(fields or {})
        """What is wrong with which field of the request, as in ``{"mel.n_mels": "the mel has 70 bands; ..."}``."""
        self.reason: str = reason
        """A word for programs, as in "MEL_CONVENTION_MISMATCH"; empty where there is none."""
        self.retry_after: float | None = retry_after
        """Seconds after which it is worth another try; None where the server does not say."""


class RequestError(ServiceError, ValueError):
    """What was asked for cannot be had: a mel, a setting, a model or the API key."""


class BusyError(ServiceError):
    """The server has as much to do as it can: try again after ``retry_after`` seconds."""


class UnavailableError(ServiceError, ConnectionError):
    """Nobody answers, or the server is starting or stopping."""


class DeadlineError(ServiceError, TimeoutError):
    """The call took longer than its own timeout or the server's limit, or nothing was sent or read for too long."""
