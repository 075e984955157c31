"""Units, colours and words for numbers, the same on all dashboards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode, ValueMap, ValueMappingResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grafana_foundation_sdk.models.dashboard import ValueMapping

SECONDS = "s"
SHARE = "percentunit"
DAYS = "d"
BYTES = "bytes"
PER_SECOND = "ops"
NUMBER = "short"
AS_IT_IS = "none"
MOMENT = "dateTimeAsIso"
AGO = "dateTimeFromNow"

GOOD = "green"
FAIR = "orange"
BAD = "red"

Steps = tuple[tuple[float | None, str], ...]
"""Each colour applies from its value upwards; the first, with the value None, to everything below."""

Words = tuple[tuple[str, str, str], ...]
"""Triples of a value, its word and its colour."""

PLAINLY: Steps = ((None, "text"),)
CALMLY: Steps = ((None, "blue"),)
ALARMINGLY: Steps = ((None, BAD),)
NONE_IS_GOOD: Steps = ((None, GOOD), (1, BAD))
NONE_IS_FAIR: Steps = ((None, GOOD), (1, FAIR))
NONE_IS_PLAIN: Steps = ((None, "text"), (1, "blue"))
NONE_IS_BAD: Steps = ((None, BAD), (1, GOOD))
DAYS_LEFT: Steps = ((None, BAD), (7, FAIR), (21, GOOD))
DAYS_REGISTERED: Steps = ((None, BAD), (7, FAIR), (30, GOOD))
HTTP_STATUS: Steps = ((None, BAD), (200, GOOD), (300, "blue"), (400, FAIR), (500, BAD))
IP_VERSION: Steps = ((None, BAD), (4, "blue"), (6, "purple"))
BUDGET_LEFT: Steps = ((None, BAD), (0.0001, FAIR), (0.25, GOOD))

STATUS: Words = (
    ("0", "ok", GOOD),
    ("0.5", "in maintenance", "blue"),
    ("1", "degraded", FAIR),
    ("2", "failing", BAD),
)
FAILING: Words = (("1", "failing", BAD),)
MET: Words = (("1", "met", GOOD), ("0", "not met", BAD))
DONE: Words = (("1", "done", GOOD), ("0", "not done", BAD))
VERIFIED: Words = (("1", "verified", GOOD), ("0", "not verified", BAD))
RELOADED: Words = (("1", "as the file", GOOD), ("0", "file rejected", BAD))
ANSWERED: Words = (("1", "answered", GOOD), ("0", "no answer", BAD))
UNEXPECTED: Words = (("0", "as expected", GOOD), ("1", "not as expected", BAD))
CAPTURED: Words = (("1", "captured", "blue"),)
EXIT_STATUS: Words = (("0", "ok", GOOD), ("1", "warning", FAIR), ("2", "critical", BAD), ("3", "unknown", BAD))
AGREES: Words = (("1", "agrees", GOOD), ("0", "differs", BAD))
RETURNED: Words = (("1", "returned", "blue"), ("0", "not returned", "text"))
LEAP: Words = (
    ("0", "none announced", GOOD),
    ("1", "second added today", "blue"),
    ("2", "second left out today", "blue"),
    ("3", "clock not synchronised", BAD),
)
REGISTERED: Words = (("1", "registered", GOOD), ("0", "not registered", BAD))
LIMITED: Words = (("0", "not reached", GOOD), ("1", "reached", FAIR))
HAS: Words = (("1", "set", "blue"),)
ACCEPTED: Words = (("1", "accepted", GOOD), ("0", "not accepted", BAD))
AGREED_ON: Words = (("1", "agreed on", "blue"),)
RCODES: Words = (
    ("0", "NOERROR", GOOD),
    ("1", "FORMERR", BAD),
    ("2", "SERVFAIL", BAD),
    ("3", "NXDOMAIN", FAIR),
    ("4", "NOTIMP", BAD),
    ("5", "REFUSED", BAD),
)

PHASE_COLOURS: Mapping[str, str] = {
    "resolve": "blue",
    "connect": "orange",
    "setup": "orange",
    "tls": "purple",
    "processing": "green",
    "request": "green",
    "query": "green",
    "rtt": "green",
    "run": "green",
    "banner": "green",
    "transfer": "yellow",
}
"""Colours of the phases of runs. Only phases at the same place in a run share a colour."""

BUDGET_COLOURS: Mapping[str, str] = {"kept": GOOD, "nearly spent": FAIR, "spent": BAD}
"""Colours of the labels that `grafana.queries.by_objective` gives."""

STATUS_COLOURS: Mapping[str, str] = {word: colour for _, word, colour in STATUS}


def thresholds(steps: Steps) -> ThresholdsConfig:
    """Return the steps as Grafana's thresholds."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=colour) for value, colour in steps])
    )


def mappings(words: Words) -> list[ValueMapping]:
    """Return the words as Grafana's value mappings."""
    results = {
        value: ValueMappingResult(text=word, color=colour, index=index)
        for index, (value, word, colour) in enumerate(words)
    }
    return [ValueMap(options=results)] if results else []
