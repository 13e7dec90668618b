"""A diffusion vocoder: mel spectrogram in, speech out.

    import numpy
    import vocode_onnx

    vocoder = vocode_onnx.Vocoder()
    audio = vocoder.decode(numpy.load("mel.npy"))     # [80, frames] -> [samples], float32

ONNX Runtime is that of the package ``onnxruntime`` in the same environment. Neither torch nor a compiler is needed.

``Client`` and ``AsyncClient`` call a `vocode serve` instead; they come with ``pip install 'vocode_onnx[client]'``.
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import _environment
from ._errors import (
    AudioError,
    BusyError,
    DeadlineError,
    MelError,
    ModelError,
    OnnxRuntimeError,
    OptionError,
    RequestError,
    ServiceError,
    UnavailableError,
    VocodeError,
)

if _TYPE_CHECKING:
    from .client import AsyncClient as AsyncClient
    from .client import Client as Client

# ONNX Runtime reads this once, when it starts; a value that the caller set stays.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from ._native import (  # noqa: E402
    AudioStream,
    Detection,
    MelConvention,
    Place,
    Vocoder,
    __version__,
    detect,
)

_environment.find_runtime()

__all__ = [
    "AudioError",
    "AudioStream",
    "BusyError",
    "DeadlineError",
    "Detection",
    "MelConvention",
    "MelError",
    "ModelError",
    "OnnxRuntimeError",
    "OptionError",
    "Place",
    "RequestError",
    "ServiceError",
    "UnavailableError",
    "VocodeError",
    "Vocoder",
    "__version__",
    "detect",
]


def __getattr__(name: str) -> object:
    """The clients, when they are first used: they need packages that the rest does without."""
    if name in ("Client", "AsyncClient"):
        from . import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "AsyncClient", "Client"]
