"""The routes of the HTML pages: the checks, one check, the configuration, static files, and error pages."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.status import HTTP_303_SEE_OTHER

from exporter.errors import UnknownCheckNameError
from exporter.model import LONGEST_SCRAPE_SECONDS
from exporter.public_address import check_path
from exporter.web.pages import (
    DEFAULT_REFRESH_SECONDS,
    ConfigDocument,
    Frame,
    check_page,
    config_page,
    message_page,
    read_view,
    status_page,
)
from exporter.web.pages.causes import CauseCount, alike
from exporter.web.pages.rows import checks_to_run_again, groupings_of
from exporter.web.pages.view import read_refresh
from exporter.web.query import BadParameterError, parse_query, refuse_unknown_parameters
from exporter.web.redirects import redirect_to
from exporter.web.responses import compressed
from exporter.web.same_origin import refuse_other_origins
from exporter.web.scrapes import unless_client_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

    from exporter.config.live import Refusal
    from exporter.model import Check
    from exporter.web.scrapes import Scrapes
    from exporter.web.site import Site

CHECK_PARAMETERS = ("name", "refresh")
CONFIG_PARAMETERS = ("format",)
_SPARE_SECONDS = 1.0
"""What a check gets beyond its longest run, to be reported as what it is and not as cut off."""

_STATIC = Path(__file__).parent / "pages" / "static"
_STATIC_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_STATIC_CACHING = "public, max-age=3600"


class PageRoutes:
    """The endpoints; lives as long as the app. Pages are rendered in the server's threads."""

    def __init__(self, site: Site, scrapes: Callable[[], Scrapes]) -> None:
        """Prepare the endpoints.

        Args:
            site: What they depend on.
            scrapes: Returns the scrapes in progress; called in the server's loop.
        """
        self._site = site
        self._scrapes = scrapes
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
            self._refreshing_frame(view.refresh_seconds),
            last_scrape_seconds=site.service.last_scrape_timestamp_seconds,
            disabled=current.disabled,
            probes=None if site.probes is None else site.probes.history.probes(),
        )
        return compressed(request, HTMLResponse(page))

    def check(self, request: Request) -> Response:
        """Show one check with the log of its recent runs."""
        site, current = self._site, self._site.live_config.current
        query = parse_query(request)
        refuse_unknown_parameters(query, CHECK_PARAMETERS)
        name = _name_of(request, query)
        if not name:
            return redirect_to(site.public_address.link("/"))
        check = self._check(name)
        page = check_page(
            check,
            site.history.runs(name),
            site.service.states.changes(name),
            self._refreshing_frame(read_refresh(query)),
            alike=self._alike(check),
            config_text=current.rendered_check(name),
            mask=site.live_config.masks,
            is_enabled=check not in current.disabled,
        )
        return compressed(request, HTMLResponse(page))

    def _alike(self, check: Check) -> CauseCount | None:
        """Return the cause of the last failure of a check, and how many other checks have it."""
        history, others = self._site.history, self._site.live_config.current.checks
        latest = history.latest(check.name)
        if latest is None or latest.reason is None:
            return None
        return alike(latest, filter(None, (history.latest(other.name) for other in others if other is not check)))

    async def run_now(self, request: Request) -> Response:
        """Run one check, whatever its minimum interval, and redirect to its page.

        Raises:
            HTTPException: 403 when a page of another site sends the request.
            UnknownCheckNameError: When no check that runs has the name.
            BusyError: When the check could not begin in time.
            ClientGoneError: When the client has closed its connection.
        """
        refuse_other_origins(request, self._site.public_address.external_url)
        check = self._check(_name_of(request, parse_query(request)))
        return await self._run(request, [check], check_path(check.name))

    async def run_again(self, request: Request) -> Response:
        """Run the failing and degraded checks of a view of the status page, and redirect to it; fails as `run_now`."""
        site, checks = self._site, self._site.live_config.current.checks
        refuse_other_origins(request, site.public_address.external_url)
        view = read_view(parse_query(request), groupings_of(checks))
        bad = await run_in_threadpool(checks_to_run_again, checks, site.history, view, time.time())
        return await self._run(request, bad, view.path(page=view.page))

    async def _run(self, request: Request, checks: Sequence[Check], path: str) -> Response:
        """Run checks now, and redirect to a page."""
        service, link = self._site.service, self._site.public_address.link
        if checks:
            longest_seconds = max(check.longest_run_seconds for check in checks)
            budget_seconds = min(longest_seconds + _SPARE_SECONDS, LONGEST_SCRAPE_SECONDS)
            names = frozenset(check.name for check in checks)
            run = self._scrapes().run(partial(service.choose_now, names), budget_seconds)
            await unless_client_leaves(request, run)
        return redirect_to(link(path), HTTP_303_SEE_OTHER)

    def _check(self, name: str) -> Check:
        current = self._site.live_config.current
        known = {check.name: check for check in (*current.checks, *current.disabled)}
        if name not in known:
            raise UnknownCheckNameError([name], known)
        return known[name]

    def config(self, request: Request) -> Response:
        """Show the configuration in force with secrets masked: as a page for browsers, as YAML for other clients."""
        query = parse_query(request)
        refuse_unknown_parameters(query, CONFIG_PARAMETERS)
        wanted = query.get("format", [""])[0]
        if wanted not in ("", "html", "yaml"):
            raise BadParameterError(f"unknown format {wanted!r}; known: html, yaml")
        current, probes = self._site.live_config.current, self._site.probes
        documents = []
        if current.checks or current.disabled or probes is None:
            documents.append(ConfigDocument("Checks", current.rendered))
        if probes is not None:
            documents.append(ConfigDocument("Modules", probes.modules.rendered))
        if wanted == "html" or (not wanted and _wants_html(request)):
            answer: Response = HTMLResponse(config_page(documents, self._frame()))
        else:
            answer = Response("".join(document.text for document in documents), media_type="text/yaml")
        answer.headers["Vary"] = "Accept"
        return compressed(request, answer)

    def static(self, request: Request) -> Response:
        """Return a static file of the pages."""
        file = self._static.get(request.path_params["file"])
        if file is None:
            raise HTTPException(404)
        content_type, content = file
        headers = {"Cache-Control": _STATIC_CACHING, "Content-Type": content_type}
        return compressed(request, Response(content, headers=headers))

    def problem(self, request: Request, status_code: int, title: str, message: str) -> Response:
        """Return the message as a page for browsers, and as plain text for all other clients."""
        if not _wants_html(request):
            return PlainTextResponse(f"{message}\n", status_code=status_code)
        return HTMLResponse(message_page(title, message, self._frame()), status_code=status_code)

    def _refreshing_frame(self, wanted_seconds: int | None) -> Frame:
        """Return the frame of a page that refreshes as the reader wants; None leaves that to the script."""
        refresh_seconds = DEFAULT_REFRESH_SECONDS if wanted_seconds is None else wanted_seconds
        return replace(self._frame(), refresh_seconds=refresh_seconds, reload_seconds=wanted_seconds or 0)

    def _frame(self) -> Frame:
        site = self._site
        return Frame(
            version=site.version,
            config_file=site.live_config.current.file,
            now_seconds=time.time(),
            link=site.public_address.link,
            refusal=self._refusal(),
        )

    def _refusal(self) -> Refusal | None:
        refusal, mask = self._site.live_config.refusal, self._site.live_config.masks
        return refusal and refusal._replace(problems=tuple(map(mask, refusal.problems)))


def _name_of(request: Request, query: Mapping[str, list[str]]) -> str:
    """Return the name of the check that a request is about: in its path, or as a parameter; see `check_path`."""
    name: str = request.path_params["name"]
    return name or query.get("name", [""])[0]


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
