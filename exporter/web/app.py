"""The ASGI application: the routes of the HTTP interface and their responses.

Scrapes run in dedicated threads (`exporter.web.scrapes`), pages and reloads in the server's other threads, and probes
of modules on the server's loop. Nothing here blocks that loop. A failing check is a normal response; only a scrape that
could not be made is an error.
"""

from __future__ import annotations

from functools import cache, cached_property, partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Match, Route
from starlette.status import HTTP_404_NOT_FOUND, HTTP_405_METHOD_NOT_ALLOWED

from exporter.errors import ConfigError, UnknownCheckNameError
from exporter.generate.discovery import ExporterAsTarget, target_groups
from exporter.scrape.selection import selected_checks
from exporter.web.access import IS_STRANGER, Access
from exporter.web.configured_headers import ConfiguredHeaders
from exporter.web.limits import HEALTH_PATHS
from exporter.web.middleware import Guard
from exporter.web.page_routes import PageRoutes
from exporter.web.probes import PROBE_ERRORS, ModuleRoutes
from exporter.web.query import (
    DISCOVERY_PARAMETERS,
    METRICS_PARAMETERS,
    PROBE_PARAMETERS,
    BadParameterError,
    parse_query,
    scrape_request,
)
from exporter.web.redirects import redirects
from exporter.web.responses import HeadResponse, page_response
from exporter.web.scrapes import BusyError, ClientGoneError, Scrapes, unless_client_leaves
from exporter.web.state_routes import StateRoutes

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from exporter.scrape.prepared import PreparedScrape
    from exporter.scrape.service import ScrapeRequest
    from exporter.web.site import Site
    from exporter.web_config import WebConfig

_RETRY_AFTER_SECONDS = 1
_CLIENT_GONE = 499


def create_app(site: Site) -> Starlette:
    """Return the ASGI application."""
    scrapes = cache(lambda: Scrapes(site.service))
    pages, states = PageRoutes(site, scrapes), StateRoutes(site)
    routes = _Routes(site, pages, scrapes)
    address = site.public_address
    app = Starlette(
        routes=[
            Route(address.route("/probe"), routes.probe),  # first, because it is asked most often
            Route(address.route("/metrics"), routes.metrics),
            Route(address.route("/"), pages.status),
            Route(address.route("/"), pages.run_again, methods=["POST"]),
            Route(address.route("/logs"), routes.logs),
            Route(address.route("/sd"), routes.discovery),
            Route(address.route("/checks/{name:path}"), pages.check),
            Route(address.route("/checks/{name:path}"), pages.run_now, methods=["POST"]),
            Route(address.route("/status.json"), states.document),
            Route(address.route("/status.schema.json"), states.schema),
            Route(address.route("/badge/{name:path}.svg"), states.badge),
            Route(address.route("/config"), pages.config),
            Route(address.route("/static/{file}"), pages.static, include_in_schema=False),
            Route(address.route("/-/healthy"), routes.healthy),
            Route(address.route("/-/ready"), routes.ready),
            Route(address.route("/-/reload"), routes.reload, methods=["POST"]),
            *redirects(address),
        ],
        middleware=_middleware(site),
        exception_handlers={
            HTTPException: routes.http_error,
            BadParameterError: routes.bad_parameter,
            UnknownCheckNameError: routes.unknown_check,
            **PROBE_ERRORS,
            BusyError: routes.busy,
            ClientGoneError: routes.client_gone,
        },
    )
    app.router.redirect_slashes = False  # it would redirect to the scheme and host that a proxy sees
    return app


def _middleware(site: Site) -> list[Middleware]:
    """Return the middleware that every request passes, outermost first."""
    live = site.web_config
    if live is None:
        return [Middleware(Guard)]

    def current() -> WebConfig:
        return live.current

    open_paths = frozenset(map(site.public_address.route, HEALTH_PATHS if site.open_health else ()))
    headers = Middleware(ConfiguredHeaders, current=current)
    return [headers, Middleware(Guard), Middleware(Access, current=current, open_paths=open_paths)]


