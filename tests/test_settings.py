"""The types of settings: valid durations, sizes, patterns and addresses, and the errors for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from exporter.judging.pattern import Pattern
from exporter.settings import (
    NetworkSettings,
    TlsConfig,
    parse_duration,
    parse_host,
    parse_host_port,
    parse_ip,
    parse_ip_port,
    parse_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_duration, "1m30s", 90.0),
        (parse_duration, "250ms", 0.25),
        (parse_duration, "0.5s", 0.5),
        (parse_duration, "1y2w3d4h5m6s7ms", 31536000 + 2 * 604800 + 3 * 86400 + 4 * 3600 + 5 * 60 + 6.007),
        (parse_duration, "0", 0.0),
        (parse_duration, 0, 0.0),
        (parse_size, 512, 512),
        (parse_size, "512", 512),
        (parse_size, "64KiB", 65536),
        (parse_size, "1 mb", 1048576),
        (parse_host, "www.example", "www.example"),
        (parse_host, "_dmarc.example", "_dmarc.example"),
        (parse_host, "[2001:DB8::1]", "2001:db8::1"),
        (parse_host, "fe80::1%eth0", "fe80::1%eth0"),
        (parse_host, "münchen.example", "xn--mnchen-3ya.example"),
        (parse_host, "-a.b-", "-a.b-"),
        (parse_host, "WWW.Example.", "WWW.Example."),
        (parse_host, "\uff11\uff19\uff12.0.2\uff0e1", "192.0.2.1"),
        (parse_host_port, "a.example:465", ("a.example", 465)),
        (parse_host_port, "[2001:db8::1]:53", ("2001:db8::1", 53)),
        (parse_ip, "2001:0db8::0001", "2001:db8::1"),
        (parse_ip_port, "192.0.2.1", "192.0.2.1"),
        (parse_ip_port, "[2001:db8::1]:53", "[2001:db8::1]:53"),
    ],
)
def test_a_text_means_this(parse: Callable[[object], object], text: object, value: object) -> None:
    """Durations are as in Prometheus, sizes are by 1024, hosts and addresses have a canonical form."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "values", "fault"),
    [
        (parse_duration, ["5", 5, 1.5, "", "s", "30s1m", "1s1s", "1S", "\u0661s", True], "is not a duration"),
        (parse_duration, ["-1s", "-5 min"], "is negative"),
        (parse_duration, ["101y", "9" * 400 + "s"], "is longer than a hundred years"),
        (parse_size, ["", "1XB", "-1", "1.5MiB", "1KK", True, None, "\u0661"], "is not a size"),
        (parse_host, ["", ".", "a..b", "1.2.3", "a b", "x" * 64, 5, None],
         "is not a host name"),
        (parse_host, ["300.1.1.1", "1.2.3.04"], "is not an IP address: "),
        (parse_host, ["[192.0.2.1]", "[::g]", "[]"], "is not an IPv6 address"),
        (parse_host_port, ["a.example", "[::1]", "::1", ""], "needs a port"),
        (parse_host_port, ["a:0", "a:65536", "a:x", "a:\u0661", "a:"], "has port"),
        (parse_ip, ["a.example", "", "1.2.3", None], "is not an IP address"),
        (parse_ip_port, ["a.example:53", "a.example"], "is not an IP address"),
        (Pattern, ["(", "a(?=b)", r"(a)\1", "a{1001}"], "is not an RE2 regular expression"),
    ],
)  # fmt: skip
def test_invalid_values_are_rejected(parse: Callable[[object], object], values: list[object], fault: str) -> None:
    """The message follows the value."""
    for value in values:
        with pytest.raises(ValueError, match=f"^{fault}"):
            parse(value)


@given(st.text(st.characters()))
def test_no_text_makes_a_pattern_fail(text: str) -> None:
    """A pattern can be applied to anything a target sends, including lone surrogates and zero bytes."""
    assert Pattern("").found_in(text)
    assert Pattern("^a").found_in(text) == text.startswith("a")


def test_python_code_has_seconds_and_documents_have_units() -> None:
    """A bare number is a duration only if its name contains the unit."""
    assert NetworkSettings(connect_timeout_seconds=2.5).connect_timeout_seconds == 2.5
    with pytest.raises(ValidationError, match="is not a duration"):
        NetworkSettings.model_validate_json('{"connect_timeout": 2.5}')
    for seconds in (-1.0, 0.0, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            NetworkSettings(connect_timeout_seconds=seconds)


def test_tls_options_that_contradict_each_other_are_rejected() -> None:
    """A certificate without its key, and a maximum version below the minimum, are reported at load."""
    with pytest.raises(ValidationError, match="needs cert_file and key_file together"):
        TlsConfig(cert_file="cert.pem")
    with pytest.raises(ValidationError, match="has max_version TLS11 below min_version TLS12"):
        TlsConfig(max_version="TLS11")


def test_settings_cannot_be_changed() -> None:
    """Settings are shared by threads, so they are frozen."""
    with pytest.raises(ValidationError, match="frozen"):
        TlsConfig().insecure_skip_verify = True  # type: ignore[misc] # this is what is forbidden
