"""Where redirects lead, and what is taken along."""

from __future__ import annotations

import httpx
import pytest

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.http_message import Exchange, RequestOptions
from exporter.net.redirects import (
    RedirectRules,
    RunCookies,
    redirect_target,
    redirected_method,
    redirected_options,
    redirected_request,
    shown_url,
)
from exporter.settings import NetworkSettings, TlsConfig

BASE = httpx.URL("https://shop.example/a/b?c=d#e")
RULES = RedirectRules(max_redirects=10, allow_downgrade=False, headers_elsewhere=httpx.Headers({"User-Agent": "ours"}))


def answered(status: int, location: str, *cookies: str) -> Exchange:
    exchange = Exchange(secure=True)
    exchange.status = status
    exchange.headers = [(b"location", location.encode()), *[(b"set-cookie", cookie.encode()) for cookie in cookies]]
    return exchange


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://other.example/x", "https://other.example/x"),
        ("http://other.example", "http://other.example"),
        ("/x?y=z", "https://shop.example/x?y=z"),
        ("x", "https://shop.example/a/x"),
        ("../x", "https://shop.example/x"),
        ("?y", "https://shop.example/a/b?y"),
        ("//other.example:8443/x", "https://other.example:8443/x"),
        ("#top", "https://shop.example/a/b?c=d"),
        ("/x#top", "https://shop.example/x"),
        ("HTTPS://OTHER.example/", "https://other.example/"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("https://[::1]:8443/", "https://[::1]:8443/"),
        ("/with a space", "https://shop.example/with%20a%20space"),
        ("/\\evil.example/", "https://shop.example/\\evil.example/"),
        ("https:", "https://shop.example/a/b?c=d"),
        ("https:///x", "https://shop.example/x"),
    ],
)
def test_locations_are_resolved(location: str, url: str) -> None:
    """A Location is resolved against the URL that was asked for, and its fragment is dropped."""
    target = redirect_target(BASE, (location,), 302)
    assert (target.scheme, target.raw_host, target.raw_path, target.port) == (
        httpx.URL(url).scheme,
        httpx.URL(url).raw_host,
        httpx.URL(url).raw_path,
        httpx.URL(url).port,
    )
    assert target.fragment == ""


@pytest.mark.parametrize(
    ("locations", "detail"),
    [
        ((), "status 302 came without a Location to follow"),
        (("",), "status 302 came without a Location to follow"),
        (("/x", "/y"), "the redirect has 2 Locations that differ"),
        (("/" + "x" * 9000,), "the redirect has a Location of 9001 characters"),
        (
            ("file:///etc/passwd",),
            "the redirect leads to 'file:///etc/passwd', which is neither http nor https",
        ),
        (("gopher://x/",), "the redirect leads to 'gopher://x/', which is neither http nor https"),
        (("javascript:alert(1)",), "the redirect leads to 'javascript:alert(1)', which is neither http nor https"),
        (("http:x",), "the redirect leads to 'http:x', which is no URL that can be followed"),
        (("https://a b/",), "the redirect leads to 'https://a b/', which is no URL that can be followed"),
        (("https://2130706433/",), "the redirect leads to 'https://2130706433/', which is no URL that can be followed"),
        (("https://x:99999/",), "the redirect leads to 'https://x:99999/', which is no URL that can be followed"),
        (("https://x:0/",), "the redirect leads to 'https://x:0/', which is no URL that can be followed"),
        (("https://[::1/",), "the redirect leads to 'https://[::1/', which is no URL that can be followed"),
        (("/x\ty",), "the redirect leads to '/x\\ty', which is no URL that can be followed"),
        (("https://user:secret@x/",), "the redirect leads to a URL with a user name or password in it"),
        (("https://shop.example\\@evil.example/",), "the redirect leads to a URL with a user name or password in it"),
    ],
)
def test_locations_that_cannot_be_followed_are_refused(locations: tuple[str, ...], detail: str) -> None:
    """A Location that is missing, ambiguous, absurd or leads out of HTTP fails the check as `redirect`."""
    with pytest.raises(CheckFailed) as raised:
        redirect_target(BASE, locations, 302)
    assert (raised.value.reason, raised.value.detail) == (Reason.REDIRECT, detail)


def test_the_same_location_twice_is_one() -> None:
    """A Location that is merely repeated is followed."""
    assert str(redirect_target(BASE, ("/x", "/x"), 302)) == "https://shop.example/x"


@pytest.mark.parametrize(
    ("method", "methods"),
    [
        ("GET", ["GET", "GET", "GET", "GET", "GET"]),
        ("HEAD", ["HEAD", "HEAD", "HEAD", "HEAD", "HEAD"]),
        ("POST", ["GET", "GET", "GET", "POST", "POST"]),
        ("PUT", ["PUT", "PUT", "GET", "PUT", "PUT"]),
        ("DELETE", ["DELETE", "DELETE", "GET", "DELETE", "DELETE"]),
    ],
)
def test_methods_change_as_the_status_says(method: str, methods: list[str]) -> None:
    """303 asks for a GET, 301 and 302 turn a POST into one, 307 and 308 change nothing."""
    assert [redirected_method(method, status) for status in (301, 302, 303, 307, 308)] == methods


