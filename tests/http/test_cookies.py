"""Cookies of a run: which are kept, and which requests carry them."""

from __future__ import annotations

from time import thread_time

import httpx
import pytest

from exporter.attempt import begin_attempt, current_attempt
from exporter.http.cookies import RunCookies
from exporter.http.message import Exchange
from exporter.http.request import new_request
from exporter.http.set_cookie import parse_cookie_date, read_set_cookie

NOW = 1_700_000_000.0


def run_of(url: str, *cookies: bytes) -> RunCookies:
    """The cookies of a run whose first response, from the URL, sets these."""
    exchange = Exchange(current_attempt(), secure=True)
    exchange.headers = [(b"set-cookie", cookie) for cookie in cookies]
    kept = RunCookies()
    kept.keep(httpx.URL(url), exchange)
    return kept


def sent(kept: RunCookies, url: str, configured: bytes = b"") -> bytes | None:
    """The cookies of a request to the URL; None if there are none."""
    fields = [(b"Cookie", configured)] if configured else []
    request = kept.added_to(new_request("GET", url, fields))
    return next((value for name, value in request.headers.raw if name.lower() == b"cookie"), None)


SHAPES: list[tuple[str, bytes, str, bytes | None]] = [
    # Hosts
    ("http://a.test/", b"n=v", "http://a.test/", b"n=v"),
    ("http://a.test/", b"n=v", "http://a.test:8080/", b"n=v"),
    ("http://a.test:8080/", b"n=v", "https://a.test/", b"n=v"),
    ("http://a.test/", b"n=v", "http://A.TEST./", b"n=v"),
    ("http://a.test/", b"n=v", "http://b.a.test/", None),
    ("http://a.test/", b"n=v", "http://other.test/", None),
    ("http://shop/", b"n=v", "http://shop/in", b"n=v"),
    ("http://shop/", b"n=v; Domain=shop", "http://shop/in", b"n=v"),
    ("http://127.0.0.1:1/", b"n=v", "http://127.0.0.1:2/", b"n=v"),
    ("http://127.0.0.1/", b"n=v; Domain=127.0.0.1", "http://127.0.0.1/", b"n=v"),
    ("http://127.0.0.1/", b"n=v; Domain=0.0.1", "http://127.0.0.1/", None),
    ("http://127.0.0.1/", b"n=v", "http://127.0.0.2/", None),
    ("http://[::1]/", b"n=v", "http://[::1]/", b"n=v"),
    ("http://[::1]/", b"n=v; Domain=[::1]", "http://[::1]/", b"n=v"),
    # Domain
    ("http://a.b.test/", b"n=v; Domain=b.test", "http://c.b.test/", b"n=v"),
    ("http://a.b.test/", b"n=v; Domain=.b.test", "http://b.test/", b"n=v"),
    ("http://a.b.test/", b"n=v; DOMAIN = .B.Test", "http://a.b.test/", b"n=v"),
    ("http://a.b.test/", b"n=v; Domain=", "http://a.b.test/", b"n=v"),
    ("http://a.b.test/", b"n=v; Domain=", "http://c.a.b.test/", None),
    ("http://a.b.test/", b"n=v; Domain=test", "http://a.b.test/", None),
    ("http://a.b.test/", b"n=v; Domain=other.test", "http://other.test/", None),
    ("http://b.test/", b"n=v; Domain=a.b.test", "http://a.b.test/", None),
    ("http://xb.test/", b"n=v; Domain=b.test", "http://b.test/", None),
    ("http://a.test/", b"n=v; Domain=\xff.test", "http://a.test/", None),
    ("http://xn--bcher-kva.test/", "n=v; Domain=bücher.test".encode(), "http://x.xn--bcher-kva.test/", b"n=v"),
    ("http://xn--ls8h.test/", b"n=v; Domain=xn--ls8h.test", "http://x.xn--ls8h.test/", b"n=v"),
    # Path
    ("http://a.test/x/y", b"n=v", "http://a.test/x/z", b"n=v"),
    ("http://a.test/x/y", b"n=v", "http://a.test/x", b"n=v"),
    ("http://a.test/x/y", b"n=v", "http://a.test/xyz", None),
    ("http://a.test/x/y", b"n=v", "http://a.test/", None),
    ("http://a.test/x?y=/z/", b"n=v", "http://a.test/", b"n=v"),
    ("http://a.test/x/y", b"n=v; Path=/", "http://a.test/", b"n=v"),
    ("http://a.test/x/y", b"n=v; Path=nonsense", "http://a.test/x/", b"n=v"),
    ("http://a.test/", b"n=v; Path=/x/", "http://a.test/x/y", b"n=v"),
    ("http://a.test/", b"n=v; Path=/x/", "http://a.test/x", None),
    # Secure
    ("https://a.test/", b"n=v; Secure", "https://a.test/", b"n=v"),
    ("https://a.test/", b"n=v; Secure", "http://a.test/", None),
    ("http://a.test/", b"n=v; Secure", "https://a.test/", None),
    ("http://127.0.0.1/", b"n=v; Secure; HttpOnly; SameSite=Strict", "http://127.0.0.1/", b"n=v"),
    ("http://[::1]/", b"n=v; secure", "http://[::1]/", b"n=v"),
    ("http://localhost/", b"n=v; Secure=", "http://localhost/", b"n=v"),
    ("http://a.localhost/", b"n=v; Secure", "http://a.localhost/", b"n=v"),
    ("https://a.test/", b"__Secure-n=v; Secure", "https://a.test/", b"__Secure-n=v"),
    ("https://a.test/", b"__Secure-n=v", "https://a.test/", None),
    ("https://a.test/", b"__Host-n=v; Secure; Path=/", "https://a.test/x", b"__Host-n=v"),
    ("https://a.test/", b"__Host-n=v; Secure; Path=/; Domain=a.test", "https://a.test/x", None),
    ("https://a.test/", b"__Host-n=v; Secure", "https://a.test/x", None),
    # Time
    ("http://a.test/", b"n=v; Max-Age=60", "http://a.test/", b"n=v"),
    ("http://a.test/", b"n=v; Max-Age=0", "http://a.test/", None),
    ("http://a.test/", b"n=v; Max-Age=-1", "http://a.test/", None),
    ("http://a.test/", b"n=v; Max-Age=soon", "http://a.test/", b"n=v"),
    ("http://a.test/", b"n=v; Max-Age=" + b"9" * 1000, "http://a.test/", b"n=v"),
    ("http://a.test/", b"n=v; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://a.test/", None),
    ("http://a.test/", b"n=v; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Max-Age=60", "http://a.test/", b"n=v"),
    ("http://a.test/", b"n=v; Expires=Wed, 31-Dec-2098 23:59:59 GMT", "http://a.test/", b"n=v"),
    ("http://a.test/", b"n=v; Expires=tomorrow", "http://a.test/", b"n=v"),
    ("http://a.test/", b"n=v; Expires=\xff\xfe 99:99:99", "http://a.test/", b"n=v"),
    # Names and values
    ("http://a.test/", "city=Köln".encode(), "http://a.test/", "city=Köln".encode()),
    ("http://a.test/", b"city=K\xf6ln", "http://a.test/", b"city=K\xf6ln"),
    ("http://a.test/", b'n="v, w"', "http://a.test/", b'n="v, w"'),
    ("http://a.test/", b" n = a b ; Path=/", "http://a.test/", b"n=a b"),
    ("http://a.test/", b"n=a=b=", "http://a.test/", b"n=a=b="),
    ("http://a.test/", b"n=", "http://a.test/", b"n="),
    ("http://a.test/", b"n=a\tb", "http://a.test/", b"n=a\tb"),
    ("http://a.test/", b"n", "http://a.test/", None),
    ("http://a.test/", b"=v", "http://a.test/", None),
    ("http://a.test/", b"", "http://a.test/", None),
    ("http://a.test/", b";;;", "http://a.test/", None),
    ("http://a.test/", b"n=a\x00b", "http://a.test/", None),
    ("http://a.test/", b"n=a\r\nX-Injected: b", "http://a.test/", None),
    ("http://a.test/", b"n=a\x7f", "http://a.test/", None),
    ("http://a.test/", b"n=" + b"v" * 4095, "http://a.test/", b"n=" + b"v" * 4095),
    ("http://a.test/", b"n=" + b"v" * 4096, "http://a.test/", None),
    ("http://a.test/", b"n=v; Path=/" + b"x" * 2000, "http://a.test/", b"n=v"),
]  # fmt: skip
"""URL of the first request, a Set-Cookie of its answer, URL of the next request, and the Cookie field it carries."""


