"""The pytest plugin: `pytest --nyxmon=checks.yml` runs checks as tests.

pytest imports this module at every start, so it imports nothing of the exporter until the option is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_MARKER = (
    "nyxmon(check_type, **labels): a check of --nyxmon, with its type and its labels; "
    "-m 'nyxmon(team=\"web\")' selects by them"
)


class DegradedCheckWarning(UserWarning):
    """Warns of a degraded check: one that misses an expectation with severity `warning`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("nyxmon", "synthetic checks of nyxmon-exporter")
    group.addoption("--nyxmon", metavar="FILE", help="Run the checks of a checks.yml as tests, all at once.")
    group.addoption("--nyxmon-enable-exec", action="store_true", help="Allow checks of type exec, which run programs.")


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin that runs the checks, if there is a file.

    Raises:
        pytest.UsageError: When the file is rejected; lists every problem.
    """
    config.addinivalue_line("markers", _MARKER)
    file = config.getoption("nyxmon")
    if file:
        from exporter.pytest_plugin.checks import Checks  # noqa: PLC0415 - takes a while

        checks = Checks(config, file, allow_programs=config.getoption("nyxmon_enable_exec"))
        config.pluginmanager.register(checks, "nyxmon-checks")
