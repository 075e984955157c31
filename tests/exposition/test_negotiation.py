"""The choice of format and compression from what clients send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition.negotiation import choose_format, wants_gzip
from exporter.exposition.page import Format

TEXT, OPENMETRICS, PROTOBUF = Format.TEXT, Format.OPENMETRICS, Format.PROTOBUF
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_2_NATIVE = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    "application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3_NATIVE = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROTOBUF_RANGE = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", TEXT),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        (FIREFOX, TEXT),
        ("*/*", TEXT),
        ("text/*", TEXT),
        ("application/*", OPENMETRICS),
        ("application/json", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=1.0.0", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text ; Version=1.0.0", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=abc", OPENMETRICS),
        ("application/openmetrics-text;version=99.0.0", OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.6", TEXT),
        ("application/openmetrics-text;q=0.6,text/plain;q=0.5", OPENMETRICS),
        ("text/plain,application/openmetrics-text", TEXT),
        ("application/openmetrics-text,text/plain", OPENMETRICS),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=0,*/*;q=0.1", TEXT),
        ("application/openmetrics-text;q=nan", TEXT),
        ("application/openmetrics-text;q=1e3,text/plain;q=0.1", TEXT),
        (";;,=,;q=1,application/openmetrics-text;=;q", TEXT),
    ],
)
def test_the_client_prefers_a_format_by_its_weight(accept: str, chosen: Format) -> None:
    """Weights decide, then the order; an unknown version gets the exporter's, and if nothing suits, text is sent."""
    assert choose_format(accept) is chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (PROMETHEUS_2_NATIVE, PROTOBUF),
        (PROMETHEUS_3_NATIVE, PROTOBUF),
        (PROMETHEUS_2, OPENMETRICS),
        ("*/*", TEXT),
        ("application/*", OPENMETRICS),
        (PROTOBUF_RANGE, PROTOBUF),
        (f"{PROTOBUF_RANGE};q=0.3,text/plain;q=0.4", TEXT),
        (f"text/plain,{PROTOBUF_RANGE}", TEXT),
        (f"{PROTOBUF_RANGE};q=0", TEXT),
        (
            'Application/vnd.google.protobuf ; encoding="delimited"; Proto=io.prometheus.client.metricfamily; x=y',
            PROTOBUF,
        ),
        ("application/vnd.google.protobuf", TEXT),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.Other;encoding=delimited", TEXT),
    ],
)
def test_protobuf_is_chosen_for_clients_that_request_these_messages(accept: str, chosen: Format) -> None:
    """Weights and order apply to protobuf as well; other messages and encodings do not count."""
    assert choose_format(accept, offers_protobuf=True) is chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [(PROMETHEUS_2_NATIVE, OPENMETRICS), (PROMETHEUS_3_NATIVE, OPENMETRICS), (PROTOBUF_RANGE, TEXT)],
)
def test_protobuf_is_only_chosen_where_it_is_offered(accept: str, chosen: Format) -> None:
    """Otherwise the client's next choice is used."""
    assert choose_format(accept) is chosen


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP ; Q=0.5", True),
        ("x-gzip", True),
        ("*", True),
        ("br, deflate", False),
        ("br;q=1, gzip;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("identity", False),
        ("identity;q=0.5, gzip;q=0.4", False),
        ("identity;q=0.5, gzip;q=0.6", True),
        ("gzip;q=x", False),
    ],
)
def test_gzip_is_used_for_clients_that_prefer_it(accept_encoding: str, compressed: bool) -> None:
    """A client that excludes gzip, or prefers the plain page, gets the plain page."""
    assert wants_gzip(accept_encoding) is compressed


@given(st.text(st.sampled_from("ag*/;,=q0.1 \"'\\\x00é٣") | st.characters()))
def test_no_header_is_an_error(header: str) -> None:
    """Whatever a client sends, it gets a page."""
    assert choose_format(header, offers_protobuf=True) in Format
    assert wants_gzip(header) in (True, False)
