"""Writes the checks of several probes as one item of a checks.yml."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.config.secrets import escaped
from exporter.migration.braces import doubled, with_doubled_braces
from exporter.migration.written_check import key_order, written_expectations, written_settings
from exporter.migration.written_rules import written_rules
from exporter.model.checks import LONGEST_SCRAPE_SECONDS
from exporter.settings import duration_text, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.blackbox import Module
    from exporter.migration.prometheus import Job, RequestedProbe
    from exporter.model import Check

_OFFSET_SECONDS = 0.5
"""Seconds that blackbox_exporter subtracts from the scrape timeout."""


class _Varied(NamedTuple):
    """The key in which the checks of an item differ, and its values: the targets, or the name servers of `dns`."""

    key: str
    values: list[str]


def written_item(
    title: str, job: Job, module: Module, checks: Sequence[Check], probe: RequestedProbe
) -> tuple[dict[str, object], list[str]]:
    """Return the keys of an item, and the names of its checks.

    Args:
        title: The beginning of the names.
        job: The job of the probes.
        module: The module of the probes.
        checks: Its checks, which differ in their targets alone.
        probe: The first of the probes.

    Raises:
        CannotWriteError: When a value has no form in YAML.
    """
    first = checks[0]
    settings = written_settings(first.settings, module.recipe.check_type.settings)
    settings |= written_rules(first.settings, settings)
    keys: dict[str, object] = {
        "type": first.check_type,
        "interval": job.scrape_interval,
        "timeout": duration_text(_timeout_seconds(job, module)),
        **settings,
    }
    if probe.labels and probe.listing is None:
        keys["labels"] = {name: escaped(text) for name, text in probe.labels}
    if expectations := written_expectations(first):
        keys["expect"] = expectations
    if first.check_type == "dns":
        keys["target"] = escaped(first.target)
        varied = _Varied("server", [str(check.settings.server) for check in checks])
    else:
        varied = _Varied("target", [_without_fragment(check.target) for check in checks])
    keys.pop(varied.key, None)
    names = [f"{title} {probe.instance or value}" for value in varied.values]
    return key_order(_with_targets(keys, title, varied, names[0] if len(names) == 1 else "", probe)), names


def _without_fragment(target: str) -> str:
    """Return a target without the fragment of a URL, which checks reject because no server receives it."""
    return target.partition("#")[0] if "://" in target else target


def _with_targets(
    keys: dict[str, object], title: str, varied: _Varied, name: str, probe: RequestedProbe
) -> dict[str, object]:
    """Return the keys with the name and the targets; `name` is that of a single check.

    Only an item of several targets can have braces in its texts, as it alone has placeholders.
    """
    values = [escaped(value) for value in varied.values]
    if name and probe.listing is None:
        alone = {**keys, "name": escaped(name), varied.key: values[0]}
        telling = [alone[key] for key in ("name", "target", "labels") if key in alone]
        if with_doubled_braces(telling) == telling:
            return alone
    several = {key: with_doubled_braces(value) for key, value in keys.items()}
    is_own = bool(name and probe.instance)
    several["name"] = doubled(escaped(name)) if is_own else f"{doubled(escaped(title))} {{{varied.key}}}"
    if probe.listing is not None:
        return {**several, "target_files": list(probe.listing.patterns)}
    return {**several, "targets": values} if varied.key == "target" else {**several, "each": {"server": values}}


def _timeout_seconds(job: Job, module: Module) -> float:
    """Return how long blackbox_exporter lets a probe of the job take."""
    allowed = min(max(parse_duration(job.scrape_timeout) - _OFFSET_SECONDS, 0.1), LONGEST_SCRAPE_SECONDS)
    return min(module.timeout_seconds or allowed, allowed)
