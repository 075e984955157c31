"""Which addresses, names, ports and sockets entries of allowed targets include."""

from __future__ import annotations

import pytest

from exporter.allowed_targets import parse_allowed_targets

OPEN = ()
LISTED = "is not allowed: it is a link-local address, which the allowed targets must list"
LEADS = "is not allowed: it leads to 169.254.169.254, a link-local address"
LINK, METADATA = "a link-local address", "an address of a metadata service"
ABSENT = "is not among the allowed targets"


@pytest.mark.parametrize(
    ("entries", "host", "port", "address"),
    [
        (OPEN, "192.0.2.1", 80, "192.0.2.1"),
        (OPEN, "localhost", 80, "127.0.0.1"),
        (["*"], "::1", 22, "::1"),
        (["192.0.2.0/24"], "192.0.2.9", 80, "192.0.2.9"),
        (["192.0.2.0/24"], "any.example.org", 80, "192.0.2.9"),
        (["192.0.2.0/24"], "any.example.org", 80, "::ffff:192.0.2.9"),
        (["::ffff:192.0.2.0/120"], "192.0.2.9", 80, "192.0.2.9"),
        (["192.0.2.9:443"], "192.0.2.9", 443, "192.0.2.9"),
        (["192.0.2.0/24:8000-8999"], "192.0.2.9", 8080, "192.0.2.9"),
        (["2001:db8::/32"], "2001:db8::1", 80, "2001:db8::1"),
        (["[2001:db8::]/32:443"], "2001:db8::1", 443, "2001:db8::1"),
        (["[2001:db8::1]:443"], "2001:db8::1", 443, "2001:db8::1"),
        (["[::1]"], "::", 443, "::"),
        (["*.example.com"], "www.example.com", 443, "10.0.0.1"),
        (["*.EXAMPLE.com"], "WWW.example.COM.", 443, "10.0.0.1"),
        (["shop-??.example.com:443"], "shop-42.example.com", 443, "10.0.0.1"),
        (["bücher.example"], "xn--bcher-kva.example", 443, "10.0.0.1"),
        (["localhost"], "localhost", 443, "127.0.0.1"),
        (["169.254.169.254"], "169.254.169.254", 80, "169.254.169.254"),
        (["169.254.0.0/16"], "any.example.org", 80, "169.254.1.2"),
        (["fe80::/64"], "fe80::1%eth0", 80, "fe80::1%eth0"),
        (["192.0.2.9"], "192.0.2.9", 0, "192.0.2.9"),
    ],
)
def test_what_an_entry_includes_is_allowed(entries: list[str], host: str, port: int, address: str) -> None:
    """A name, an address or a network is listed with or without ports."""
    assert parse_allowed_targets(entries).refusal(host, port, address) == ""


