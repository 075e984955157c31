"""Metric families of HTTP exchanges, compatible with blackbox_exporter in names, phases and the meaning of 0."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from exporter.model import Measurement, MetricSpec, phase_durations
from exporter.net.connection_facts import shared_measurement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.http.message import Exchange

DURATION = phase_durations(
    "http",
    ("resolve", "connect", "tls", "processing", "transfer"),
    "Seconds spent in each phase, summed over redirects; 0 for a phase that was not reached or not needed",
)


def _always(name: str, text: str) -> MetricSpec:
    return MetricSpec(name=f"probe_{name}", help=text, defaults=(((), 0.0),))


STATUS_CODE = _always("http_status_code", "Status of the last response; 0 without one")
CONTENT_LENGTH = _always(
    "http_content_length", "Content-Length of the last response; -1 when it has none, 0 without a response"
)
BODY_LENGTH = _always(
    "http_uncompressed_body_length", "Bytes of the last response's body after decoding; 0 without a response"
)
REDIRECTS = _always("http_redirects", "Redirects that were followed")
SSL = _always("http_ssl", "1 when the last response came over TLS; else 0")
VERSION = _always("http_version", "HTTP version of the last response, such as 1.1, 2 or 3; 0 without one")
LAST_MODIFIED = MetricSpec(
    name="probe_http_last_modified_timestamp_seconds",
    help="Last-Modified of the last response as Unix time; absent without a readable one",
)

HTTP_METRICS = (DURATION, STATUS_CODE, CONTENT_LENGTH, BODY_LENGTH, REDIRECTS, SSL, VERSION, LAST_MODIFIED)
"""Metric families of every check type that uses HTTP."""


def http_measurements(exchanges: Sequence[Exchange], redirects: int) -> list[Measurement]:
    """Return the values of HTTP_METRICS that are known.

    Args:
        exchanges: The exchanges of one run in order: first request, answered challenges, redirects; at least one.
        redirects: How many redirects were followed.
    """
    last = exchanges[-1]
    resolve = connect = tls = processing = transfer = 0.0
    for exchange in exchanges:
        connection = exchange.connection
        resolve += connection.resolve_seconds
        connect += connection.connect_seconds
        tls += connection.tls_seconds
        processing += exchange.processing_seconds
        transfer += exchange.transfer_seconds
    found = [
        Measurement(DURATION, resolve, ("resolve",)),
        Measurement(DURATION, connect, ("connect",)),
        Measurement(DURATION, tls, ("tls",)) if tls else shared_measurement(DURATION, 0.0, ("tls",)),
        Measurement(DURATION, processing, ("processing",)),
        Measurement(DURATION, transfer, ("transfer",)),
        shared_measurement(REDIRECTS, redirects),
    ]
    if last.status:
        found += (
            shared_measurement(STATUS_CODE, last.status),
            shared_measurement(CONTENT_LENGTH, last.content_length),
            shared_measurement(BODY_LENGTH, len(last.body)),
            shared_measurement(SSL, float(last.secure)),
            shared_measurement(VERSION, float(last.http_version)),
        )
        for text in last.header_values("last-modified")[:1]:
            if (modified := http_date_timestamp_seconds(text)) is not None:
                found.append(Measurement(LAST_MODIFIED, modified))
    return found


@lru_cache(maxsize=4096)
def http_date_timestamp_seconds(text: str) -> float | None:
    """Parse an HTTP date (RFC 9110 section 5.6.7) as Unix time; None when it is not a date."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