class _Routes:
    """The endpoints; lives as long as the app."""

    def __init__(self, site: Site, pages: PageRoutes, scrapes: Callable[[], Scrapes]) -> None:
        self._site = site
        self._pages = pages
        self._scrapes = scrapes
        self._reload_thread = CapacityLimiter(1)
        self._health_threads = CapacityLimiter(4)

    async def metrics(self, request: Request) -> Response:
        """Run the selected checks and show all metrics; with `run=none`, only what was counted so far.

        A scrape that runs nothing waits for no worker, so that an overloaded exporter can still be monitored.
        """
        scrape = scrape_request(request, METRICS_PARAMETERS, self._site)
        if scrape.runs_checks or request.method == "HEAD":
            return await self._scrape(request, scrape, partial(self._site.service.choose, scrape.selection), whole=True)
        return page_response(await run_in_threadpool(self._site.service.page_without_run, scrape))

    async def probe(self, request: Request) -> Response:
        """Run one configured check, or a module against a target; show its metrics as blackbox_exporter would."""
        query = parse_query(request)
        if "check" not in query and self._site.probes is not None:
            return await self._with_modules.probe(request, query)
        scrape = scrape_request(request, PROBE_PARAMETERS, self._site)
        if len(names := query.get("check", [])) != 1:
            raise BadParameterError("give the name of one configured check: /probe?check=NAME")
        return await self._scrape(request, scrape, partial(self._site.service.choose_one, names[0]), whole=False)

    def logs(self, request: Request) -> Response:
        """Show the log of a recent probe of a module."""
        return self._with_modules.logs(parse_query(request))

    @cached_property
    def _with_modules(self) -> ModuleRoutes:
        if self._site.probes is None:
            raise BadParameterError("no modules are configured; start with --blackbox.config.file=blackbox.yml")
        return ModuleRoutes(self._site.probes, self._site.check_types, offers_protobuf=self._site.offers_protobuf)

    async def _scrape(
        self, request: Request, scrape: ScrapeRequest, choose: Callable[[], PreparedScrape], *, whole: bool
    ) -> Response:
        if request.method == "HEAD":
            return HeadResponse(media_type=scrape.exposition_format.value)
        page = self._scrapes().page(choose, scrape, whole=whole)
        return page_response(await unless_client_leaves(request, page))

    def discovery(self, request: Request) -> Response:
        """List every selected check as a target for Prometheus."""
        scrape = scrape_request(request, DISCOVERY_PARAMETERS, self._site)
        checks = selected_checks(self._site.live_config.current.checks, scrape.selection)
        exporter = self._exporter_as_target(request)
        return JSONResponse(target_groups(checks, exporter, timeout_offset_seconds=self._site.timeout_offset_seconds))

    def _exporter_as_target(self, request: Request) -> ExporterAsTarget:
        """Return how Prometheus reaches this exporter: by the external URL, or as the request came."""
        public_address = self._site.public_address
        probe_path = public_address.link("/probe")
        if public_address.external_url:
            parts = urlsplit(public_address.external_url)
            return ExporterAsTarget(parts.netloc, parts.scheme, probe_path)
        host, server = request.headers.get("host"), request.scope["server"]
        if not host and (server is None or server[1] is None):  # a Unix socket
            raise BadParameterError("the request has no Host header, which the targets need; set --web.external-url")
        address = (host or request.url.netloc).removesuffix(":")
        return ExporterAsTarget(address, request.url.scheme, probe_path)

    async def healthy(self, request: Request) -> Response:
        """Report whether the process can work at all, however busy the threads for other pages are."""
        trouble = await to_thread.run_sync(self._site.runner_trouble, limiter=self._health_threads)
        if trouble:
            return PlainTextResponse(f"{_for_client(request, trouble)}\n", status_code=503)
        return PlainTextResponse("healthy\n")

    async def ready(self, request: Request) -> Response:
        """Report whether scrapes are accepted: not while the exporter starts or stops, nor while no check can run."""
        trouble = "starting or stopping"
        if self._site.readiness.ready:
            trouble = await to_thread.run_sync(self._site.runner_trouble, limiter=self._health_threads)
        if trouble:
            return PlainTextResponse(f"not ready: {_for_client(request, trouble)}\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def reload(self, request: Request) -> Response:
        """Reload the configuration; an invalid one leaves the old one in force."""
        try:
            await to_thread.run_sync(self._site.live_config.reload, limiter=self._reload_thread)
        except ConfigError as error:
            return PlainTextResponse(f"{self._site.live_config.masks(str(error))}\n", status_code=500)
        probes, checks = self._site.probes, self._site.live_config.current.summary
        modules = "" if probes is None else f", {probes.modules.summary}"
        return PlainTextResponse(f"reloaded: {checks}{modules}\n")

    def bad_parameter(self, request: Request, error: Exception) -> Response:
        """Answer 400, naming the invalid parameter."""
        return self._pages.problem(request, 400, "Not understood", str(error))

    def unknown_check(self, request: Request, error: Exception) -> Response:
        """Answer 404, naming the unknown check and suggesting a similar one, or saying that it is disabled."""
        asked = getattr(error, "check_names", ())
        off = [check.name for check in self._site.live_config.current.disabled if check.name in asked]
        message = f"check {off[0]!r} is disabled, so it does not run" if off else str(error)
        return self._pages.problem(request, 404, "No such check", message)

    def busy(self, request: Request, error: Exception) -> Response:
        """Answer 503 to a scrape that has waited as long as it can."""
        response = self._pages.problem(request, 503, "Busy", "too many scrapes are running; try again later")
        response.headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
        return response

    def client_gone(self, request: Request, error: Exception) -> Response:
        """End a request whose client has disconnected; nobody reads the response."""
        return Response(status_code=_CLIENT_GONE)

    def http_error(self, request: Request, error: Exception) -> Response:
        """Answer 404 or 405, and list the methods that the page allows."""
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
        message = f"{request.method} {request.url.path}: {error.detail.lower()}"
        prefix = self._site.public_address.route("/")
        if error.status_code == HTTP_404_NOT_FOUND and not request.url.path.startswith(prefix):
            message += f"; every page is below {prefix}"
        response = self._pages.problem(request, error.status_code, error.detail, message)
        response.headers.update(error.headers or {})
        if error.status_code == HTTP_405_METHOD_NOT_ALLOWED:
            response.headers["Allow"] = ", ".join(sorted(_allowed_methods(request)))
        return response


def _allowed_methods(request: Request) -> set[str]:
    """Return the methods of all routes of the path: Starlette names those of the first one alone."""
    routes = [route for route in request.app.router.routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in routes for method in route.methods}


def _for_client(request: Request, trouble: str) -> str:
    """Return a problem as this client may see it: without names of checks unless the client is authenticated."""
    return "no check can run" if getattr(request.state, IS_STRANGER, False) else trouble
