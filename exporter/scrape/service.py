"""ScrapeService: answers a scrape request with a page of metrics.

It follows the configuration, lets scrapes of the same checks join a running batch, and writes the page. The server
limits how many batches run at once.
"""

from __future__ import annotations

import logging
import platform
from dataclasses import dataclass, field
from itertools import chain
from time import monotonic, time
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector

from exporter.errors import UnknownCheckNameError
from exporter.exposition.page import Format, Page, write_page
from exporter.exposition.self_metrics import ExporterFacts, exporter_blocks
from exporter.net.dns.getaddrinfo import ResolverThreads
from exporter.scrape.collector import block_of
from exporter.scrape.records import Records
from exporter.scrape.reload import take_over
from exporter.scrape.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.registry import Collector

    from exporter.exposition.probe_metrics import Outcome
    from exporter.exposition.series import Block
    from exporter.masking import Mask
    from exporter.runner.registry import ExecutorRegistry
    from exporter.runner.runner import CheckRunner
    from exporter.scrape.history import History
    from exporter.scrape.in_flight import InFlightBatch, Ticket
    from exporter.scrape.prepared import Configuration, PreparedConfig, PreparedScrape
    from exporter.scrape.states import StateLog
    from exporter.scrape.status_changes import StatusChanges

__all__ = ["LiveConfiguration", "Page", "ScrapeRequest", "ScrapeService", "Selection", "UnknownCheckNameError"]

logger = logging.getLogger(__name__)

_MAX_SHARE_FOR_WRITING = 0.2


