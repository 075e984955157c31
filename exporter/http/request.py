"""Build httpx requests so that no name and no octet in them raises an httpx-specific exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable


def new_request(
    method: str, url: httpx.URL | str, fields: Iterable[tuple[bytes, bytes]] = (), content: bytes = b""
) -> httpx.Request:
    """Build a request.

    Args:
        method: The method.
        url: The URL; its host is ASCII.
        fields: Header fields in order, as octets: httpx encodes text depending on the other fields.
        content: The body.
    """
    url = httpx.URL(url)
    headers = list(fields)
    if not any(name.lower() == b"host" for name, _ in headers):
        # httpx would pass the host name to idna first, which rejects A-labels that are in use, such as emojis.
        headers.insert(0, (b"Host", url.netloc))
    return httpx.Request(method, url, headers=headers, content=content or None)


def with_field(request: httpx.Request, name: bytes, value: bytes) -> httpx.Request:
    """Return the request with a header field appended, replacing those of the same name."""
    fields = [field for field in request.headers.raw if field[0].lower() != name.lower()]
    return new_request(request.method, request.url, [*fields, (name, value)], request.content)
