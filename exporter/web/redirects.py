"""Redirects to the canonical address of a page; always to a path, which is valid for every scheme and host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.status import HTTP_302_FOUND

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from exporter.public_address import PublicAddress

_WITHOUT_SLASH = ("/metrics", "/probe", "/logs", "/sd", "/config")


def redirects(address: PublicAddress) -> list[Route]:
    """Return routes from addresses that people try to the pages they mean.

    As in Prometheus, `/` leads to the prefix. A page with a slash at its end leads to the one without.
    """
    leading = {address.route(f"{path}/"): _with_query(address.link(path)) for path in _WITHOUT_SLASH}
    leading[address.route("/checks")] = _always(address.link("/"))
    if address.route_prefix:
        leading |= {address.route_prefix: _always(address.link("/")), "/": _always(address.route("/"))}
    return [Route(path, endpoint, include_in_schema=False) for path, endpoint in leading.items()]


def redirect_to(path: str, status_code: int = HTTP_302_FOUND) -> RedirectResponse:
    """Return a redirect to a path of this exporter."""
    return RedirectResponse(path, status_code=status_code)


def _always(path: str) -> Callable[[Request], RedirectResponse]:
    return lambda request: redirect_to(path)


def _with_query(path: str) -> Callable[[Request], RedirectResponse]:
    return lambda request: redirect_to(f"{path}?{request.url.query}".removesuffix("?"))
