"""Subjects with a closed set of values: other spellings are understood, and impossible values are rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.builtin import BUILTIN
from exporter.checks.dns import DNS
from exporter.config.expectations import ExpectationReader
from exporter.model import Reason

if TYPE_CHECKING:
    from exporter.model import Expectation

SUBJECTS = {check_type.name: {subject.name: subject for subject in check_type.subjects} for check_type in BUILTIN}


def read(check_type: str, item: object) -> tuple[list[Expectation], list[str]]:
    reader = ExpectationReader(SUBJECTS[check_type], check_type)
    return list(reader.read([item])), [fault.message for fault in reader.faults]


@pytest.mark.parametrize(
    ("check_type", "item", "operand"),
    [
        ("http", {"http_version": "2.0"}, "2"),
        ("http", {"http_version": "HTTP/2"}, "2"),
        ("http", {"http_version": "http/1.1"}, "1.1"),
        ("http", {"http_version": "h3"}, "3"),
        ("http", {"http_version": 2}, "2"),
        ("http", {"http_version": 1.1}, "1.1"),
        ("http", {"http_version": 1.0}, "1.0"),
        ("http", {"http_version": {"in": ["1.1", "HTTP/2"]}}, ("1.1", "2")),
        ("tcp", {"tls_version": "TLS13"}, "TLS 1.3"),
        ("tcp", {"tls_version": "TLSv1.2"}, "TLS 1.2"),
        ("tcp", {"tls_version": 1.3}, "TLS 1.3"),
        ("tcp", {"tls_cipher": "ECDHE-RSA-AES128-GCM-SHA256"}, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("tcp", {"tls_cipher": "tls_aes_128_gcm_sha256"}, "TLS_AES_128_GCM_SHA256"),
        ("dns", {"rcode": 3}, "NXDOMAIN"),
        ("dns", {"rcode": "nxdomain"}, "NXDOMAIN"),
        ("dns", {"rcode": "NOTIMPL"}, "NOTIMP"),
        ("dns", {"rcode": {"none_of": [2, "REFUSED"]}}, ("SERVFAIL", "REFUSED")),
    ],
)
def test_other_spellings_are_understood(check_type: str, item: object, operand: object) -> None:
    """The operand is what would be observed."""
    [expectation], faults = read(check_type, item)
    assert (expectation.operand, faults) == (operand, [])


VERSIONS = "http_version is one of 1.0, 1.1, 2, 3"
TLS_VERSIONS = "tls_version is one of TLS 1.0, TLS 1.1, TLS 1.2, TLS 1.3"
STATUS = "a status is a number from 100 to 599 (RFC 9110)"


@pytest.mark.parametrize(
    ("check_type", "item", "fault"),
    [
        ("http", {"http_version": "4"}, '"4" is not a known http_version; known: 1.0, 1.1, 2, 3'),
        ("http", {"http_version": {"matches": r"^2\.0$"}}, rf'"^2\.0$" can never hold; {VERSIONS}'),
        ("http", {"http_version": {"contains": "HTTP"}}, f'"HTTP" can never hold; {VERSIONS}'),
        ("http", {"http_version": {"not_matches": "."}}, f'"." can never hold; {VERSIONS}'),
        (
            "tcp",
            {"tls_version": "SSLv3"},
            '"SSLv3" is not a known tls_version; known: TLS 1.0, TLS 1.1, TLS 1.2, TLS 1.3',
        ),
        ("tcp", {"tls_version": {"matches": "^1"}}, f'"^1" can never hold; {TLS_VERSIONS}'),
        ("tcp", {"tls_cipher": "strong"}, '"strong" is not the name of a cipher suite, such as TLS_AES_128_GCM_SHA256'),
        ("dns", {"answer_count": -1},
         "-1 can never hold; answer_count is a whole number, at least 0 and at most 65535"),
        ("dns", {"serial": {"gt": 4294967295}},
         "4294967295 can never hold; serial is a whole number, at least 0 and at most 4294967295"),
        ("http", {"status": 700}, f"700 can never be observed; {STATUS}"),
        ("http", {"status": "6xx"}, f'"6xx" can never be observed; {STATUS}'),
        ("http", {"status": "100-700"}, f'"100-700" can never be observed; {STATUS}'),
        ("http", {"status": {"none_of": [999]}}, f"can never be observed; {STATUS}"),
        ("http", {"status": {"gt": 599}}, f"599 can never hold; {STATUS}"),
        ("http", {"status": {"lt": 100}}, f"100 can never hold; {STATUS}"),
        ("http", {"body_size": {"lt": 0}}, "0 can never hold; body_size is a whole number, at least 0"),
        ("http", {"body_size": 1.5}, "1.5 can never hold; body_size is a whole number, at least 0"),
        ("http", {"redirects": {"gt": 20}},
         "20 can never hold; redirects is a whole number, at least 0 and at most 20"),
        ("http", {"header": "Content-Type:", "exists": True},
         '"Content-Type:" is not the name of a header, such as Content-Type'),
        ("http", {"json": "status", "eq": 1}, '"status" is not a JSONPath (RFC 9535); write $.status'),
        ("http", {"json": ".a.b", "eq": 1}, '".a.b" is not a JSONPath (RFC 9535); write $.a.b'),
        ("http", {"json": "/a/0", "eq": 1}, '"/a/0" is not a JSONPath (RFC 9535); write $.a[0]'),
        ("http", {"json": "a b", "eq": 1},
         '"a b" is not a JSONPath (RFC 9535), which begins with $, such as $.status'),
    ],
)  # fmt: skip
def test_what_can_never_hold_is_rejected(check_type: str, item: object, fault: str) -> None:
    """The message lists the values, or says what to write."""
    assert read(check_type, item)[1] == [fault]


@pytest.mark.parametrize(
    "item",
    [{"status": {"lt": 600}}, {"status": {"ge": 500}}, {"body_size": {"ge": 0}}, {"status": "1xx"}, {"redirects": 20}],
)
def test_the_edges_of_a_set_can_hold(item: object) -> None:
    """A bound that some value meets is accepted."""
    assert read("http", item)[1] == []


@pytest.mark.parametrize(("check_type", "reason"), [("tcp", "status"), ("http", "rcode"), ("imap", "rcode")])
def test_a_reason_that_a_type_never_has_cannot_be_retried(check_type: str, reason: str) -> None:
    """A check of a port has no status, and only a DNS answer has a response code."""
    reader = ExpectationReader(SUBJECTS[check_type], check_type)
    reader.read_retry_conditions([reason])
    assert [fault.message for fault in reader.faults] == [
        f'"{reason}" is not a reason for which type {check_type} fails'
    ]


def test_a_type_may_have_a_reason_without_a_subject_for_it() -> None:
    """A type declares such reasons, as dns does for the status of DNS over HTTPS."""
    reader = ExpectationReader(SUBJECTS["dns"], "dns", reasons=DNS.reasons)
    assert reader.read_retry_conditions(["status"]) == (frozenset({Reason.STATUS}), ())
    assert reader.faults == []
