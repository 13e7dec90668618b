"""How a server is reached."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import grpc

from .._errors import OptionError

Pem: TypeAlias = str | PathLike[str] | bytes
"""A PEM file by its path, or what is in it."""

# Whole audio in one answer can be long.
MAX_MESSAGE_BYTES = 256 << 20

# A server that is still loading its models answers UNAVAILABLE.
RETRY = {"maxAttempts": 5, "initialBackoff": "0.5s", "maxBackoff": "4s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
SERVICE = {"methodConfig": [{"name": [{"service": "vocode.v1.VocoderService"}], "retryPolicy": RETRY}]}


@dataclass(frozen=True)
class Server:
    """An address, and what is needed to be let in."""

    address: str
    api_key: str | None = field(default=None, repr=False)
    tls_ca: Pem | None = field(default=None, repr=False)
    tls_identity: tuple[Pem, Pem] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise OptionError("`api_key` holds characters that cannot be sent; expected printable ASCII")
        if not self._secure and (self.tls_ca is not None or self.tls_identity is not None):
            raise OptionError(f"certificates belong to TLS, and {self.address!r} goes without: give https://HOST:PORT")
        if not self.target or "/" in self.target and not self.target.startswith("unix:"):
            raise OptionError(f"{self.address!r} is no address of a server: expected host:port, http://host:port, https://host:port or unix:/path")

    @property
    def target(self) -> str:
        """The address as gRPC writes it."""
        return self.address.removeprefix("https://").removeprefix("http://").removesuffix("/")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries."""
        return (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()

    def channel(self, grpc_module: Any) -> Any:
        """A channel of `grpc`, or of `grpc.aio`."""
        if not self._secure:
            return grpc_module.insecure_channel(self.target, options=self._options)
        key, certificate = (None, None) if self.tls_identity is None else (read(self.tls_identity[1]), read(self.tls_identity[0]))
        roots = None if self.tls_ca is None else read(self.tls_ca)
        return grpc_module.secure_channel(self.target, grpc.ssl_channel_credentials(roots, key, certificate), options=self._options)

    @property
    def _secure(self) -> bool:
        return self.address.startswith("https://")

    @property
    def _options(self) -> list[tuple[str, Any]]:
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.service_config", json.dumps(SERVICE)),
        ]
        if self.target.startswith("unix:"):
            # gRPC would send the path as the host's name, which HTTP/2 servers refuse.
            options.append(("grpc.default_authority", "vocode"))
        return options


def read(pem: Pem) -> bytes:
    """What is in a PEM file."""
    return pem if isinstance(pem, bytes) else Path(pem).read_bytes()
