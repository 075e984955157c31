"""Verdicts on a check, severities of its expectations, and the closed set of reasons why it fails."""

from __future__ import annotations

from enum import StrEnum


class ResultStatus(StrEnum):
    """The verdict on one check; `probe_status` shows its `code`."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"

    @property
    def code(self) -> int:
        """The verdict as a number: 0 for ok, 1 for warning, 2 for error."""
        return _STATUS_CODES[self]

    @property
    def state(self) -> str:
        """The state of the check for people: ok, degraded or failing."""
        return _STATES[self]


_STATUS_CODES = {ResultStatus.OK: 0, ResultStatus.WARNING: 1, ResultStatus.ERROR: 2}
_STATES = {ResultStatus.OK: "ok", ResultStatus.WARNING: "degraded", ResultStatus.ERROR: "failing"}


class Severity(StrEnum):
    """What a failed expectation does to the verdict."""

    ERROR = "error"
    WARNING = "warning"


class Reason(StrEnum):
    """Why a check failed: a closed set, because it is a label value. Free text goes to `Result.detail` and the log."""

    RESOLVE = "resolve"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECTION_RESET = "connection_reset"
    UNREACHABLE = "unreachable"
    LOCAL = "local"
    TLS = "tls"
    CERTIFICATE = "certificate"
    STARTTLS = "starttls"
    AUTH = "auth"
    PROTOCOL = "protocol"
    DECODE = "decode"
    TOO_LARGE = "too_large"
    REDIRECT = "redirect"
    STATUS = "status"
    RCODE = "rcode"
    EXPECTATION = "expectation"
    TIMEOUT = "timeout"
    DEADLINE = "deadline"
    RUNNER = "runner"
    INTERNAL = "internal"
    STUCK = "stuck"
