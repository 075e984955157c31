"""Converts an HTTP request to a ScrapeRequest: the time budget from the header, the selection from the query.

An unknown parameter or an invalid value is rejected with a list of what is allowed: otherwise `?chek=shop` would run
every check.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from exporter.exposition.families import OWN_NAMES
from exporter.exposition.negotiation import choose_format, wants_gzip
from exporter.model import LONGEST_SCRAPE_SECONDS
from exporter.scrape.service import ScrapeRequest, Selection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from starlette.requests import Request

    from exporter.checks.base import CheckType
    from exporter.exposition.page import Format
    from exporter.model import Check
    from exporter.web.site import Site

TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
DEFAULT_BUDGET_SECONDS = 10.0
"""Prometheus' own default for `scrape_timeout`."""

_LEAST_BUDGET_SECONDS = 0.1
_MOST_BUDGET_SECONDS = LONGEST_SCRAPE_SECONDS
_LARGEST_OFFSET_SHARE = 0.2
_MAX_PARAMETERS = 1000
_MAX_LISTED = 20
_SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,9})?")
_MAX_SHOWN_CHARACTERS = 100
LABEL_PREFIX = "label."
_MISSPELLED = 0.8
"""The similarity (difflib's ratio) from which on a word is suggested in place of another one."""

_SELECTING = ("check", "check_type", "label.NAME")
METRICS_PARAMETERS = (*_SELECTING, "name[]", "run")
DISCOVERY_PARAMETERS = _SELECTING
PROBE_PARAMETERS = ("check", "name[]")
MODULE_PARAMETERS = ("target", "module", "hostname", "debug", "name[]", "check")
LOGS_PARAMETERS = ("id", "target", "module")
STATUS_PARAMETERS = (*_SELECTING, "status")
BADGE_PARAMETERS = ("label",)
"""The parameters of each route; `label.NAME` stands for every label."""

SELECTING_REPEATABLY = frozenset(("check", "check_type", "name[]"))
"""Parameters that may be given several times, as may each label."""

_FOREIGN_NAMES = ("process_", "blackbox_")
"""Name prefixes of metrics that neither the exporter nor its check types declare."""


class BadParameterError(Exception):
    """Raised when a query parameter is unknown or has an invalid value; the text says what is allowed."""


def scrape_budget(header: str | None, offset_seconds: float) -> float:
    """Return the seconds that a scrape may take, so that the page arrives before Prometheus gives up.

    Args:
        header: Value of `X-Prometheus-Scrape-Timeout-Seconds`; None when not sent. Anything but a plain decimal is
            ignored, including `nan`, `inf` and `1_0`, which Python would accept.
        offset_seconds: Seconds reserved for the network and rendering, at most a fifth of the time allowed.
    """
    if header is None or not _SECONDS.fullmatch(header):
        return DEFAULT_BUDGET_SECONDS
    allowed = float(header)
    budget = allowed - min(offset_seconds, allowed * _LARGEST_OFFSET_SHARE)
    return min(max(budget, _LEAST_BUDGET_SECONDS), _MOST_BUDGET_SECONDS)


def parse_query(request: Request) -> dict[str, list[str]]:
    """Return the values of each parameter, in the order sent.

    Raises:
        BadParameterError: When there are too many parameters.
    """
    query = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise BadParameterError(f"more than {_MAX_PARAMETERS} parameters") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def refuse_unknown_parameters(
    query: Mapping[str, list[str]], known: Sequence[str], repeatable: Collection[str] = SELECTING_REPEATABLY
) -> None:
    """Verify that a route accepts every parameter.

    Args:
        query: The parameters.
        known: The parameters of the route.
        repeatable: The parameters that may be repeated; labels always may.

    Raises:
        BadParameterError: When one is unknown, with a similar one and a list of all, or is given too often.
    """
    for name, values in query.items():
        is_label = name.startswith(LABEL_PREFIX) and "label.NAME" in known
        if name not in known and not is_label:
            parameters = ", ".join(known)
            raise BadParameterError(
                f"unknown parameter {_shown(name)!r}; {_meant(name, known)}parameters: {parameters}"
            )
        if len(values) > 1 and name not in repeatable and not is_label:
            raise BadParameterError(f"{name} is given {len(values)} times; it takes one value")


def refuse_misspelled_parameters(query: Mapping[str, list[str]], known: Sequence[str]) -> None:
    """Verify that no parameter is almost one of a route that ignores all others.

    Raises:
        BadParameterError: When one is, with the similar one and a list of all.
    """
    for name in query:
        if name not in known and get_close_matches(_shown(name).lower(), known, n=1, cutoff=_MISSPELLED):
            refuse_unknown_parameters({name: []}, known)


