"""Parse a Set-Cookie field, and decide which requests carry the cookie, as curl and browsers do.

Source: RFC 6265, and where browsers have moved on, draft-ietf-httpbis-rfc6265bis: a Secure cookie is accepted from and
sent to secure origins only, including loopback, and the prefixes `__Secure-` and `__Host-` are enforced. There is no
public suffix list: a Domain of one label counts as a public suffix. Values are octets and stay as received.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

from exporter.addresses import parse_address
from exporter.settings import parse_host

if TYPE_CHECKING:
    import httpx

_PAIR_LIMIT_BYTES, _ATTRIBUTE_LIMIT_BYTES = 4096, 1024
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BLANKS = b" \t"
_SECONDS = re.compile(rb"-?[0-9]+")
_LONGEST_DIGITS = 12

_DATE_DELIMITERS = re.compile(r"[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class Cookie:
    """One cookie.

    Attributes:
        name: Its name.
        value: Its value, as received.
        domain: The host it belongs to, in ASCII and lower case.
        host_only: Whether it belongs to that host alone, not to its subdomains.
        path: The path it belongs to.
        secure: Whether it is sent to secure origins only.
        expires: Unix time at which it expires; None for the end of the run.
    """

    name: bytes
    value: bytes
    domain: str
    host_only: bool
    path: bytes
    secure: bool
    expires: float | None

    def belongs_to(self, url: httpx.URL, now: float) -> bool:
        """Whether a request for a URL carries it (RFC 6265 section 5.4)."""
        host = _host(url)
        return (
            (host == self.domain or (not self.host_only and host.endswith(f".{self.domain}")))
            and _path_matches(_path(url), self.path)
            and (not self.secure or _is_secure(url))
            and (self.expires is None or self.expires > now)
        )


class CookieRefusedError(ValueError):
    """Raised for a Set-Cookie that must be ignored; its text says why and quotes nothing."""


def read_set_cookie(url: httpx.URL, value: bytes, now: float) -> Cookie:
    """Parse one Set-Cookie field (RFC 6265 sections 5.2 and 5.3).

    Args:
        url: The URL whose answer has the field.
        value: The field's value.
        now: Unix time from which `Max-Age` counts.

    Raises:
        CookieRefusedError: When the cookie must be ignored.
    """
    if _CONTROL.search(value):
        raise CookieRefusedError("it has a control character")
    pair, *parts = value.split(b";")
    name, separator, content = pair.partition(b"=")
    name, content = name.strip(_BLANKS), content.strip(_BLANKS)
    if not separator or not name:
        raise CookieRefusedError("it has no name")
    if len(name) + len(content) > _PAIR_LIMIT_BYTES:
        raise CookieRefusedError(f"it is larger than {_PAIR_LIMIT_BYTES} bytes")
    attributes = _attributes(parts)
    secure = b"secure" in attributes
    if secure and not _is_secure(url):
        raise CookieRefusedError("it is Secure and came over http")
    domain, host_only = _scope(_host(url), attributes.get(b"domain", b""))
    path = attributes.get(b"path", b"")
    cookie = Cookie(
        name=name,
        value=content,
        domain=domain,
        host_only=host_only,
        path=path if path.startswith(b"/") else _default_path(_path(url)),
        secure=secure,
        expires=_expiry(attributes, now),
    )
    _check_prefix(cookie, has_domain=b"domain" in attributes, has_root_path=path == b"/")
    return cookie


def parse_cookie_date(text: str) -> float | None:
    """Parse the date of an `Expires` attribute in any format (RFC 6265 section 5.1.1); None when it is not a date."""
    clock = day = month = year = None
    for token in _DATE_DELIMITERS.split(text):
        if clock is None and (found := _TIME.match(token)):
            clock = int(found[1]), int(found[2]), int(found[3])
        elif day is None and (found := _DAY.match(token)):
            day = int(found[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (found := _YEAR.match(token)):
            year = int(found[1])
            year += 1900 if 70 <= year <= 99 else 2000 if year < 70 else 0
    if clock is None or day is None or month is None or year is None or year < 1601:
        return None
    try:
        hour, minute, second = clock
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _attributes(parts: list[bytes]) -> dict[bytes, bytes]:
    """Return the attributes by lower-case name; the last one of a name counts, and an empty Domain is ignored."""
    found: dict[bytes, bytes] = {}
    for part in parts:
        name, _, value = part.partition(b"=")
        name, value = name.strip(_BLANKS).lower(), value.strip(_BLANKS)
        if len(value) <= _ATTRIBUTE_LIMIT_BYTES and (value or name != b"domain"):
            found[name] = value
    return found


def _scope(host: str, domain: bytes) -> tuple[str, bool]:
    """Return the domain that a cookie belongs to, and whether it belongs to that host alone."""
    try:
        wanted = domain.decode().removeprefix(".").lower()
        if not wanted.isascii():
            wanted = parse_host(wanted).lower()
    except ValueError:
        raise CookieRefusedError("its Domain is not a host name") from None
    if not wanted or wanted.strip("[]") == host:
        return host, not wanted or "." not in wanted or parse_address(host) is not None
    if "." not in wanted or not host.endswith(f".{wanted}") or parse_address(host) is not None:
        raise CookieRefusedError("its Domain is another host's")
    return wanted, False


def _expiry(attributes: dict[bytes, bytes], now: float) -> float | None:
    seconds = attributes.get(b"max-age", b"")
    if _SECONDS.fullmatch(seconds):
        return now + int(seconds[:_LONGEST_DIGITS]) if not seconds.startswith(b"-") else now
    return parse_cookie_date(attributes.get(b"expires", b"").decode("latin-1"))


def _check_prefix(cookie: Cookie, *, has_domain: bool, has_root_path: bool) -> None:
    name = cookie.name.lower()
    if name.startswith(b"__secure-") and not cookie.secure:
        raise CookieRefusedError("its name begins with __Secure- and it is not")
    if name.startswith(b"__host-") and not (cookie.secure and has_root_path and not has_domain):
        raise CookieRefusedError("its name begins with __Host- and it is not for the host alone")


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").lower().removesuffix(".")


def _path(url: httpx.URL) -> bytes:
    return url.raw_path.partition(b"?")[0]


def _default_path(path: bytes) -> bytes:
    return path[: path.rfind(b"/")] or b"/"


def _path_matches(asked: bytes, path: bytes) -> bool:
    return asked == path or (asked.startswith(path) and (path.endswith(b"/") or asked[len(path) :].startswith(b"/")))


def _is_secure(url: httpx.URL) -> bool:
    """Whether the connection cannot be read in transit: https, or http that does not leave the machine."""
    host = _host(url)
    if url.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return True
    return parse_address(host) is not None and ip_address(host).is_loopback
