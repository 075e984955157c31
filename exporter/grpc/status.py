"""gRPC status codes: their names, and the codes that stand for HTTP statuses and stream resets.

Sources: gRPC, "Status codes and their use in gRPC", "HTTP to gRPC Status Code Mapping" and "gRPC over HTTP2"
(section "HTTP2 Transport Mapping").
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from exporter.net.field_lines import printable

NAMES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""Names of the codes, which are their places in this list."""

CODES = {name: code for code, name in enumerate(NAMES)}
"""Name to code."""

_OF_HTTP = {400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED"}
_OF_HTTP |= dict.fromkeys((429, 502, 503, 504), "UNAVAILABLE")
_OF_RESET = {0x7: "UNAVAILABLE", 0x8: "CANCELLED", 0xB: "RESOURCE_EXHAUSTED", 0xC: "PERMISSION_DENIED"}
_RESETS = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
_SHOWN_CHARACTERS = 200


def status_name(code: int) -> str:
    """Return the name of a code, or the number of an unknown one."""
    return NAMES[code] if code < len(NAMES) else str(code)


def spelled_status(text: str) -> str:
    """Return a status as it is observed, from its name in any case or its number.

    Raises:
        ValueError: When there is no such status.
    """
    name = text.strip().upper().replace("-", "_").replace(" ", "_")
    if name.isascii() and name.isdigit() and int(name) < len(NAMES):
        return NAMES[int(name)]
    if name == "CANCELED":
        return "CANCELLED"
    if name not in CODES:
        raise ValueError(f"is not a gRPC status; write one of {', '.join(NAMES)}")
    return name


def code_of_http(http_status: int) -> int:
    """Return the code for an answer that has no gRPC status."""
    return CODES[_OF_HTTP.get(http_status, "UNKNOWN")]


def code_of_reset(error_code: int) -> int:
    """Return the code for a stream that the server reset."""
    return CODES[_OF_RESET.get(error_code, "INTERNAL")]


def error_name(error_code: int) -> str:
    """Return the name of an HTTP/2 error code (RFC 9113 section 7)."""
    return _RESETS[error_code] if error_code < len(_RESETS) else f"error code {error_code:#x}"


def decoded_message(value: bytes) -> str:
    """Return a grpc-message as text: percent-decoded, printable, and cut to a bounded length.

    Source: gRPC over HTTP2, "Responses": invalid encodings must be kept, not rejected.
    """
    text = unquote_to_bytes(value[: 4 * _SHOWN_CHARACTERS]).decode("utf-8", "replace")
    return printable(text[:_SHOWN_CHARACTERS])


def timeout_value(seconds: float) -> bytes:
    """Return the value of grpc-timeout: at most eight digits and a unit (gRPC over HTTP2, "Requests")."""
    milliseconds = max(1, int(seconds * 1000))
    return b"%dm" % milliseconds if milliseconds < 10**8 else b"%dS" % min(int(seconds), 10**8 - 1)
