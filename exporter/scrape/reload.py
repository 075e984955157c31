"""Applies a new configuration to scrapes, in one function, which LiveConfig calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.exposition.families import MetricFamilies
from exporter.scrape.prepared import PreparedConfig
from exporter.scrape.selection import Selection

if TYPE_CHECKING:
    from exporter.masking import Mask
    from exporter.runner.registry import ExecutorRegistry
    from exporter.runner.runner import CheckRunner
    from exporter.scrape.prepared import Configuration
    from exporter.scrape.records import Records


def take_over(
    config: Configuration, registry: ExecutorRegistry, runner: CheckRunner, records: Records, mask: Mask
) -> PreparedConfig:
    """Apply a configuration and return the prepared configuration that scrapes use from now on.

    A scrape in progress keeps what was prepared for its configuration. Its results count for the checks that the new
    configuration still contains.

    Args:
        config: The configuration that comes into force.
        registry: Receives the check types of its plugins, and loses those of plugins that it no longer names.
        runner: Runs its checks.
        records: The records of earlier configurations.
        mask: Masks secrets in results that are shown.

    Raises:
        ValueError: When a check type declares a metric that cannot be shown. Records and registry are as before.
    """
    families = MetricFamilies(registry.types_with(config.plugins), mask)
    prepared = PreparedConfig(config, families, runner, records)
    records.retain(config.checks)  # drops the records of removed checks
    registry.register_plugins(config.plugins)
    prepared.choose(Selection())  # the page that nearly every scrape asks for is laid out now
    return prepared
