"""The URLs that redirects lead to, and the parts of a request that are sent there."""

from __future__ import annotations

import httpx
import pytest

from exporter.attempt import current_attempt
from exporter.errors import CheckFailed
from exporter.http.message import Exchange, RequestOptions
from exporter.http.redirects import (
    RedirectRules,
    left_behind,
    redirect_target,
    redirected_method,
    redirected_options,
    redirected_request,
    shown_url,
)
from exporter.model import Reason
from exporter.settings import NetworkSettings, TlsConfig

BASE = httpx.URL("https://shop.example/a/b?c=d#e")
RULES = RedirectRules(max_redirects=10, allow_downgrade=False, fields_elsewhere=((b"User-Agent", b"ours"),))


def answered(status: int, location: str) -> Exchange:
    exchange = Exchange(current_attempt(), secure=True)
    exchange.status = status
    exchange.headers = [(b"location", location.encode())]
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
        ("https://b%C3%BCcher.example/", "https://xn--bcher-kva.example/"),
        ("https://other.example./x", "https://other.example./x"),
        ("https://other.example:/x", "https://other.example/x"),
        ("https://other.example:0443/x", "https://other.example/x"),
        (":80/x", "https://shop.example/a/:80/x"),
        ("/x?a=ö&b=%zz", "https://shop.example/x?a=%C3%B6&b=%zz"),
    ],
)
def test_locations_are_resolved(location: str, url: str) -> None:
    """A Location is resolved against the URL that was asked for, and its fragment is dropped."""
    target = redirect_target(BASE, [location.encode()], 302)
    assert (target.scheme, target.raw_host, target.raw_path, target.port) == (
        httpx.URL(url).scheme,
        httpx.URL(url).raw_host,
        httpx.URL(url).raw_path,
        httpx.URL(url).port,
    )
    assert target.fragment == ""


@pytest.mark.parametrize(
    ("location", "host", "path"),
    [
        (b"/K\xf6ln?\xe4", b"shop.example", b"/K%F6ln?%E4"),
        (b"/\xff\xfe\x80", b"shop.example", b"/%FF%FE%80"),
        (b"/\xed\xa0\x80", b"shop.example", b"/%ED%A0%80"),
        (b"//xn--ls8h.example/x", b"xn--ls8h.example", b"/x"),
        (b"HTTPS://XN--LS8H.example/x", b"xn--ls8h.example", b"/x"),
        (b"https://xn--a.example/x", b"xn--a.example", b"/x"),
        (b"https://xn--bcher-kva.example/x", b"xn--bcher-kva.example", b"/x"),
    ],
)
def test_octets_and_a_labels_of_a_location_go_out_as_they_are(location: bytes, host: bytes, path: bytes) -> None:
    """Octets in any charset are percent-encoded, and ASCII names are not decoded."""
    target = redirect_target(BASE, [location], 302)
    assert (target.raw_host, target.raw_path) == (host, path)


@pytest.mark.parametrize(
    "location",
    [
        b"https://\xff.example/", b"https://b\xfccher.example/", b"https://\xed\xa0\x80/",
        "https://a℀b/".encode(), b"https://a..b/", b"https://./",
        b"https://" + b"a" * 64 + b"/", b"https://" + b"a." * 200 + b"b/", b"https://a%00b/",
        b"https://a%2Fb/", b"https://a%zz/", b"https://[::1/",
        b"https://[::1]x/", b"https://[v1.x]/", b"https://[::g]/", b"https://[]/", b"https://1.2.3.4.5/",
        b"https://1.2.3.256/", b"https://x:99999/", b"https://x:-1/", b"https://x:+1/", b"https://x:8_0/",
        "https://x:\uff18\uff10/".encode(), b"https://x: 80/", b"https://x:80:80/", b"https://x:" + b"9" * 5000 + b"/",
        b"/\x00", b"/\x7f", b"/\x1b[2J", b"https:///", b"https://a b/", b"https://\\/",
    ],
)  # fmt: skip
def test_a_strange_location_is_the_redirects_failure(location: bytes) -> None:
    """It is followed or rejected, and its exceptions never reach the runner."""
    base = httpx.URL("http://shop.example/")
    with pytest.raises(CheckFailed) as raised:
        redirect_target(base, [location], 302)
    assert raised.value.reason is Reason.REDIRECT


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (b"ftp://me:CANARY@x/y?CANARY#CANARY", "'ftp://x/y'"),
        (b"https://me:CANARY@[::1/?a", "'https://[::1/'"),
        (b"gopher:x?CANARY", "'gopher:x'"),
        (b"https://x:y/?\nCANARY", "'https://x:y/'"),
        (b"ftp://\xff/", "'ftp://ÿ/'"),
    ],
)
def test_a_refused_location_is_shown_without_what_may_be_secret(location: bytes, shown: str) -> None:
    """Neither user nor password nor query nor fragment."""
    with pytest.raises(CheckFailed) as raised:
        redirect_target(BASE, [location], 302)
    assert raised.value.detail.startswith(f"the redirect leads to {shown}, which is ")


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
        (("http:x",), "the redirect leads to 'http:x', which is not a URL that can be followed"),
        (("https://a b/",), "the redirect leads to 'https://a b/', which is not a URL that can be followed"),
        (
            ("https://2130706433/",),
            "the redirect leads to 'https://2130706433/', which is not a URL that can be followed",
        ),
        (("https://x:99999/",), "the redirect leads to 'https://x:99999/', which is not a URL that can be followed"),
        (("https://x:0/",), "the redirect leads to 'https://x:0/', which is not a URL that can be followed"),
        (("https://[::1/",), "the redirect leads to 'https://[::1/', which is not a URL that can be followed"),
        (("/x\ty",), "the redirect leads to '/x\\ty', which is not a URL that can be followed"),
        (("https://user:secret@x/",), "the redirect leads to a URL with a user name or password in it"),
        (("https://shop.example\\@evil.example/",), "the redirect leads to a URL with a user name or password in it"),
    ],
)
def test_locations_that_cannot_be_followed_are_refused(locations: tuple[str, ...], detail: str) -> None:
    """A Location that is missing, ambiguous, absurd or leads out of HTTP fails the check as `redirect`."""
    with pytest.raises(CheckFailed) as raised:
        redirect_target(BASE, [location.encode() for location in locations], 302)
    assert (raised.value.reason, raised.value.detail) == (Reason.REDIRECT, detail)


