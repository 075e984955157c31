"""Responses to scrapes: a page with its headers, or the headers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.exposition.page import Page


def page_response(page: Page) -> Response:
    """Return a page as a response."""
    headers = {"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
    if page.content_encoding:
        headers["Content-Encoding"] = page.content_encoding
    return Response(page.body, headers=headers)


class HeadResponse(Response):
    """A response to HEAD where creating the body would run checks, so that its length is unknown."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Omit the length (RFC 9110, section 8.6)."""
        super().init_headers(headers)
        del self.headers["content-length"]