def test_headers_and_body_stay_with_their_origin() -> None:
    """Within the origin everything is sent again; elsewhere only what every check sends."""
    headers = {"Authorization": "Bearer x", "X-Api-Key": "y", "Cookie": "z=1", "Host": "virtual.example"}
    request = httpx.Request("POST", BASE, headers={**headers, "Content-Type": "text/plain"}, content=b"body")
    within = redirected_request(request, answered(308, "https://shop.example:443/x"), RULES)
    assert (within.method, within.content, dict(within.headers)) == ("POST", b"body", dict(request.headers))
    as_get = redirected_request(request, answered(303, "/x"), RULES)
    assert (as_get.method, as_get.content) == ("GET", b"")
    assert dict(as_get.headers) == {name.lower(): value for name, value in headers.items()}
    other_port = redirected_request(request, answered(302, "https://shop.example:8443/"), RULES)
    assert dict(other_port.headers) == {"user-agent": "ours", "host": "shop.example:8443"}
    away = redirected_request(request, answered(302, "https://www.shop.example/"), RULES)
    assert (away.method, away.content) == ("GET", b"")
    assert dict(away.headers) == {"user-agent": "ours", "host": "www.shop.example"}
    back = redirected_request(away, answered(302, str(BASE)), RULES)
    assert dict(back.headers) == {"user-agent": "ours", "host": "shop.example"}


def test_a_body_is_not_taken_elsewhere() -> None:
    """307 and 308 would repeat the body to whoever is named; that is refused."""
    request = httpx.Request("POST", BASE, content=b"body")
    with pytest.raises(CheckFailed) as raised:
        redirected_request(request, answered(307, "https://evil.example/x?token=y"), RULES)
    assert (raised.value.reason, raised.value.detail) == (
        Reason.REDIRECT,
        "the redirect would take the request's body to https://evil.example/x?…, another origin",
    )


def test_a_downgrade_has_to_be_allowed() -> None:
    """From https to http a redirect is followed only when that was asked for; upwards always."""
    request = httpx.Request("GET", BASE)
    with pytest.raises(CheckFailed) as raised:
        redirected_request(request, answered(301, "http://shop.example/"), RULES)
    assert (raised.value.reason, raised.value.detail) == (
        Reason.REDIRECT,
        "the redirect leads from https to http://shop.example/; allow_downgrade would follow it",
    )
    allowing = RedirectRules(max_redirects=1, allow_downgrade=True, headers_elsewhere=httpx.Headers())
    down = redirected_request(request, answered(301, "http://shop.example/"), allowing)
    assert str(redirected_request(down, answered(301, "https://shop.example/"), RULES).url) == "https://shop.example/"


def test_what_was_said_of_one_origin_holds_for_no_other() -> None:
    """The name to verify and the client certificate stay with the origin, a fixed address with the host."""
    options = RequestOptions(
        network=NetworkSettings(connect_to="10.0.0.5:8443", source_ip="10.0.0.7"),
        tls=TlsConfig(server_name="inner.example", cert_file="c", key_file="k", ca_file="ca"),
        server_name="virtual.example",
    )
    assert redirected_options(options, BASE, BASE.join("/x")) is options
    plain = TlsConfig(ca_file="ca")
    same_host = redirected_options(options, BASE, httpx.URL("https://shop.example:444/"))
    assert (same_host.network.connect_to, same_host.network.source_ip) == ("10.0.0.5", "10.0.0.7")
    assert (same_host.tls, same_host.server_name) == (plain, None)
    other_host = redirected_options(options, BASE, httpx.URL("https://other.example/"))
    assert (other_host.network.connect_to, other_host.network.source_ip) == (None, "10.0.0.7")
    assert (other_host.tls, other_host.server_name) == (plain, None)


def test_cookies_belong_to_a_run_and_to_their_hosts() -> None:
    """Cookies go back to where they came from, besides a configured one, and to nobody else."""
    cookies = RunCookies()
    first = httpx.Request("GET", BASE, headers={"Cookie": "mine=1"})
    assert cookies.added_to(first) is first
    cookies.keep(first, answered(302, "/x", "login=2; Secure", "path=3; Path=/elsewhere", "old=4; Max-Age=0"))
    assert cookies.added_to(first).headers["cookie"] == "mine=1; login=2"
    assert first.headers["cookie"] == "mine=1"
    for url in ("https://other.example/", "http://shop.example/"):
        assert "cookie" not in cookies.added_to(httpx.Request("GET", url)).headers
    assert cookies.added_to(httpx.Request("GET", "https://shop.example/elsewhere")).headers["cookie"] == "path=3"


def test_urls_are_shown_without_what_may_be_secret() -> None:
    """A query, a password and a fragment are no business of logs; a long path is cut."""
    assert shown_url(httpx.URL("https://u:p@x.example:8443/y?token=z#f")) == "https://x.example:8443/y?…"
    assert len(shown_url(httpx.URL("https://x.example/" + "y" * 5000))) == 200