def _meant(text: str, known: Iterable[str]) -> str:
    """Return a suggestion such as `did you mean check? `, with a trailing space; empty when no word is similar."""
    first, dot, rest = _shown(text).partition(".")
    if dot and "label.NAME" in known and get_close_matches(first.lower(), ["label"]):
        return f"did you mean {LABEL_PREFIX}{rest}? "
    close = get_close_matches(_shown(text).lower(), list(known), n=1)
    return f"did you mean {close[0]}? " if close else ""


def _shown(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else text[: _MAX_SHOWN_CHARACTERS - 1] + "…"


def page_format(request: Request, *, offers_protobuf: bool) -> Format:
    """Return the format of the page that a request gets."""
    return choose_format(", ".join(request.headers.getlist("accept")), offers_protobuf=offers_protobuf)


def accepts_gzip(request: Request) -> bool:
    """Return whether the page that a request gets is to be compressed."""
    return wants_gzip(", ".join(request.headers.getlist("accept-encoding")))


def scrape_request(request: Request, known_parameters: Sequence[str], site: Site) -> ScrapeRequest:
    """Convert a request for `/metrics`, `/probe` or `/sd`.

    Args:
        request: The HTTP request.
        known_parameters: The parameters of its route.
        site: Provides the configured checks, the check types, and the timeout offset.

    Raises:
        BadParameterError: When a parameter, a type or a metric is unknown, no check has the label asked for, or `run`
            is not `none`.
    """
    query = parse_query(request)
    refuse_unknown_parameters(query, known_parameters)
    return ScrapeRequest(
        selection=parse_selection(query, site.live_config.current.checks, site.check_types),
        runs_checks=_runs_checks(query.get("run", ())),
        budget_seconds=scrape_budget(request.headers.get(TIMEOUT_HEADER), site.timeout_offset_seconds),
        exposition_format=page_format(request, offers_protobuf=site.offers_protobuf),
        compress=accepts_gzip(request),
        names=metric_names(query, site.check_types),
    )


def metric_names(query: Mapping[str, list[str]], check_types: Mapping[str, CheckType]) -> frozenset[str]:
    """Return the metrics that a request limits its page to; none for all.

    Raises:
        BadParameterError: When no page ever has one of them.
    """
    wanted = query.get("name[]", ())
    if not wanted:
        return frozenset()
    known = OWN_NAMES | {spec.name for check_type in check_types.values() for spec in check_type.metrics}
    known |= {name.removesuffix(suffix) for name in OWN_NAMES for suffix in ("_total", "_bucket")}
    for name in wanted:
        if name not in known and not name.startswith(_FOREIGN_NAMES):
            raise BadParameterError(f"unknown metric {_shown(name)!r}; {_meant(name, known)}/metrics shows all".strip())
    return frozenset(wanted)


def parse_selection(
    query: Mapping[str, list[str]], checks: Collection[Check], check_types: Collection[str]
) -> Selection:
    """Return which checks a request selects.

    Args:
        query: Its parameters.
        checks: The checks that it can select.
        check_types: The check types that exist.

    Raises:
        BadParameterError: When the type is unknown, or no check has the label asked for.
    """
    return Selection(
        check_names=frozenset(query.get("check", ())),
        check_types=_check_types(query.get("check_type", ()), check_types),
        labels=_labels(query, checks),
    )


def _check_types(wanted: Iterable[str], known: Collection[str]) -> frozenset[str]:
    for check_type in wanted:
        if check_type not in known:
            raise BadParameterError(f"unknown check_type {check_type!r}; known types: {', '.join(sorted(known))}")
    return frozenset(wanted)


def _runs_checks(wanted: Iterable[str]) -> bool:
    for value in wanted:
        if value != "none":
            raise BadParameterError(f"unknown run {value!r}; run=none shows what was counted and runs no checks")
    return not wanted


def _labels(query: Mapping[str, list[str]], checks: Collection[Check]) -> frozenset[tuple[str, str]]:
    labels = set()
    for parameter, values in query.items():
        if not parameter.startswith(LABEL_PREFIX):
            continue
        name = parameter.removeprefix(LABEL_PREFIX)
        known = {check.labels[name] for check in checks if name in check.labels}
        if not known:
            names = {label for check in checks for label in check.labels}
            has = f"{_meant(name, names)}labels: {_listing(names)}" if names else "no check has labels"
            raise BadParameterError(f"no check has a label {_shown(name)!r}; {has}")
        for value in values:
            if value not in known:
                meant = _meant(value, known)
                raise BadParameterError(
                    f"no check has the label {name}={_shown(value)!r}; {meant}its values: {_listing(known)}"
                )
            labels.add((name, value))
    return frozenset(labels)


def _listing(values: Iterable[str]) -> str:
    """Return the first values as a list for a message."""
    first = sorted(values)[: _MAX_LISTED + 1]
    return ", ".join(first[:_MAX_LISTED]) + (", ..." if len(first) > _MAX_LISTED else "")
