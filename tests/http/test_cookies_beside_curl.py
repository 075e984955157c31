"""Cookies of redirects, as curl with its cookie engine sends them for the same answers."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.http.test_cookies import SHAPES
from tests.servers.http import Always, answered, run_http_server

CURL = shutil.which("curl") or ""

OTHERWISE = {
    ("http://A.TEST./", b"n=v"): "a final dot makes it another host for curl, and the same one for Go",
    ("http://[::1]/", b"n=v; Domain=[::1]"): "curl wants the address without brackets",
    ("http://a.test/x", b"n=v; Path=/x/"): "curl takes /x for below /x/, which RFC 6265 section 5.1.4 does not",
    ("http://a.localhost/", b"n=v; Secure"): "names below localhost are loopback for browsers only (RFC 6761)",
    ("http://a.test/", b"n=v; Max-Age=soon"): "RFC 6265 section 5.2.2 ignores the attribute, curl the cookie",
    ("http://a.test/", b"n=a\tb"): "browsers let a tab pass",
    ("http://a.test/", b"n=" + b"v" * 38): "4096 bytes are the most that browsers take, and one too many for curl",
    ("http://a.test/", b"n=v; Path=/" + b"x" * 29): "browsers ignore a Path of more than 1024 bytes, curl the cookie",
}
"""URL and Set-Cookie for which curl 7.88 differs, and why."""


@pytest.mark.skipif(not CURL, reason="curl is not installed")
def test_cookies_are_sent_as_curl_sends_them() -> None:
    """Over http, with everything that a field may contain; the differences are listed with their reasons."""
    script = Always()
    different = set()
    with run_http_server(script) as server:
        for first, cookie, then, carried in SHAPES:
            if "https:" in first + then or not cookie.isascii() or any(octet < 32 and octet != 9 for octet in cookie):
                continue
            server.requests.clear()
            script.answers = [answered(302, f"Location: {then}".encode(), b"Set-Cookie: " + cookie), answered(200)]
            way = ["-x", server.url().rstrip("/"), "--noproxy", "", "-b", "", "-L", "-g", "-s"]
            subprocess.run([CURL, *way, first], check=True, timeout=20)
            _, redirected = server.requests
            if redirected.headers.get("cookie") != (None if carried is None else carried.decode()):
                different.add((then, cookie[:40]))
    assert different == {(then, cookie[:40]) for then, cookie in OTHERWISE}
