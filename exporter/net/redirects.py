"""Where a redirect leads and what may be taken along: pure rules over requests and answers.

Source: RFC 9110 sections 10.2.2 (Location) and 15.4 (redirection). Stricter than they are where following would hand
something to somebody else: headers and bodies that were configured stay with the origin they were configured for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import httpx

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.http_target import check_host_and_port
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from exporter.net.http_message import Exchange, RequestOptions

_LOCATION_LIMIT_CHARACTERS = 8192
_SHOWN_CHARACTERS = 200
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectRules:
    """How far redirects are followed; lives with the configuration.

    Attributes:
        max_redirects: Most redirects followed in one run.
        allow_downgrade: Whether one may lead from https to http.
        headers_elsewhere: Headers sent to an origin other than the one the check is configured for.
    """

    max_redirects: int
    allow_downgrade: bool
    headers_elsewhere: httpx.Headers


def redirected_request(request: httpx.Request, exchange: Exchange, rules: RedirectRules) -> httpx.Request:
    """Give the request that an answer says to make next.

    Args:
        request: The request that was answered; its content must have been read.
        exchange: Its answer, a redirect.
        rules: What is allowed.

    Raises:
        CheckFailed: With reason `redirect` when the answer does not say where to, or says what is not allowed.
    """
    url = redirect_target(request.url, exchange.header_values("location"), exchange.status)
    if request.url.scheme == "https" and url.scheme == "http" and not rules.allow_downgrade:
        raise _refused(f"leads from https to {shown_url(url)}; allow_downgrade would follow it")
    method = redirected_method(request.method, exchange.status)
    content = request.content if method == request.method else b""
    at_home = is_same_origin(request.url, url)
    if content and not at_home:
        raise _refused(f"would take the request's body to {shown_url(url)}, another origin")
    headers = httpx.Headers(request.headers if at_home else rules.headers_elsewhere)
    if not content:
        for name in [name for name in headers if name.startswith("content-")]:
            del headers[name]
    return httpx.Request(method, url, headers=headers, content=content or None)


def redirect_target(base: httpx.URL, locations: tuple[str, ...], status: int) -> httpx.URL:
    """Give the URL that a redirect leads to, without its fragment.

    Raises:
        CheckFailed: With reason `redirect` when there is no Location, more than one, or one that cannot be followed.
    """
    if not any(locations):
        raise CheckFailed(Reason.REDIRECT, f"status {status} came without a Location to follow")
    if len(set(locations)) > 1:
        raise _refused(f"has {len(locations)} Locations that differ")
    location = locations[0]
    if len(location) > _LOCATION_LIMIT_CHARACTERS:
        raise _refused(f"has a Location of {len(location)} characters")
    try:
        url = base.join(location).copy_with(fragment=None)
        if url.scheme not in _DEFAULT_PORTS:
            raise _refused(f"leads to {location[:_SHOWN_CHARACTERS]!r}, which is neither http nor https")
        check_host_and_port(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise _refused(f"leads to {location[:_SHOWN_CHARACTERS]!r}, which is no URL that can be followed") from error
    if url.userinfo:
        raise _refused("leads to a URL with a user name or password in it")
    return url


def redirected_method(method: str, status: int) -> str:
    """Give the method of the next request: 303 asks for a GET, 301 and 302 have turned POST into GET since ever."""
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        return "GET"
    return method


def redirected_options(options: RequestOptions, before: httpx.URL, after: httpx.URL) -> RequestOptions:
    """Give the options for the next request: what was said about one host or origin holds for no other.

    A fixed address stays for the same host, its port only for the same origin; the name to verify and the client
    certificate stay with the origin.
    """
    if is_same_origin(before, after):
        return options
    network = options.network
    if network.connect_to is not None:
        address = parse_host_port(network.connect_to, default_port=1)[0] if before.host == after.host else None
        network = network.model_copy(update={"connect_to": address})
    tls = options.tls.model_copy(update={"server_name": None, "cert_file": None, "key_file": None})
    return replace(options, network=network, tls=tls, server_name=None)


def is_same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Tell whether scheme, host and port are the same (RFC 6454 section 4)."""
    return one.scheme == other.scheme and one.host == other.host and effective_port(one) == effective_port(other)


def effective_port(url: httpx.URL) -> int:
    """Give the port of an http or https URL."""
    return url.port or _DEFAULT_PORTS[url.scheme]


def shown_url(url: httpx.URL) -> str:
    """Give a URL as logs may show it: without its query, which may carry a token."""
    shown = str(url.copy_with(query=None, fragment=None, username=None, password=None))[:_SHOWN_CHARACTERS]
    return f"{shown}?…" if url.query else shown


class RunCookies:
    """Cookies of one run of one check, so that a login that redirects works; never outlives the run."""

    def __init__(self) -> None:
        self._cookies: httpx.Cookies | None = None

    def keep(self, request: httpx.Request, exchange: Exchange) -> None:
        """Keep the cookies that an answer sets."""
        if not exchange.header_values("set-cookie"):
            return
        self._cookies = self._cookies or httpx.Cookies()
        self._cookies.extract_cookies(httpx.Response(exchange.status, headers=exchange.headers, request=request))

    def added_to(self, request: httpx.Request) -> httpx.Request:
        """Give the request with the cookies that belong to its URL, besides those it was configured with."""
        if self._cookies is None:
            return request
        asking = httpx.Request("GET", request.url)
        self._cookies.set_cookie_header(asking)
        found = [value for value in (request.headers.get("cookie"), asking.headers.get("cookie")) if value]
        headers = httpx.Headers(request.headers)
        headers["cookie"] = "; ".join(found)
        return (
            httpx.Request(request.method, request.url, headers=headers, content=request.content) if found else request
        )


def _refused(why: str) -> CheckFailed:
    return CheckFailed(Reason.REDIRECT, f"the redirect {why}")
