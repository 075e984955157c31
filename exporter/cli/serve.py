"""The command `serve`: the web server, reloads and signals.

SIGTERM and SIGINT stop it: no new connections, running scrapes get a grace period, then the process exits with 0; a
second one ends it at once. SIGHUP or a change of its files reloads the configuration.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from exporter.allowed_targets import parse_allowed_targets
from exporter.cli.activation import chosen_listeners
from exporter.cli.exposure import warn_when_exposed
from exporter.cli.leaving import leave, leave_within
from exporter.cli.listen import listener_url
from exporter.cli.supervision import report_regularly, status_text
from exporter.cli.unix_listener import UnixListener
from exporter.gc_tuning import keep_collections_short
from exporter.net import Network
from exporter.runner.single import SingleCheckRunner
from exporter.scrape.history import History
from exporter.scrape.probe_history import ProbeHistory
from exporter.scrape.probes import Probes
from exporter.scrape.selection import Selection
from exporter.scrape.service import ScrapeService
from exporter.scrape.status_changes import StatusChanges
from exporter.version import __version__
from exporter.web.app import create_app
from exporter.web.limits import HEALTH_PATHS
from exporter.web.live_web_config import WATCH_INTERVAL_SECONDS, open_web_config, web_config_blocks
from exporter.web.scrapes import Scrapes
from exporter.web.server import GRACE_SECONDS, WebServer
from exporter.web.site import Readiness, Site

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from exporter.cli.notify import ServiceNotifications
    from exporter.cli.options import Options
    from exporter.cli.program import Program
    from exporter.cli.service_environment import ServiceEnvironment
    from exporter.config import LiveConfig
    from exporter.exposition.series import Block
    from exporter.web_config import TlsServer, WebConfig

logger = logging.getLogger(__name__)

_LEAST_KEPT_PROBES = 100
"""Probes of all targets share one history, unlike the runs of checks."""

_DEMO_BUDGET_SECONDS = 5.0
_SPARE_SECONDS = 1.0
"""How long shutdown may take beyond the grace period of running scrapes."""


def serve(program: Program, options: Options, service: ServiceEnvironment) -> int:
    """Serve until a signal stops it; return the exit status.

    Args:
        program: The parts of the program.
        options: The command line.
        service: The messages and sockets of systemd.

    Raises:
        ConfigError: When the web configuration is rejected.
        OSError: When an address cannot be listened on, or systemd has passed no usable socket.
    """
    web_config = _web_config(program, options)
    listeners = chosen_listeners(options, service.listen_variables)
    try:
        return _serve(program, options, listeners, service.notifications, web_config)
    finally:
        for listener in listeners:
            listener.close()


def _serve(
    program: Program,
    options: Options,
    listeners: list[socket.socket],
    notifications: ServiceNotifications,
    web_config: LiveConfig[WebConfig] | None,
) -> int:
    history = History(options.history_limit)
    probes = _probes(program, options)
    warn_when_exposed(listeners, web_config, any_target=probes is not None and not options.allowed_targets)
    service = ScrapeService(
        program.runner,
        program.live_config,
        program.registry,
        history=history,
        version=__version__,
        resolver_threads=program.network.resolver_threads,
        replaced_loops=lambda: program.runner.replaced_loops,
        changes=StatusChanges(),
        native_histograms=options.native_histograms,
        more_blocks=partial(_more_blocks, probes, web_config),
    )
    readiness = Readiness()
    site = Site(
        service=service,
        live_config=program.live_config,
        check_types=program.registry.check_types,
        history=history,
        readiness=readiness,
        runner_trouble=program.runner.trouble,
        timeout_offset_seconds=options.timeout_offset_seconds,
        version=__version__,
        public_address=options.public_address,
        probes=probes,
        offers_protobuf=options.native_histograms,
        web_config=web_config,
        open_health=options.open_health,
    )
    serving = _Serving(program, options, site, listeners, notifications)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serving.run())
    logger.info("stopped")
    return 0


def _web_config(program: Program, options: Options) -> LiveConfig[WebConfig] | None:
    if options.web_config_file is None:
        return None
    return open_web_config(Path(options.web_config_file), program.live_config.masks, open_health=options.open_health)


def _more_blocks(probes: Probes | None, web_config: LiveConfig[WebConfig] | None) -> list[Block]:
    """Return the metrics of the optional parts: modules and the web configuration."""
    blocks = [] if probes is None else probes.own_blocks()
    return blocks if web_config is None else [*blocks, *web_config_blocks(web_config)]


def _probes(program: Program, options: Options) -> Probes | None:
    if program.live_modules is None:
        return None
    logging.getLogger(Probes.__module__).setLevel(options.log_prober.upper())
    return Probes(
        SingleCheckRunner(Network(resolver_threads=program.network.resolver_threads)),
        program.live_modules,
        history=ProbeHistory(max(options.history_limit, _LEAST_KEPT_PROBES)),
        timeout_offset_seconds=options.timeout_offset_seconds,
        strict=options.blackbox_strict,
        allowed_targets=parse_allowed_targets(options.allowed_targets),
    )


class _Serving:
    """One run of the server and its background tasks; lives on the server's loop."""

    def __init__(
        self,
        program: Program,
        options: Options,
        site: Site,
        listeners: list[socket.socket],
        notifications: ServiceNotifications,
    ) -> None:
        self._program = program
        self._options = options
        self._site = site
        self._listeners = listeners
        self._notifications = notifications
        self._reload_requested = asyncio.Event()
        self._server = WebServer(
            create_app(site),
            on_started=self._started,
            health_paths=frozenset(map(site.public_address.route, HEALTH_PATHS)),
            tls=self._tls,
        )

    async def run(self) -> None:
        """Serve until a signal stops it."""
        async with anyio.create_task_group() as tasks:
            self._install_signals()
            tasks.start_soon(self._reload_on_signal)
            if self._options.auto_reload and self._program.has_files:
                tasks.start_soon(self._watch_files)
            if self._site.web_config is not None:
                tasks.start_soon(self._watch_web_config, self._site.web_config)
            if self._program.is_demo:
                tasks.start_soon(self._run_demo_once)
            if self._notifications.are_wanted:
                tasks.start_soon(report_regularly, self._notifications, self._site)
            await self._server.serve(sockets=self._listeners)
            # There is nothing left to reload for, and without a handler the signal would kill the process.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            tasks.cancel_scope.cancel()

    def _started(self) -> None:
        self._site.readiness.ready = True
        keep_collections_short()
        config, live_modules = self._program.live_config.current, self._program.live_modules
        modules = live_modules and live_modules.current
        public_address = self._site.public_address
        of_modules = f" and {modules.summary} of {modules.file}" if modules else ""
        logger.info(
            "nyxmon-exporter %s serves %s of %s%s at %s%s",
            __version__,
            config.summary,
            config.file,
            of_modules,
            " ".join(listener_url(listener, public_address.route("/"), self._scheme) for listener in self._listeners),
            f", externally {public_address.external_url}/" if public_address.external_url else "",
        )
        self._notifications.status(status_text(self._site))
        self._notifications.ready()
        self._program.live_config.log_warnings()
        if self._site.web_config is not None:
            self._site.web_config.log_warnings()
        if self._program.is_demo:
            logger.info(
                "this is the built-in demo; write your checks into a file and start with --config.file=checks.yml"
            )

    @property
    def _scheme(self) -> str:
        return "http" if self._site.web_config is None else self._site.web_config.current.scheme

    def _tls(self) -> TlsServer | None:
        return None if self._site.web_config is None else self._site.web_config.current.tls

    def _install_signals(self) -> None:
        """Install the signal handlers; a SIGHUP sent while the program was starting is delivered now."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        signal.signal(signal.SIGHUP, lambda *_: loop.call_soon_threadsafe(self._reload_requested.set))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def _stop(self, number: signal.Signals) -> None:
        if self._server.should_exit:
            logger.warning("%s again: ending at once", number.name)
            leave(128 + number)
        logger.info("%s: stopping; running scrapes have %d s", number.name, GRACE_SECONDS)
        self._site.readiness.ready = False
        self._notifications.stopping()
        for listener in self._listeners:
            if isinstance(listener, UnixListener):
                listener.remove_file()
        self._server.should_exit = True
        leave_within(GRACE_SECONDS + _SPARE_SECONDS, 0)

    async def _reload_on_signal(self) -> None:
        """Reload after each SIGHUP; several before a reload starts cause only one."""
        while True:
            await self._reload_requested.wait()
            self._reload_requested.clear()
            self._notifications.reloading()
            await self._load(self._program.live_config.reload)
            self._notifications.status(status_text(self._site))
            self._notifications.ready()

    async def _watch_files(self) -> None:
        while True:
            await anyio.sleep(self._options.auto_reload_interval_seconds)
            await self._load(self._program.live_config.reload_if_changed)

    async def _watch_web_config(self, web_config: LiveConfig[WebConfig]) -> None:
        """Reload the web configuration and its certificates when they change, as exporter-toolkit always does."""
        while True:
            await anyio.sleep(WATCH_INTERVAL_SECONDS)
            await self._load(web_config.reload_if_changed)

    async def _load(self, load: Callable[[], object]) -> None:
        """Load in a worker thread; errors have been logged there, and the old configuration stays in force."""
        with suppress(Exception):
            await anyio.to_thread.run_sync(load, abandon_on_cancel=True)

    async def _run_demo_once(self) -> None:
        """Run the demo's checks once, so that its pages have something to show before the first scrape."""
        service = self._site.service
        await Scrapes(service).run(partial(service.choose, Selection()), _DEMO_BUDGET_SECONDS)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - missing on Windows and PyPy
    except ImportError:
        return None
    return uvloop.new_event_loop