@pytest.mark.parametrize(("first", "cookie", "then", "carried"), SHAPES)
def test_a_cookie_goes_where_browsers_and_curl_send_it(
    first: str, cookie: bytes, then: str, carried: bytes | None
) -> None:
    """Host, Domain, Path, Secure and the time decide, and octets are not changed."""
    assert sent(run_of(first, cookie), then) == carried


def test_cookies_stand_behind_the_configured_ones_the_most_specific_first() -> None:
    """The longest path comes first, then the older cookie; a cookie that is set again keeps its place."""
    kept = run_of("http://a.test/x/", b"a=1; Path=/", b"b=2", b"c=3; Path=/", b"a=4; Path=/", b"b=5; Path=/x/y")
    assert sent(kept, "http://a.test/x/y", b"mine=0") == b"mine=0; b=5; b=2; a=4; c=3"


def test_a_cookie_is_deleted_by_one_that_has_expired() -> None:
    """Cookies with the same name, domain and path are the same."""
    kept = run_of("http://a.test/", b"a=1", b"b=2", b"a=; Max-Age=0", b"b=; Max-Age=0; Path=/x")
    assert sent(kept, "http://a.test/") == b"b=2"


def test_a_request_without_cookies_stays_as_it_is() -> None:
    """Without cookies, nothing is copied."""
    request = new_request("GET", "http://a.test/")
    assert run_of("http://b.test/", b"a=1").added_to(request) is request