class LiveConfiguration(Protocol):
    """Provides the configuration in force; `exporter.config.LiveConfig` is one."""

    def subscribe(self, take_over: Callable[[Configuration], object]) -> None:
        """Call a function with the configuration in force now, and with each later one before it comes into force."""

    @property
    def current(self) -> Configuration:
        """The configuration in force; another object after each reload."""

    @property
    def last_reload_successful(self) -> bool:
        """Whether the last load of the file succeeded, so that the configuration matches it."""

    @property
    def last_reload_success_timestamp_seconds(self) -> float:
        """Unix time when it was loaded."""

    @property
    def masks(self) -> Mask:
        """The mask for its secrets, and those of earlier configurations, in results that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeRequest:
    """The parameters of a scrape.

    Attributes:
        selection: Which checks to run.
        runs_checks: Whether to run them; if not, only their counters are shown.
        budget_seconds: Time until the page must be ready.
        exposition_format: The format of the page.
        compress: Whether to compress it with gzip.
        names: Families or samples to show; empty for all.
    """

    selection: Selection = field(default_factory=Selection)
    runs_checks: bool = True
    budget_seconds: float = 10.0
    exposition_format: Format = Format.TEXT
    compress: bool = False
    names: frozenset[str] = frozenset()


class ScrapeService:
    """Answers scrapes; lives for the process, shared by the threads of the server.

    Attributes:
        history: Recent runs of the checks.
        last_scrape_timestamp_seconds: Unix time of the last page about runs; 0 before the first.
    """

    def __init__(  # noqa: PLR0913 - every part of the program that a page reports on
        self,
        runner: CheckRunner,
        live_config: LiveConfiguration,
        registry: ExecutorRegistry,
        *,
        history: History,
        version: str,
        process: Collector | None = None,
        resolver_threads: ResolverThreads | None = None,
        replaced_loops: Callable[[], int] = lambda: 0,
        changes: StatusChanges | None = None,
        more_blocks: Callable[[], Iterable[Block]] = tuple,
        native_histograms: bool = False,
    ) -> None:
        """Create the service.

        Args:
            runner: Runs the checks.
            live_config: The configuration in force.
            registry: The check types; receives those of plugins.
            history: Where runs are recorded.
            version: Version of the exporter.
            process: Collects the process metrics; prometheus_client's collector by default.
            resolver_threads: The resolver threads of the runner's network.
            replaced_loops: Returns how many event loops the runner has given up.
            changes: Logs which checks start to fail or are ok again; None logs nothing.
            more_blocks: Returns further metrics about the exporter.
            native_histograms: Whether pages in protobuf have native histograms, so that these must be kept.

        Raises:
            ValueError: When a check type declares a metric that cannot be shown.
        """
        self.history = history
        self.last_scrape_timestamp_seconds = 0.0
        self._runner = runner
        self._live_config = live_config
        self._registry = registry
        self._version = version
        self._records = Records(history, changes, native_histograms=native_histograms)
        self._process = CollectorRegistry(auto_describe=False)
        self._process.register(process if process is not None else ProcessCollector(registry=None))
        self._resolver_threads = resolver_threads or ResolverThreads()
        self._replaced_loops = replaced_loops
        self._more_blocks = more_blocks
        self._prepared: PreparedConfig
        live_config.subscribe(self._reload)

    @property
    def states(self) -> StateLog:
        """The state of each check, and its last changes."""
        return self._records.states

    def _reload(self, config: Configuration) -> None:
        """Use a configuration from now on; the thread that loaded it calls this, one at a time."""
        self._prepared = take_over(config, self._registry, self._runner, self._records, self._live_config.masks)

    def page_without_run(self, request: ScrapeRequest) -> Page:
        """Return the page of a scrape that runs nothing: its checks' counters, and the metrics about the exporter.

        Raises:
            UnknownCheckNameError: When the selection names a check that is not configured.
            UnknownCheckTypeError: When it names an unknown type.
        """
        return self._written(self._whole(self.choose(request.selection).collector.blocks_without_run()), request)

    def choose(self, selection: Selection) -> PreparedScrape:
        """Return the prepared scrape of a selection of checks.

        Raises:
            UnknownCheckNameError: When it names a check that is not configured.
            UnknownCheckTypeError: When it names an unknown type.
        """
        return self._prepared.choose(selection)

    def choose_one(self, check_name: str) -> PreparedScrape:
        """Return the prepared scrape of one check, for a page without check labels.

        Raises:
            UnknownCheckNameError: When no check has the name.
        """
        return self._prepared.choose_one(check_name)

    def choose_now(self, check_names: frozenset[str]) -> PreparedScrape:
        """Return the prepared selection of some checks that run even within their minimum intervals.

        Raises:
            UnknownCheckNameError: When no check has one of the names.
        """
        return self._prepared.choose_now(check_names)

    def join(self, prepared_scrape: PreparedScrape, budget_seconds: float) -> Ticket:
        """Join a suitable batch of the checks or create one; the caller must return the ticket.

        Args:
            prepared_scrape: The checks.
            budget_seconds: Time until the page must be ready.
        """
        writing_seconds = min(prepared_scrape.writing_seconds, _MAX_SHARE_FOR_WRITING * budget_seconds)
        ticket = prepared_scrape.in_flight.join(budget_seconds - writing_seconds)
        if not ticket.is_first:
            self._records.counters.count_joined_scrape()
        return ticket

    def run_batch(self, prepared_scrape: PreparedScrape, in_flight: InFlightBatch) -> None:
        """Run a batch that was joined and set its outcome. Blocks until then."""
        budget_seconds = prepared_scrape.in_flight.start(in_flight)
        if budget_seconds is None:
            return
        try:
            outcome = prepared_scrape.collector.run(budget_seconds, in_flight.given_up)
        except BaseException as error:  # noqa: BLE001 - raised again for the scrapes that wait
            in_flight.outcome.set_exception(error)
        else:
            prepared_scrape.in_flight.finish(in_flight, outcome)

    def write(self, prepared_scrape: PreparedScrape, outcome: Outcome, request: ScrapeRequest, *, whole: bool) -> Page:
        """Write the page about an outcome.

        Args:
            prepared_scrape: The checks.
            outcome: Their outcome.
            request: The requested format, encoding and names.
            whole: Whether to include the metrics about the exporter.
        """
        started = monotonic()
        self.last_scrape_timestamp_seconds = time()
        blocks: Iterable[Block] = prepared_scrape.collector.blocks(outcome)
        page = self._written(self._whole(blocks) if whole else blocks, request)
        prepared_scrape.writing_seconds = monotonic() - started
        return page

    def _whole(self, blocks: Iterable[Block]) -> Iterable[Block]:
        """Add the metrics about the exporter and its process."""
        return chain(blocks, exporter_blocks(self._facts()), self._more_blocks(), self._process_blocks())

    def _written(self, blocks: Iterable[Block], request: ScrapeRequest) -> Page:
        return write_page(blocks, request.exposition_format, compress=request.compress, names=request.names)

    def _facts(self) -> ExporterFacts:
        live_config = self._live_config
        return ExporterFacts(
            self._version,
            platform.python_version(),
            live_config.last_reload_successful,
            live_config.last_reload_success_timestamp_seconds,
            self._resolver_threads.busy,
            self._registry.check_threads.busy,
            self._replaced_loops(),
            len(self._prepared.config.checks),
        )

    def _process_blocks(self) -> list[Block]:
        try:
            return [block_of(metric) for metric in self._process.collect()]
        except (IndexError, UnboundLocalError, ValueError):  # prometheus_client on a /proc that it does not expect
            logger.debug("the facts about the process cannot be read", exc_info=True)
            return []