def test_the_same_location_twice_is_one() -> None:
    """A repeated but equal Location is followed."""
    assert str(redirect_target(BASE, [b"/x", b"/x"], 302)) == "https://shop.example/x"


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
    """303 causes a GET, 301 and 302 turn a POST into one, 307 and 308 change nothing."""
    assert [redirected_method(method, status) for status in (301, 302, 303, 307, 308)] == methods


def test_headers_and_body_stay_with_their_origin() -> None:
    """Within the origin, everything is sent again; elsewhere, only what the rules allow."""
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
    """307 and 308 would send the body to any named host; that is rejected."""
    request = httpx.Request("POST", BASE, content=b"body")
    with pytest.raises(CheckFailed) as raised:
        redirected_request(request, answered(307, "https://evil.example/x?token=y"), RULES)
    assert (raised.value.reason, raised.value.detail) == (
        Reason.REDIRECT,
        "the redirect would take the request's body to https://evil.example/x?…, another origin",
    )


def test_a_downgrade_must_be_allowed() -> None:
    """A redirect from https to http is followed only if the check allows it; the opposite always is."""
    request = httpx.Request("GET", BASE)
    with pytest.raises(CheckFailed) as raised:
        redirected_request(request, answered(301, "http://shop.example/"), RULES)
    assert (raised.value.reason, raised.value.detail) == (
        Reason.REDIRECT,
        "the redirect leads from https to http://shop.example/; allow_downgrade would follow it",
    )
    allowing = RedirectRules(max_redirects=1, allow_downgrade=True, fields_elsewhere=())
    down = redirected_request(request, answered(301, "http://shop.example/"), allowing)
    assert str(redirected_request(down, answered(301, "https://shop.example/"), RULES).url) == "https://shop.example/"


def test_what_was_said_of_one_origin_holds_for_no_other() -> None:
    """The name to verify and the client certificate apply only to the origin, a fixed address only to the host."""
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


def test_what_another_origin_is_not_given_has_names() -> None:
    """These are the names of the credentials, and the client certificate if there is one."""
    plain = RequestOptions(network=NetworkSettings(), tls=TlsConfig())
    with_certificate = RequestOptions(network=NetworkSettings(), tls=TlsConfig(cert_file="c", key_file="k"))
    rules = RedirectRules(
        max_redirects=1, allow_downgrade=False, fields_elsewhere=(), withheld=("X-Api-Key", "Authorization")
    )
    assert [left_behind(RULES, plain), left_behind(rules, plain), left_behind(rules, with_certificate)] == [
        "",
        "X-Api-Key, Authorization",
        "X-Api-Key, Authorization, the client certificate",
    ]


def test_urls_are_shown_without_what_may_be_secret() -> None:
    """A query, a password and a fragment do not belong in logs; a long path is cut."""
    assert shown_url(httpx.URL("https://u:p@x.example:8443/y?token=z#f")) == "https://x.example:8443/y?…"
    assert len(shown_url(httpx.URL("https://x.example/" + "y" * 5000))) == 200