@pytest.mark.parametrize(
    ("entries", "host", "port", "address", "why"),
    [
        (OPEN, "169.254.169.254", 80, "169.254.169.254", f"169.254.169.254:80 {LISTED}"),
        (OPEN, "e.test", 80, "100.100.100.200", f"e.test:80 (100.100.100.200) {LISTED}".replace(LINK, METADATA)),
        (OPEN, "::ffff:169.254.169.254", 80, "::ffff:a9fe:a9fe", f"[::ffff:169.254.169.254]:80 {LISTED}"),
        (["*"], "fe80::1%eth0", 0, "fe80::1%eth0", f"[fe80::1%eth0] {LISTED}"),
        (["0.0.0.0/0"], "169.254.1.1", 80, "169.254.1.1", f"169.254.1.1:80 {LISTED}"),
        (["169.254.1.1:80"], "169.254.1.1", 81, "169.254.1.1", f"169.254.1.1:81 {LISTED}"),
        (["e.test"], "e.test", 80, "169.254.169.254", f"e.test:80 (169.254.169.254) {LISTED}"),
        (["*"], "64:ff9b::a9fe:a9fe", 80, "64:ff9b::a9fe:a9fe", f"[64:ff9b::a9fe:a9fe]:80 {LEADS}"),
        (["*"], "2002:a9fe:a9fe::1", 80, "2002:a9fe:a9fe::1", f"[2002:a9fe:a9fe::1]:80 {LEADS}"),
        (["*"], "2001::5601:5601", 80, "2001::5601:5601", f"[2001::5601:5601]:80 {LEADS}"),
        (["192.0.2.0/24"], "192.0.3.1", 80, "192.0.3.1", f"192.0.3.1:80 {ABSENT}"),
        (["192.0.2.0/24:443"], "192.0.2.1", 80, "192.0.2.1", f"192.0.2.1:80 {ABSENT}"),
        (["192.0.2.0/24:443"], "192.0.2.1", 0, "192.0.2.1", f"192.0.2.1 {ABSENT}"),
        (["*.a.test"], "a.test", 80, "10.0.0.1", f"a.test:80 (10.0.0.1) {ABSENT}"),
        (["*.a.test"], "b.a.test.evil.test", 80, "10.0.0.1", f"b.a.test.evil.test:80 (10.0.0.1) {ABSENT}"),
        (["*.a.test"], "b.a.test", 80, "127.0.0.1", f"b.a.test:80 (127.0.0.1) {ABSENT}"),
        (["*.a.test"], "b.a.test", 80, "0.0.0.0", f"b.a.test:80 (0.0.0.0) {ABSENT}"),
        (["unix:/run/*"], "192.0.2.1", 80, "192.0.2.1", f"192.0.2.1:80 {ABSENT}"),
    ],
)
def test_everything_else_is_rejected_with_the_reason(
    entries: list[str], host: str, port: int, address: str, why: str
) -> None:
    """Link-local and metadata addresses need an entry of their own, in whatever form they come."""
    assert parse_allowed_targets(entries).refusal(host, port, address) == why


@pytest.mark.parametrize("path", ["/run/app.sock", "@abstract", "/run/../etc/x.sock"])
def test_sockets_are_listed_by_their_paths(path: str) -> None:
    """A path is allowed when a pattern matches it, or when there is no entry at all."""
    allowed = parse_allowed_targets(["unix:/run/app.*"])
    expected = "" if path == "/run/app.sock" else f"the socket {path} is not among the allowed targets"
    assert (allowed.refusal_of_path(path), parse_allowed_targets(OPEN).refusal_of_path(path)) == (expected, "")


@pytest.mark.parametrize("path", ["/run/a/../../etc/x.sock", "/run/./x.sock"])
def test_a_path_that_climbs_matches_no_pattern(path: str) -> None:
    """What `..` leads to is not what the pattern says."""
    assert parse_allowed_targets(["unix:/run/*"]).refusal_of_path(path) != ""


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("10.0.0.1/8", "'10.0.0.1/8' is not an address or a network: 10.0.0.1/8 has host bits set"),
        ("192.0.2.1:0", "'192.0.2.1:0' has ports '0'; write a port from 1 to 65535, or two joined by a hyphen"),
        ("a.test:90-80", "'a.test:90-80' has ports '90-80'; write a port from 1 to 65535, or two joined by a hyphen"),
        ("a b", "'a b' is not a host name: it contains whitespace"),
        ("", "'' is not a host name: it is empty"),
        ("*.", "'*.' is not a pattern for host names, such as *.example.com"),
        ("10.*", "'10.*' is not a host name or an IP address; write a network such as 10.0.0.0/8"),
        ("10.0.0", "'10.0.0' is not a host name or an IP address; write a network such as 10.0.0.0/8"),
        (
            "http://a.test",
            "'http://a.test' has ports '//a.test'; write a port from 1 to 65535, or two joined by a hyphen",
        ),
    ],
)
def test_what_is_not_an_entry_is_rejected(entry: str, why: str) -> None:
    """The message quotes the entry and says what to write."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        parse_allowed_targets([entry])
    assert str(caught.value) == why
