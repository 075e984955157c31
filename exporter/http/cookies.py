"""Cookies of one run of a check, so that a login with redirects works; limited in number as in curl."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from exporter.http.request import with_field
from exporter.http.set_cookie import CookieRefusedError, read_set_cookie

if TYPE_CHECKING:
    import httpx

    from exporter.http.message import Exchange
    from exporter.http.set_cookie import Cookie

_MOST_PER_ANSWER, _MOST_KEPT, _SENT_LIMIT_BYTES = 50, 150, 8190


class RunCookies:
    """The cookies of one run; discarded after it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes, str, bytes], Cookie] = {}

    def keep(self, url: httpx.URL, exchange: Exchange) -> None:
        """Store the cookies that the answer for a URL sets; rejected ones are logged with the reason."""
        values = [value for name, value in exchange.headers if name == b"set-cookie"]
        if not values:
            return
        now = time()
        refused = ["there are too many"] if len(values) > _MOST_PER_ANSWER else []
        for value in values[:_MOST_PER_ANSWER]:
            try:
                self._take(read_set_cookie(url, value, now), now)
            except CookieRefusedError as error:
                refused.append(str(error))
        if refused:
            exchange.attempt.note("a cookie was not kept", why="; ".join(sorted(set(refused))))

    def added_to(self, request: httpx.Request) -> httpx.Request:
        """Return the request with the cookies for its URL added after the configured ones."""
        if not self._kept:
            return request
        now = time()
        # Longest path first, then oldest first (RFC 6265 section 5.4): the sort is stable.
        chosen = sorted(
            (cookie for cookie in self._kept.values() if cookie.belongs_to(request.url, now)),
            key=lambda cookie: -len(cookie.path),
        )
        sent, sent_bytes = [], 0
        for cookie in chosen:
            sent_bytes += len(cookie.name) + len(cookie.value) + 3
            if sent_bytes <= _SENT_LIMIT_BYTES:
                sent.append(b"%s=%s" % (cookie.name, cookie.value))
        if not sent:
            return request
        configured = [value for name, value in request.headers.raw if name.lower() == b"cookie"]
        return with_field(request, b"Cookie", b"; ".join((*configured, *sent)))

    def value_of(self, name: bytes, url: httpx.URL) -> bytes | None:
        """Return the value of a cookie that a request for a URL would carry; None without one."""
        now = time()
        known = [one for one in self._kept.values() if one.name == name and one.belongs_to(url, now)]
        return max(known, key=lambda cookie: len(cookie.path)).value if known else None

    def _take(self, cookie: Cookie, now: float) -> None:
        key = (cookie.name, cookie.domain, cookie.path)
        if cookie.expires is not None and cookie.expires <= now:
            self._kept.pop(key, None)
            return
        if key not in self._kept and len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = cookie
