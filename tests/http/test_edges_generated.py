"""Parsers of server data with generated input: each raises only its own exception."""

from __future__ import annotations

import re
from contextlib import suppress

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.attempt import Attempt, current_attempt
from exporter.errors import CheckFailed
from exporter.http.challenges import parse_challenges
from exporter.http.cookies import RunCookies
from exporter.http.digest import DigestAuth
from exporter.http.message import Exchange
from exporter.http.redirects import redirect_target
from exporter.http.request import new_request
from exporter.http.set_cookie import CookieRefusedError, parse_cookie_date, read_set_cookie
from exporter.http.token_answer import NoTokenError, read_token_answer
from exporter.http.url import parse_http_url
from exporter.model import Reason

HEAD_BREAKING = re.compile(rb"[\0\r\n]")
URLS = st.sampled_from(["http://a.test/x/y?z", "https://xn--ls8h.test:8443", "http://127.0.0.1/", "https://[::1]:1/"])
SCRAPS = st.sampled_from(
    [b"Digest ", b"Basic ", b"nonce=", b"realm=", b"qop=", b"algorithm=", b'"', b"\\", b",", b"=", b";", b" ", b"//",
     b":", b"@", b"[", b"]", b"%", b"?", b"#", b"xn--", b"Domain=", b"Expires=", b"Max-Age=", b"\xff", b"\xed\xa0\x80"]
)  # fmt: skip
OCTETS = st.lists(SCRAPS | st.binary(max_size=4), max_size=12).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(base=URLS, location=OCTETS)
def test_a_location_is_followed_or_refused(base: str, location: bytes) -> None:
    """The new URL can be written as a request."""
    reason, url = Reason.REDIRECT, None
    try:
        url = redirect_target(httpx.URL(base), [location], 302)
    except CheckFailed as failure:
        reason = failure.reason
    assert reason is Reason.REDIRECT
    if url is None:
        return
    request = new_request("GET", url)
    assert url.scheme in ("http", "https")
    assert request.headers.raw[0] == (b"Host", url.netloc)
    assert not any(HEAD_BREAKING.search(part) for part in (url.raw_path, url.netloc))


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=30) | st.builds("http://{}".format, st.text(max_size=30)))
def test_a_target_is_a_url_or_not(text: str) -> None:
    """An invalid one raises only ValueError."""
    with suppress(ValueError):
        assert str(parse_http_url(text)).isascii()


@settings(max_examples=400, deadline=None)
@given(values=st.lists(OCTETS, max_size=3), username=st.text(max_size=6), content=st.binary(max_size=4))
def test_a_challenge_is_answered_or_refused(values: list[bytes], username: str, content: bytes) -> None:
    """The answer can be written into a head."""
    assert all(challenge.scheme == challenge.scheme.lower() for challenge in parse_challenges(values))
    digest = b'Digest realm="r", nonce="n", '
    for fields in (values, [digest + value for value in values]):
        flow = DigestAuth(username.encode("utf-8", "replace").decode(), "password", Attempt()).auth_flow(
            new_request("POST", "http://a.test/", (), content)
        )
        response = httpx.Response(401, headers=[(b"www-authenticate", value) for value in fields], request=next(flow))
        reason, request = Reason.AUTH, None
        try:
            request = flow.send(response)
        except StopIteration:
            continue
        except CheckFailed as failure:
            reason = failure.reason
        assert reason is Reason.AUTH
        if request is None:
            continue
        [value] = [value for name, value in request.headers.raw if name == b"Authorization"]
        user = username.encode("utf-8", "replace")
        assert value.startswith(b"Digest username")
        assert HEAD_BREAKING.search(user) or not HEAD_BREAKING.search(value)


@settings(max_examples=400, deadline=None)
@given(url=URLS, values=st.lists(OCTETS, max_size=5))
def test_cookies_are_kept_or_refused(url: str, values: list[bytes]) -> None:
    """Cookies that are kept can be written into a head."""
    for value in values:
        with suppress(CookieRefusedError):
            read_set_cookie(httpx.URL(url), value, 0.0)
    exchange, cookies = Exchange(current_attempt(), secure=True), RunCookies()
    exchange.headers = [(b"set-cookie", value) for value in values]
    cookies.keep(httpx.URL(url), exchange)
    request = cookies.added_to(new_request("GET", url))
    assert not any(HEAD_BREAKING.search(value) for _, value in request.headers.raw)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(max_size=40)
    | st.lists(st.sampled_from(["1", "31", "Feb", "2098", "99:99:99", "0:0:0", ";", " "])).map("".join)
)
def test_a_date_is_a_date_or_none(text: str) -> None:
    """This holds for any text."""
    assert parse_cookie_date(text) is None or isinstance(parse_cookie_date(text), float)


@settings(max_examples=300, deadline=None)
@given(status=st.integers(0, 999), body=OCTETS | st.binary(max_size=60))
def test_a_token_is_granted_or_not(status: int, body: bytes) -> None:
    """A token that is granted can be sent."""
    with suppress(NoTokenError):
        granted = read_token_answer(status, body, ["secret"])
        assert re.fullmatch(r"[\x21-\x7e]+", granted.token)
        assert 0 <= granted.good_for_seconds <= 86400
