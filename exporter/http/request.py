"""Requests as httpx models them, built so that no name and no octet in them can raise what only httpx knows."""

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
        fields: Header fields in order, as octets: httpx encodes texts by what else it has met among the fields.
        content: The body.
    """
    url = httpx.URL(url)
    headers = list(fields)
    if not any(name.lower() == b"host" for name, _ in headers):
        # httpx would ask idna for the host's name first, which refuses A-labels that are in use, such as emojis.
        headers.insert(0, (b"Host", url.netloc))
    return httpx.Request(method, url, headers=headers, content=content or None)


def with_field(request: httpx.Request, name: bytes, value: bytes) -> httpx.Request:
    """Return the request with a header field in place of those of the same name, at the end."""
    fields = [field for field in request.headers.raw if field[0].lower() != name.lower()]
    return new_request(request.method, request.url, [*fields, (name, value)], request.content)
