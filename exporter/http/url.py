"""Parse http and https URLs from configurations and Location fields, or say what is wrong with them.

httpx models them. What it would misparse, or pass to a codec that raises arbitrary exceptions, is handled first: hosts
are parsed by `parse_host` alone, so that httpx sees only ASCII, ports are digits, and octets of a Location stay octets.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import httpx

from exporter.addresses import parse_address
from exporter.settings import parse_host, refuse_control_characters

_USER_INFO = re.compile(r"[^:]+://(?:[^/?#]*@|[^/?#@:\[]*:(?![0-9]{0,5}[/?#])\S*@)")
"""A user name or password, even with characters that would end it: a part of it must not be reported as a port."""

_HAS_USER_INFO = "has a user name or password in it; write them as basic_auth"

DEFAULT_PORTS = {"http": 80, "https": 443}
"""Default ports of the supported schemes."""

_REFERENCE = re.compile(r"(?s)(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?(.*)")  # RFC 3986 appendix B
_AUTHORITY = re.compile(r"(?s)(.*@)?(\[[^\]]*\]|[^:]*)(?::(.*))?")
_PORT = re.compile(r"[0-9]{0,9}")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


def no_scheme(text: str, *schemes: str) -> str:
    """Say which URLs a text without "scheme://" may mean, without the slashes of `//host` and `http:/host`."""
    rest = re.sub(rf"(?i)^(?://|(?:{'|'.join(schemes)}):/)", "", text)
    if rest.startswith("/"):
        return f"has no scheme and no host; write {schemes[0]}://HOST{rest}"
    return "has no scheme; write " + " or ".join(f"{scheme}://{rest}" for scheme in schemes)


class NotHttpError(ValueError):
    """Raised for a URL whose scheme is neither http nor https."""


def parse_http_url(text: str) -> httpx.URL:
    """Parse the URL of a check.

    Raises:
        ValueError: When it is not an http or https URL with a host; the message completes a sentence about the text.
    """
    refuse_control_characters(text)
    if text != text.strip():
        raise ValueError("begins or ends with a space; remove it")
    if any(character.isspace() for character in text):
        raise ValueError("contains a space; in a URL it is written %20")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(no_scheme(text, "https", "http"))
    if scheme.lower() not in DEFAULT_PORTS:
        raise ValueError(f"has the scheme {scheme!r}; only http and https can be checked")
    if rest.lower().startswith(("http://", "https://")):
        raise ValueError(f"has two schemes; write {rest}")
    if _USER_INFO.match(text):
        raise ValueError(_HAS_USER_INFO)
    url = _joined(None, text)
    if url.userinfo:
        raise ValueError(_HAS_USER_INFO)
    check_host_and_port(url)
    return url.copy_with(fragment=None) if "#" in text else url  # a copy is parsed again


def refuse_fragment(text: str) -> None:
    """Reject the URL of a check with a fragment, which browsers keep to themselves.

    Raises:
        ValueError: When it has one.
    """
    if "#" in text:
        raise ValueError("has a fragment, which no server receives; remove everything from # on")


def resolve_reference(base: httpx.URL, reference: bytes) -> httpx.URL:
    """Resolve a Location against the requested URL, and drop its fragment (RFC 3986 section 5.2).

    Non-ASCII octets are sent as received, percent-encoded, whatever their charset; only a host must be UTF-8.

    Raises:
        NotHttpError: When it leads out of HTTP.
        ValueError: When it cannot be followed. The message may quote it.
    """
    try:
        text = reference.decode()
    except UnicodeDecodeError:
        text = _percent_encoded(reference)
    url = _joined(base, text).copy_with(fragment=None)
    if url.scheme not in DEFAULT_PORTS:
        raise NotHttpError("is neither http nor https")
    check_host_and_port(url)
    return url


def check_host_and_port(url: httpx.URL) -> None:
    """Check the host and port, which httpx does not.

    Raises:
        ValueError: When the URL has no host, an invalid host, or a port outside 1 to 65535.
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


def effective_port(url: httpx.URL) -> int:
    """Return the port of an http or https URL."""
    return url.port or DEFAULT_PORTS[url.scheme]


def _joined(base: httpx.URL | None, text: str) -> httpx.URL:
    """Return the URL of a text, resolved against a base if there is one.

    Raises:
        ValueError: When it is not a URL.
    """
    match = _REFERENCE.fullmatch(text)
    scheme, authority, rest = match.groups() if match else (None, None, text)
    if authority is not None and (not scheme or scheme.lower() in DEFAULT_PORTS):
        text = f"{scheme}://{_ascii_authority(authority)}{rest}" if scheme else f"//{_ascii_authority(authority)}{rest}"
    elif text.startswith(":"):
        text = f"./{text}"  # else the colon would be taken for the end of an empty scheme
    try:
        return httpx.URL(text) if base is None else base.join(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"is not a URL: {error}") from error
    except UnicodeError as error:
        raise ValueError("contains half a surrogate pair") from error


def _ascii_authority(authority: str) -> str:
    """Return the authority with its host in ASCII; a host already in ASCII, including A-labels, is unchanged."""
    match = _AUTHORITY.fullmatch(authority)
    user, host, port = match.groups() if match else (None, authority, None)
    if host.startswith("[") and not host.endswith("]"):
        raise ValueError("has an address whose bracket is not closed")
    if port is not None and not _PORT.fullmatch(port):
        if parse_address(f"{host}:{port}") is not None:
            raise ValueError(f"has an IPv6 address without brackets; write [{host}:{port}]")
        raise ValueError(f"has port {port[:20]!r}; a port is a number from 1 to 65535")
    is_address = host.startswith("[") or host.removesuffix(".")[-1:].isdigit()
    if is_address or not host.isascii() or "%" in host:
        try:
            parsed = parse_host(host if is_address else unquote(host))
            host = host if is_address else parsed
        except ValueError as error:
            raise ValueError(f"has the host {host[:253]!r}, which {error}") from error
    return f"{user or ''}{host}" if port is None else f"{user or ''}{host}:{port}"


def _percent_encoded(octets: bytes) -> str:
    return _BEYOND_ASCII.sub(lambda match: b"%%%02X" % match[0][0], octets).decode("ascii")
