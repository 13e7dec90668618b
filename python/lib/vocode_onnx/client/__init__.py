"""Calls `vocode serve`: a mel over gRPC, audio back, whole or as it is made.

    import vocode_onnx

    with vocode_onnx.Client("127.0.0.1:50051") as client:
        speech = client.vocode(mel)              # [80, frames] -> speech.audio [samples], float32
        for audio in client.stream(mel):         # [samples] each, as it is made
            play(audio)

``AsyncClient`` is the same for asyncio. Both need ``pip install 'vocode_onnx[client]'``.
"""

from __future__ import annotations

try:
    import google.rpc.error_details_pb2  # noqa: F401
    import grpc  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"vocode_onnx.Client needs the packages of gRPC, and {error.name or 'one'} is missing: pip install 'vocode_onnx[client]'"
    ) from error

from ._answer import Speech
from ._asynchronous import AsyncClient, AsyncSpeechStream
from ._options import Options
from ._synchronous import Client, SpeechStream

__all__ = ["AsyncClient", "AsyncSpeechStream", "Client", "Options", "Speech", "SpeechStream"]
