"""Targets and metadata of gRPC checks as users write them, and invalid ones."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from exporter.grpc.settings import GrpcSettings, canonical_target, parse_target


@pytest.mark.parametrize(
    ("text", "keys", "parsed", "canonical"),
    [
        ("api.test:50051", {}, ("api.test", 50051, False), "api.test:50051"),
        ("api.test", {}, ("api.test", 80, False), "api.test:80"),
        ("api.test", {"tls": True}, ("api.test", 443, True), "api.test:443"),
        ("https://api.test", {}, ("api.test", 443, True), "https://api.test:443"),
        ("https://api.test:8443/", {"tls": True}, ("api.test", 8443, True), "https://api.test:8443"),
        ("HTTP://[::1]:5000", {}, ("::1", 5000, False), "http://[::1]:5000"),
    ],
)
def test_targets_are_parsed(text: str, keys: dict[str, Any], parsed: tuple[str, int, bool], canonical: str) -> None:
    """A port is the scheme's by default, and https:// asks for TLS."""
    settings = GrpcSettings(**keys)
    assert parse_target(text, settings) == parsed
    assert canonical_target(text, settings) == canonical


@pytest.mark.parametrize(
    ("text", "keys", "why"),
    [
        ("http://a.test", {"tls": True}, "begins with http:// although tls is true; write https://"),
        ("https://a.test", {"tls": False}, "begins with https:// although tls is false; write http://"),
        ("dns://8.8.8.8/a.test", {}, "has a path; a gRPC target is host:port, or http:// or https:// before it"),
        ("xds://a.test", {}, "has the scheme 'xds'; write host:port, or http:// or https:// before it"),
        ("http://u:p@a.test", {}, "has a user name or password in it; write metadata: {authorization: ..}"),
        ("a.test:99999", {}, "has port '99999'; a port is a number from 1 to 65535"),
    ],
)
def test_other_targets_are_rejected(text: str, keys: dict[str, Any], why: str) -> None:
    """The error says in one sentence what is wrong with a target."""
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        parse_target(text, GrpcSettings(**keys))


def test_metadata_becomes_header_fields() -> None:
    """Names are lower case, and a list has one field for each value."""
    settings = GrpcSettings(metadata={"X-Tenant": "a", "tag": ["1", "2"], "trace-bin": "AAE"})
    assert settings.metadata_fields == [(b"x-tenant", b"a"), (b"tag", b"1"), (b"tag", b"2"), (b"trace-bin", b"AAE")]


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"grpc-timeout": "1S"}, "is a name that gRPC reserves; leave it out"),
        ({"Content-Type": "text/html"}, "is a name that gRPC reserves; leave it out"),
        ({":path": "/"}, "is not a name of metadata, which has letters, digits, _, - and ."),
        ({"x": "a\nb"}, "contains a control character"),
        ({"x": "\u00fc"}, "has a value of x that is not ASCII; name it x-bin and write base64"),
        ({"x-bin": "no base64!"}, "has a value of x-bin that is not base64"),
        ({"x": "y" * 9000}, "has 9001 bytes; at most 8192 are sent"),
    ],
)
def test_metadata_that_no_server_accepts_is_rejected(metadata: dict[str, str], why: str) -> None:
    """Names and values are checked when the configuration is loaded."""
    with pytest.raises(ValidationError) as caught:
        GrpcSettings(metadata=metadata)
    assert [error["msg"] for error in caught.value.errors()] == [f"Value error, {why}"]
