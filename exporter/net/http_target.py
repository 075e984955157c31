"""Whether a text is a URL that can be checked, told so that whoever wrote it knows what to write instead."""

from __future__ import annotations

import re

import httpx

from exporter.settings import parse_host, refuse_control_characters

_USER_INFO = re.compile(r"[^:]+://(?:[^/?#]*@|[^/?#@:\[]*:(?![0-9]{0,5}[/?#])\S*@)")
"""A user name or password, also one with characters that end it: what it breaks into must not be told as a port."""

_HAS_USER_INFO = "has a user name or password in it; write them as basic_auth"


def parse_http_url(text: str) -> httpx.URL:
    """Read the URL of a check.

    Raises:
        ValueError: When it is no http or https URL with a host; the message completes a sentence about the text.
    """
    refuse_control_characters(text)
    if any(character.isspace() for character in text):
        raise ValueError("contains a space; in a URL it is written %20")
    scheme, separator, _ = text.partition("://")
    if not separator:
        raise ValueError(f"has no scheme; write https://{text} or http://{text}")
    if scheme.lower() not in ("http", "https"):
        raise ValueError(f"has the scheme {scheme!r}; only http and https can be checked")
    if _USER_INFO.match(text):
        raise ValueError(_HAS_USER_INFO)
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"is no URL: {error}") from error
    if url.userinfo:
        raise ValueError(_HAS_USER_INFO)
    check_host_and_port(url)
    return url.copy_with(fragment=None)


def check_host_and_port(url: httpx.URL) -> None:
    """Look at what httpx leaves to others.

    Raises:
        ValueError: When the URL has no host, one that is none, or a port beyond 1 to 65535.
    """
    host = url.raw_host.decode("ascii")
    if not host:
        raise ValueError("has no host")
    try:
        parse_host(host)
    except ValueError as error:
        raise ValueError(f"has the host {host!r}, which {error}") from error
    if url.port is not None and not 1 <= url.port <= 65535:
        raise ValueError(f"has port {url.port}; a port is a number from 1 to 65535")
