"""What one run of an HTTP check reports: its measurements, and its observations, as expectations use them.

The metric families are compatible with blackbox_exporter in names, phases and the meaning of 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.http.message import http_date_timestamp_seconds
from exporter.http.subjects import (
    BODY,
    BODY_CAPTURE,
    BODY_SHA256,
    BODY_SIZE,
    CEL,
    DOCUMENT,
    FINAL_URL,
    HEADER,
    HEADER_CAPTURE,
    HTTP_VERSION,
    JSON,
    LOCATION,
    OF_BODY,
    REDIRECTS_FOLLOWED,
    STATUS,
    WELL_FORMED,
)
from exporter.judging.apart import Unobservable
from exporter.judging.captured import BodyCapture, BodyDigest, HeaderCapture
from exporter.judging.cel import CelValue
from exporter.judging.content import BodyText, Content, HeaderFields, JsonFault, JsonValue
from exporter.model import Explained, Measurement, MetricSpec, Reason, phase_durations
from exporter.net.connection_facts import address_observations, shared_measurement
from exporter.net.tls.subjects import tls_observations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.http.message import Exchange
    from exporter.http.run import HttpRun
    from exporter.model import Observation

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


def head_observations(run: HttpRun, *, with_fields: bool) -> dict[str, Observation]:
    """Return the observations about the response head and the connection, as far as they exist.

    Args:
        run: The run.
        with_fields: Whether its header fields are needed.
    """
    last = run.exchanges[-1]
    observed = dict(address_observations(last.connection))
    if last.connection.tls is not None:
        observed |= tls_observations(last.connection.tls)
    if last.status:
        locations = last.header_values("location")
        observed |= {
            STATUS.name: last.status,
            LOCATION.name: locations[0] if locations else None,
            REDIRECTS_FOLLOWED.name: run.redirects,
            HTTP_VERSION.name: last.http_version,
            FINAL_URL.name: run.url or None,
        }
        if with_fields:
            fields = HeaderFields(last.headers)
            observed |= {HEADER.name: fields, HEADER_CAPTURE.name: HeaderCapture(fields)}
        if oddities := oddities_of(run):
            observed[WELL_FORMED.name] = Explained(value=False, why=oddities)
    return observed


def answer_observations(run: HttpRun, *, with_fields: bool, with_body: bool) -> dict[str, Observation]:
    """Return the observations about a complete answer.

    Args:
        run: The run; its last body is decoded.
        with_fields: Whether its header fields are needed.
        with_body: Whether the content of the body is needed.
    """
    last, observed = run.exchanges[-1], head_observations(run, with_fields=with_fields)
    observed.setdefault(WELL_FORMED.name, True)
    if last.body_fault:
        return observed | dict.fromkeys(OF_BODY, Unobservable(Reason.DECODE, last.body_fault))
    observed[BODY_SIZE.name] = len(last.body)
    return observed | _body_observations(last) if with_body else observed


def oddities_of(run: HttpRun) -> str:
    """Return how the answers deviate from the grammar of HTTP; empty for well-formed ones."""
    oddities: dict[str, None] = {}
    for exchange in run.exchanges:
        if exchange.oddities:
            oddities |= dict.fromkeys(exchange.oddities)
    return "; ".join(oddities)


def _body_observations(exchange: Exchange) -> dict[str, Observation]:
    """Return the observations about the content of a body."""
    content = Content(exchange.body, exchange.content_type)
    return {
        BODY.name: BodyText(content),
        BODY_SHA256.name: BodyDigest(content),
        BODY_CAPTURE.name: BodyCapture(content),
        JSON.name: JsonValue(content),
        CEL.name: CelValue(content),
        DOCUMENT.name: JsonFault(content),
    }
