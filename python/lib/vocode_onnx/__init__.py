"""A diffusion vocoder: mel spectrogram in, speech out.

    import numpy
    import vocode_onnx

    vocoder = vocode_onnx.Vocoder()
    audio = vocoder.decode(numpy.load("mel.npy"))     # [80, frames] -> [samples], float32

ONNX Runtime is that of the package ``onnxruntime`` in the same environment. Neither torch nor a compiler is needed.
"""

import os as _os

from . import _environment
from ._errors import (
    AudioError,
    MelError,
    ModelError,
    OnnxRuntimeError,
    OptionError,
    VocodeError,
)

# ONNX Runtime reads this once, when it starts; a value that the caller set stays.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from ._native import AudioStream, MelConvention, Vocoder, __version__  # noqa: E402

_environment.find_runtime()

__all__ = [
    "AudioError",
    "AudioStream",
    "MelConvention",
    "MelError",
    "ModelError",
    "OnnxRuntimeError",
    "OptionError",
    "VocodeError",
    "Vocoder",
    "__version__",
]
