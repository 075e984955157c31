"""The routes of the HTML pages: the checks, one check, the configuration, static files, and error pages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from exporter.errors import UnknownCheckNameError
from exporter.web.pages import DEFAULT_REFRESH_SECONDS, Frame, check_page, message_page, read_view, status_page
from exporter.web.pages.rows import groupings_of
from exporter.web.query import parse_query
from exporter.web.redirects import redirect_to

if TYPE_CHECKING:
    from starlette.requests import Request

    from exporter.config.live import Refusal
    from exporter.model import Check
    from exporter.web.site import Site

_STATIC = Path(__file__).parent / "pages" / "static"
_STATIC_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_STATIC_CACHING = "public, max-age=3600"


class PageRoutes:
    """The endpoints; lives as long as the app. They run in the server's threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._static = {file.name: (_STATIC_TYPES[file.suffix], file.read_bytes()) for file in _STATIC.iterdir()}

    def status(self, request: Request) -> Response:
        """Show the checks with their states."""
        site, current = self._site, self._site.live_config.current
        view = read_view(parse_query(request), groupings_of(current.checks))
        page = status_page(
            current.checks,
            site.history,
            site.service.states,
            view,
            self._frame(refresh_seconds=view.refresh_seconds, refreshes=True),
            disabled=current.disabled,
            probes=None if site.probes is None else site.probes.history.probes(),
        )
        return HTMLResponse(page)

    def check(self, request: Request) -> Response:
        """Show one check with the log of its recent runs."""
        site = self._site
        name = request.path_params["name"]
        if not name:
            return redirect_to(site.public_address.link("/"))
        check = self._check(name)
        page = check_page(
            check,
            site.history.runs(name),
            self._frame(),
            mask=site.live_config.masks,
            is_enabled=check not in site.live_config.current.disabled,
        )
        return HTMLResponse(page)

    def _check(self, name: str) -> Check:
        current = self._site.live_config.current
        known = {check.name: check for check in (*current.checks, *current.disabled)}
        if name not in known:
            raise UnknownCheckNameError([name], known)
        return known[name]

    def config(self, request: Request) -> Response:
        """Show the configuration in force with secrets masked."""
        current, probes = self._site.live_config.current, self._site.probes
        documents = [current.rendered] if current.checks or current.disabled or probes is None else []
        if probes is not None:
            documents.append(probes.modules.rendered)
        return Response("".join(documents), media_type="text/yaml")

    def static(self, request: Request) -> Response:
        """Return a static file of the pages."""
        file = self._static.get(request.path_params["file"])
        if file is None:
            raise HTTPException(404)
        content_type, content = file
        return Response(content, headers={"Cache-Control": _STATIC_CACHING, "Content-Type": content_type})

    def problem(self, request: Request, status_code: int, title: str, message: str) -> Response:
        """Return the message as a page for browsers, and as plain text for all other clients."""
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse(f"{message}\n", status_code=status_code)
        return HTMLResponse(message_page(title, message, self._frame()), status_code=status_code)

    def _frame(self, *, refresh_seconds: int | None = None, refreshes: bool = False) -> Frame:
        site = self._site
        return Frame(
            version=site.version,
            config_file=site.live_config.current.file,
            now_seconds=time.time(),
            link=site.public_address.link,
            refusal=self._refusal(),
            refresh_seconds=(DEFAULT_REFRESH_SECONDS if refresh_seconds is None else refresh_seconds)
            if refreshes
            else None,
            reload_seconds=refresh_seconds or 0,
        )

    def _refusal(self) -> Refusal | None:
        refusal, mask = self._site.live_config.refusal, self._site.live_config.masks
        return refusal and refusal._replace(problems=tuple(map(mask, refusal.problems)))
