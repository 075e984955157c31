"""Reads dashboards as Grafana does, as far as tests and pictures need it: panels, queries, variables, substitution."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.servers.prometheus import Prometheus

DIRECTORY = Path(__file__).parent.parent.parent / "grafana" / "dashboards"
NAMES = ("overview", "check", "runner", "certificates", "dns")

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})")
_LABEL_VALUES = re.compile(r"label_values\((?:(.+), *)?(\w+)\)")
_LABEL_NAMES = re.compile(r"label_names\((.+)\)")
_JS_REGEX = re.compile(r"/(.+)/")

Times = {"__interval": "1s", "__rate_interval": "9s", "__range": "60s"}
"""What Grafana would put for its own variables: a minute, scraped each second."""


class Question(NamedTuple):
    """One query of a panel."""

    panel: str
    letter: str
    expression: str
    instant: bool


def read_dashboard(name: str) -> dict[str, Any]:
    """The committed JSON of a dashboard."""
    loaded: dict[str, Any] = json.loads((DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Its rows and panels, also those in closed rows."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def questions(dashboard: Mapping[str, Any]) -> list[Question]:
    """The queries of all its panels."""
    return [
        Question(panel["title"], target["refId"], target["expr"], target["instant"])
        for panel in panels(dashboard)
        for target in panel.get("targets", ())
    ]


def variables(dashboard: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Its variables of a kind, such as `query`."""
    return [variable for variable in dashboard["templating"]["list"] if variable["type"] == kind]


def marks(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """The expressions of its annotations, by name."""
    return {annotation["name"]: annotation["expr"] for annotation in dashboard["annotations"]["list"]}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of variables.

    Raises:
        KeyError: When there is no value for one.
    """
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], text)


def variable_matcher(query: str) -> str:
    """The series that a variable's query is about, as PromQL."""
    if found := _LABEL_VALUES.fullmatch(query):
        return found[1]
    found = _LABEL_NAMES.fullmatch(query)
    assert found, query
    return f'{{__name__=~".*{found[1]}.*"}}'


def ask_variable(prometheus: Prometheus, variable: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """The values that Prometheus has for a variable of type `query`, filtered by its regular expression."""
    query = fill(variable["query"]["query"], values)
    labels = _LABEL_VALUES.fullmatch(query)
    path = f"label/{labels[2]}/values" if labels else "labels"
    known = prometheus.api(path, **{"match[]": variable_matcher(query)})
    pattern = _JS_REGEX.fullmatch(variable.get("regex") or "/.*/")
    assert pattern, variable
    return [one for one in known if re.fullmatch(pattern[1], one)]


def defaults(dashboard: Mapping[str, Any]) -> dict[str, str]:
    """The initial values of the variables, with everything selected, as they appear in queries."""
    values = dict(Times)
    for variable in dashboard["templating"]["list"]:
        chosen = variable.get("current", {}).get("value", "")
        values[variable["name"]] = ".*" if chosen == ["$__all"] else chosen
    return values
