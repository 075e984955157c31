"""The checks of a test session as test items: collected from their file, run in one batch, reported one by one."""

from __future__ import annotations

import linecache
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config import load_config
from exporter.errors import ConfigError
from exporter.pytest_plugin import DegradedCheckWarning
from exporter.pytest_plugin.findings import find, find_once
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from exporter.config import Config
    from exporter.model import Check
    from exporter.pytest_plugin.findings import Finding

_DIRECTORY = "nyxmon_directory"
"""Where pytest-xdist hands its workers the name of the directory that they share."""


class CheckFailedError(Exception):
    """Raised by the test of a check that is failing; its text explains the run."""


class Checks:
    """The hooks of a session that runs checks; lives as long as the session."""

    def __init__(self, config: pytest.Config, file: str, *, allow_programs: bool) -> None:
        """Load the checks, and have their file collected.

        Args:
            config: The configuration of pytest.
            file: The file, relative to the directory that pytest was started in.
            allow_programs: Whether checks may have types that run programs.

        Raises:
            pytest.UsageError: When the file is rejected; lists every problem.
        """
        self.path = config.invocation_params.dir / file
        try:
            types = ExecutorRegistry.with_builtins().own_types
            self.configuration = load_config(_as_named(self.path, config), types, allow_programs=allow_programs)
        except ConfigError as error:
            raise pytest.UsageError(str(error)) from error
        for place in self.configuration.places.values():
            # Warnings show the line that they are about, and that of a check may contain a password
            linecache.cache[place.file] = 0, None, [], place.file
        self._config = config
        self._selected: list[Check] = []
        self._findings: dict[str, Finding] | None = None
        self._shared: TemporaryDirectory[str] | None = None
        if not any(Path(argument.partition("::")[0]).resolve() == self.path.resolve() for argument in config.args):
            config.args.append(str(self.path))

    def pytest_report_header(self) -> list[str]:
        """Report what runs, and warnings about the configuration."""
        configuration = self.configuration
        disabled = f" and {len(configuration.disabled)} disabled" if configuration.disabled else ""
        remarks = [f"nyxmon: warning: {warning}" for warning in configuration.warnings]
        return [f"nyxmon: {configuration.file}: {configuration.summary}{disabled}", *remarks]

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect the file of the checks."""
        if file_path.resolve() != self.path.resolve():
            return None
        return CheckFile.from_parent(parent, path=file_path, checks=self)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which checks were not deselected."""
        items = [item for item in session.items if isinstance(item, CheckItem) and item.is_enabled]
        self._selected = list({item.check.name: item.check for item in items}.values())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Report how long the check took, instead of the batch that the first test waits for."""
        report = yield
        if isinstance(item, CheckItem):
            report.duration = item.seconds if report.when == "call" else 0.0
        return report

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Pass a directory to the workers of pytest-xdist, so that one of them runs the checks for all."""
        if self._shared is None:
            self._shared = TemporaryDirectory(prefix="nyxmon-")
            self._config.add_cleanup(self._shared.cleanup)
        node.workerinput[_DIRECTORY] = self._shared.name

    def finding(self, name: str) -> Finding:
        """Return the finding about a check; the first call runs all selected checks."""
        if self._findings is None:
            directory = Path(getattr(self._config, "workerinput", {}).get(_DIRECTORY, ""))
            is_shared = directory.name != "" and directory.is_dir()
            arguments = self.configuration, self._selected
            self._findings = find_once(*arguments, directory) if is_shared else find(*arguments)
        return self._findings[name]


class CheckFile(pytest.File):
    """The file that contains the checks, or includes the files that do."""

    def __init__(self, *, checks: Checks, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._checks = checks

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each check, in the order of the file, disabled ones last."""
        configuration = self._checks.configuration
        for check in configuration.checks:
            yield self._item(check, configuration, is_enabled=True)
        for check in configuration.disabled:
            yield self._item(check, configuration, is_enabled=False)

    def _item(self, check: Check, configuration: Config, *, is_enabled: bool) -> pytest.Item:
        item: CheckItem = CheckItem.from_parent(
            self, name=check.name, check=check, checks=self._checks, is_enabled=is_enabled
        )
        item.add_marker(pytest.mark.nyxmon(check_type=check.check_type, **check.labels))
        item.extra_keyword_matches.update((check.check_type, *check.labels.values()))
        place = configuration.places[check.name]
        item.place = Path(place.file), place.line
        if not is_enabled:
            item.add_marker(pytest.mark.skip(reason=f"disabled at {place.file}:{place.line}"))
        return item


class CheckItem(pytest.Item):
    """The test of one check.

    Attributes:
        check: The check.
        is_enabled: Whether it runs.
        place: The file and the line, from 1, at which the check is written.
        seconds: How long the check took; 0 before it has run.
    """

    place: tuple[Path, int]

    def __init__(self, *, check: Check, checks: Checks, is_enabled: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.check = check
        self.is_enabled = is_enabled
        self.seconds = 0.0
        self._checks = checks

    def setup(self) -> None:
        """Have the checks run."""
        self.seconds = self._checks.finding(self.check.name).seconds

    def runtest(self) -> None:
        """Pass, warn or fail as the check did; a check that fails in maintenance is expected to.

        Raises:
            CheckFailedError: When the check is failing.
        """
        finding = self._checks.finding(self.check.name)
        if finding.fails and finding.in_maintenance:
            pytest.xfail(f"in maintenance: {finding.why}")  # does nothing with --runxfail
        if finding.fails:
            raise CheckFailedError(finding.text)
        self.add_report_section("call", "check", finding.text)
        if finding.is_degraded and not finding.in_maintenance:
            file, line = self.place
            message = DegradedCheckWarning(f"{self.check.name} is degraded: {finding.why}")
            warnings.warn_explicit(message, None, str(file), line)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Explain the run instead of showing where this program raised; a warning that is an error is one line."""
        if isinstance(excinfo.value, CheckFailedError | DegradedCheckWarning):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, the line from 0, and the name of the check."""
        file, line = self.place
        return file, line - 1, self.check.name


def _as_named(path: Path, config: pytest.Config) -> Path:
    """Return the path as messages show it: relative to the directory that pytest was started in, if it is there."""
    directory = config.invocation_params.dir
    is_here = directory == Path.cwd() and path.is_relative_to(directory)
    return path.relative_to(directory) if is_here else path
