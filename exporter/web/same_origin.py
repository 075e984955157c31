"""Rejects requests that another site makes a browser send (cross-site request forgery)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request


def refuse_other_origins(request: Request, external_url: str) -> None:
    """Verify that no other site has sent a request that changes something.

    Browsers say where a request comes from: in Sec-Fetch-Site where they trust the connection, else in Origin. Programs
    send neither; nobody can misuse what they are allowed to do. Source: W3C, "Fetch Metadata Request Headers"; Fetch
    standard, "Origin header".

    Args:
        request: The request.
        external_url: URL under which clients reach the exporter; empty for the address that each client uses.

    Raises:
        HTTPException: 403 when another site, or a page of unknown origin, has sent it.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_own = site == "same-origin"
    else:
        hosts = {request.headers.get("host", ""), urlsplit(external_url).netloc} - {""}
        is_own = origin is None or urlsplit(origin).netloc in hosts
    if not is_own:
        raise HTTPException(403, "the request comes from a page of another site")
