"""Prepares and caches the collectors that scrapes use while a configuration is in force."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from exporter.errors import UnknownCheckTypeError
from exporter.scrape.collector import CheckCollector
from exporter.scrape.in_flight import InFlightBatches
from exporter.scrape.selection import Selection, selected_checks

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from exporter.checks.base import CheckType
    from exporter.exposition.families import MetricFamilies
    from exporter.model import Check
    from exporter.runner.runner import CheckRunner
    from exporter.scrape.records import Records

    _Key: TypeAlias = Selection | str | tuple[str, frozenset[str]]

_SPARE_CHECKS = 1000
"""Prepared scrapes may contain this many checks beyond twice the configuration, so that pages about single checks and
unusual selections are prepared once, but a client that tries all selections cannot fill the memory."""


class Configuration(Protocol):
    """The parts of a configuration that the service reads; implemented by `exporter.config.Config`."""

    @property
    def checks(self) -> tuple[Check, ...]:
        """The configured checks; their names differ."""

    @property
    def plugins(self) -> tuple[CheckType, ...]:
        """The check types of its plugins."""


class PreparedScrape:
    """Everything reused by repeated scrapes of the same selection of checks.

    Attributes:
        collector: Runs the checks.
        in_flight: Their batches.
        writing_seconds: How long writing the page took last time.
    """

    __slots__ = ("collector", "in_flight", "writing_seconds")

    def __init__(self, collector: CheckCollector) -> None:
        self.collector = collector
        self.in_flight = InFlightBatches(
            max((check.longest_run_seconds for check in collector.layout.checks), default=0.0)
        )
        self.writing_seconds = 0.0

    @property
    def size(self) -> int:
        """How much memory it takes, in checks."""
        return len(self.collector.layout.checks) + 1


class PreparedConfig:
    """The prepared scrapes of one configuration; a reload replaces it as a whole. Shared by threads.

    Attributes:
        config: The configuration.
    """

    def __init__(
        self,
        config: Configuration,
        families: MetricFamilies,
        runner: CheckRunner,
        records: Records,
    ) -> None:
        """Create it without prepared scrapes; each is prepared when its selection is first chosen.

        Args:
            config: The configuration.
            families: The metric families of its check types.
            runner: Runs the checks.
            records: Where results are recorded.
        """
        self.config = config
        self._families = families
        self._runner = runner
        self._records = records
        self._prepared_scrapes: OrderedDict[_Key, PreparedScrape] = OrderedDict()
        self._lock = Lock()

    def choose(self, selection: Selection) -> PreparedScrape:
        """Return the prepared scrape of a selection.

        Raises:
            UnknownCheckNameError: When it names a check that is not configured.
            UnknownCheckTypeError: When it names an unknown type.
        """
        return self._prepared(selection, lambda: self._selected(selection), labelled=True)

    def choose_one(self, check_name: str) -> PreparedScrape:
        """Return the prepared scrape of a single check, on a page without check labels.

        Raises:
            UnknownCheckNameError: When no check has the name.
        """
        selection = Selection(check_names=frozenset((check_name,)))
        return self._prepared(check_name, lambda: self._selected(selection), labelled=False)

    def choose_now(self, check_names: frozenset[str]) -> PreparedScrape:
        """Return the prepared selection of some checks that run even within their minimum intervals.

        Raises:
            UnknownCheckNameError: When no check has one of the names.
        """
        selection = Selection(check_names=check_names)
        return self._prepared(("now", check_names), lambda: self._selected(selection), labelled=True, runs_always=True)

    def _prepared(
        self,
        key: _Key,
        find: Callable[[], list[Check]],
        *,
        labelled: bool,
        runs_always: bool = False,
    ) -> PreparedScrape:
        with self._lock:
            prepared_scrape = self._prepared_scrapes.get(key)
            if prepared_scrape is None:
                collector = CheckCollector(
                    self._runner,
                    find(),
                    self._families,
                    records=self._records,
                    labelled=labelled,
                    runs_always=runs_always,
                )
                prepared_scrape = self._prepared_scrapes[key] = PreparedScrape(collector)
            self._prepared_scrapes.move_to_end(key)
            self._forget_old_scrapes()
            return prepared_scrape

    def _forget_old_scrapes(self) -> None:
        kept = sum(prepared_scrape.size for prepared_scrape in self._prepared_scrapes.values())
        while kept > 2 * len(self.config.checks) + _SPARE_CHECKS and len(self._prepared_scrapes) > 1:
            kept -= self._prepared_scrapes.popitem(last=False)[1].size

    def _selected(self, selection: Selection) -> list[Check]:
        types = self._families.type_names | {check.check_type for check in self.config.checks}
        for check_type in sorted(selection.check_types - types):
            raise UnknownCheckTypeError(check_type, types)
        return selected_checks(self.config.checks, selection)
