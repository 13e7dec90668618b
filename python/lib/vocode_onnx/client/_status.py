"""From gRPC status codes and their details to exceptions."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from .._errors import BusyError, DeadlineError, RequestError, ServiceError, UnavailableError

KINDS: dict[str, type[ServiceError]] = {
    "INVALID_ARGUMENT": RequestError,
    "NOT_FOUND": RequestError,
    "FAILED_PRECONDITION": RequestError,
    "OUT_OF_RANGE": RequestError,
    "UNAUTHENTICATED": RequestError,
    "RESOURCE_EXHAUSTED": BusyError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineError,
}


def exception(error: Any, address: str) -> ServiceError:
    """What a `grpc.RpcError` says, with the fields, the reason and the delay of its details."""
    code, words = error.code().name, error.details() or ""
    if code == "UNAVAILABLE" and words.startswith("failed to connect"):
        return UnavailableError(f"cannot reach {address}: {words}: see that `vocode serve` runs there", code)
    # Whoever sees it first says so: gRPC here, or the server.
    if code == "DEADLINE_EXCEEDED" and ("Deadline Exceeded" in words or "call's own deadline" in words):
        return DeadlineError("the call took longer than its `timeout`", code)
    bad_request, retry_info, error_info = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
    for detail in _details(error):
        for known in (bad_request, retry_info, error_info):
            if detail.Is(known.DESCRIPTOR):
                detail.Unpack(known)
    fields = {violation.field: violation.description for violation in bad_request.field_violations}
    retry_after = retry_info.retry_delay.ToTimedelta().total_seconds() if retry_info.HasField("retry_delay") else None
    message = f"the server says {code}: {words}"
    for field, description in fields.items():
        message += f" ({field})" if description in words else f"; {field}: {description}"
    if retry_after is not None:
        message += f"; try again in {retry_after:.1f} s"
    return KINDS.get(code, ServiceError)(message, code, fields, error_info.reason, retry_after)


def _details(error: Any) -> Any:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return status_pb2.Status.FromString(value).details
            except DecodeError:
                return ()
    return ()