def test_a_flood_of_cookies_is_bounded() -> None:
    """As in curl, fifty cookies per response are kept, and eight kilobytes are sent."""
    started = thread_time()
    kept = run_of("http://a.test/", *[b"n%d=v" % number for number in range(16000)])
    assert (sent(kept, "http://a.test/") or b"").count(b"=") == 50
    large = run_of("http://a.test/", *[b"n%d=" % number + b"v" * 3000 for number in range(10)])
    assert len(sent(large, "http://a.test/") or b"") < 8200
    assert thread_time() - started < 1.0


def test_the_log_says_why_cookies_were_not_kept() -> None:
    """It does not name the cookie, because the name can be a secret as well."""
    attempt = begin_attempt()
    run_of("http://a.test/", b"CANARY", b"a=CANARY; Secure", b"b=CANARY; Domain=test", b"c=CANARY")
    [line] = attempt.log
    assert (line.message, line.fields) == (
        "a cookie was not kept",
        {"why": "it has no name; it is Secure and came over http; its Domain is another host's"},
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("06 nov 1994 08:49:37 +0200 (CEST)", 784111777),
        ("1994 November 6th 8:49:37pm", 784111777),
        ("Sun, 06 Nov 69 08:49:37", 3150953377),
        ("", None),
        ("Sun, 06 Nov 1994", None),
        ("31 Feb 2030 00:00:00", None),
        ("06 Nov 1600 08:49:37", None),
        ("06 Nov 1994 24:00:00", None),
        ("06 Nov 1994 08:60:00", None),
        ("06 Foo 1994 08:49:37", None),
        ("٠٦ Nov 1994 08:49:37", None),
        ("99999 Nov 99999 08:49:37", None),
    ],
)
def test_dates_of_cookies_are_read_however_they_are_written(text: str, seconds: float | None) -> None:
    """RFC 6265 section 5.1.1 accepts anything with a time, a day, a month and a year."""
    assert parse_cookie_date(text) == seconds


def test_max_age_counts_from_the_answer() -> None:
    """It takes precedence over Expires."""
    cookie = read_set_cookie(httpx.URL("http://a.test/"), b"a=b; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00", NOW)
    assert cookie.expires == NOW + 60
