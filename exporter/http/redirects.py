"""Redirect rules: where a redirect leads and what the next request may contain.

Source: RFC 9110 sections 10.2.2 (Location) and 15.4 (redirection). Stricter than these where following would disclose
something: configured credentials and bodies are sent only to the origin they were configured for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.http.request import new_request
from exporter.http.url import NotHttpError, effective_port, resolve_reference
from exporter.judging.content import header_text
from exporter.model import Reason
from exporter.quantities import counted
from exporter.settings import parse_host_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from exporter.http.message import Exchange, RequestOptions

_LOCATION_LIMIT_BYTES = 8192
_SHOWN_CHARACTERS = 200
_NOT_SHOWN = re.compile(r"(?s)(?<=//)[^/?#]*@|[?#].*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectRules:
    """How far redirects are followed; lives with the configuration.

    Attributes:
        max_redirects: Maximum redirects followed in one run.
        allow_downgrade: Whether a redirect may lead from https to http.
        fields_elsewhere: Header fields sent to other origins than the configured one.
        withheld: Names of configured fields excluded from these because they are credentials.
    """

    max_redirects: int
    allow_downgrade: bool
    fields_elsewhere: tuple[tuple[bytes, bytes], ...]
    withheld: tuple[str, ...] = ()


def redirected_request(request: httpx.Request, exchange: Exchange, rules: RedirectRules) -> httpx.Request:
    """Return the next request after a redirect.

    Args:
        request: The request that was answered; its content must have been read.
        exchange: Its answer, which is a redirect.
        rules: What is allowed.

    Raises:
        CheckFailed: With reason `redirect` when the answer has no target, or one that is not allowed.
    """
    locations = [value for name, value in exchange.headers if name == b"location"]
    url = redirect_target(request.url, locations, exchange.status)
    if request.url.scheme == "https" and url.scheme == "http" and not rules.allow_downgrade:
        raise _refused(f"leads from https to {shown_url(url)}; allow_downgrade would follow it")
    method = redirected_method(request.method, exchange.status)
    content = request.content if method == request.method else b""
    at_home = is_same_origin(request.url, url)
    if content and not at_home:
        raise _refused(f"would take the request's body to {shown_url(url)}, another origin")
    fields = request.headers.raw if at_home else rules.fields_elsewhere
    if not content:
        fields = [field for field in fields if not field[0].lower().startswith(b"content-")]
    return new_request(method, url, fields, content)


def redirect_target(base: httpx.URL, locations: Sequence[bytes], status: int) -> httpx.URL:
    """Return the URL that a redirect leads to, without its fragment.

    Raises:
        CheckFailed: With reason `redirect` when there is no Location, more than one, or one that cannot be followed.
    """
    if not any(locations):
        raise CheckFailed(Reason.REDIRECT, f"status {status} came without a Location to follow")
    if len(set(locations)) > 1:
        raise _refused(f"has {len(locations)} Locations that differ")
    location = locations[0]
    if len(location) > _LOCATION_LIMIT_BYTES:
        raise _refused(f"has a Location of {counted(len(location), 'character')}")
    try:
        url = resolve_reference(base, location)
    except NotHttpError as error:
        raise _refused(f"leads to {_shown_location(location)}, which is neither http nor https") from error
    except ValueError as error:
        raise _refused(f"leads to {_shown_location(location)}, which is not a URL that can be followed") from error
    if url.userinfo:
        raise _refused("leads to a URL with a user name or password in it")
    return url


def redirected_method(method: str, status: int) -> str:
    """Return the method of the next request: 303 means GET, and 301 and 302 traditionally turn POST into GET."""
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        return "GET"
    return method


def redirected_options(options: RequestOptions, before: httpx.URL, after: httpx.URL) -> RequestOptions:
    """Return the options for the next request: options for one host or origin apply to no other.

    A fixed address is kept for the same host, its port only for the same origin; the name to verify and the client
    certificate are kept for the same origin.
    """
    if is_same_origin(before, after):
        return options
    network = options.network
    if network.connect_to is not None:
        is_same_host = before.raw_host == after.raw_host
        address = parse_host_port(network.connect_to, default_port=1)[0] if is_same_host else None
        network = network.model_copy(update={"connect_to": address})
    tls = options.tls.model_copy(update={"server_name": None, "cert_file": None, "key_file": None})
    return replace(options, network=network, tls=tls, server_name=None)


def left_behind(rules: RedirectRules, options: RequestOptions) -> str:
    """Return the names of what is not sent to another origin; empty when there is nothing."""
    return ", ".join((*rules.withheld, *(("the client certificate",) if options.tls.cert_file else ())))


def is_same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether scheme, host and port are the same (RFC 6454 section 4)."""
    return (one.scheme, one.raw_host, effective_port(one)) == (other.scheme, other.raw_host, effective_port(other))


def shown_url(url: httpx.URL) -> str:
    """Return a URL for logs: without its query, which may contain a token."""
    shown = str(url.copy_with(query=None, fragment=None, username=None, password=None))[:_SHOWN_CHARACTERS]
    return f"{shown}?…" if url.query else shown


def _shown_location(location: bytes) -> str:
    """Return a Location for failure details: without user, password, query and fragment, which may be secret."""
    return repr(_NOT_SHOWN.sub("", header_text(location))[:_SHOWN_CHARACTERS])


def _refused(why: str) -> CheckFailed:
    return CheckFailed(Reason.REDIRECT, f"the redirect {why}")
