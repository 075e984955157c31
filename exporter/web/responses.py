"""Responses shared by several routes: the page of a scrape, responses to HEAD, and compressed documents."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import Response

from exporter.web.query import accepts_gzip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from exporter.exposition.page import Page

_AnyResponse = TypeVar("_AnyResponse", bound=Response)

_LEAST_COMPRESSED_BYTES = 1000
_GZIP_LEVEL = 5
"""A list of a hundred checks becomes a tenth as large in 2 ms; higher levels take more time than they save."""


def page_response(page: Page) -> Response:
    """Return a page as a response."""
    headers = {"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
    if page.content_encoding:
        headers["Content-Encoding"] = page.content_encoding
    return Response(page.body, headers=headers)


def compressed(request: Request, response: _AnyResponse) -> _AnyResponse:
    """Return a response with its body compressed if the client accepts that and the body is not small.

    No page contains a secret, so that nobody can learn one from the length of a page that repeats what a request says.
    """
    response.headers.append("Vary", "Accept-Encoding")
    if len(response.body) >= _LEAST_COMPRESSED_BYTES and accepts_gzip(request):
        response.body = gzip.compress(response.body, _GZIP_LEVEL, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response


class HeadResponse(Response):
    """A response to HEAD where creating the body would run checks, so that its length is unknown."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Omit the length (RFC 9110, section 8.6)."""
        super().init_headers(headers)
        del self.headers["content-length"]
