"""What one run of an HTTP check has observed, as expectations use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.http.subjects import (
    BODY,
    BODY_SIZE,
    CEL,
    DOCUMENT,
    FINAL_URL,
    HEADER,
    HTTP_VERSION,
    JSON,
    LOCATION,
    OF_BODY,
    REDIRECTS_FOLLOWED,
    STATUS,
    WELL_FORMED,
)
from exporter.judging.apart import Unobservable
from exporter.judging.cel import CelValue
from exporter.judging.content import BodyText, Content, HeaderFields, JsonFault, JsonValue
from exporter.judging.json_path import compile_json_path
from exporter.model import Expectation, Explained, Reason
from exporter.net.connection_facts import address_observations
from exporter.net.tls.certificates import tls_observations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.http.message import Exchange
    from exporter.http.run import HttpRun
    from exporter.model import Observation
    from exporter.values import JsonValuesSettings


def head_observations(run: HttpRun, *, with_fields: bool) -> dict[str, Observation]:
    """Return the observations about the response head and the connection, as far as they exist.

    Args:
        run: The run.
        with_fields: Whether its header fields are needed.
    """
    last = run.exchanges[-1]
    observed = dict(address_observations(last.connection))
    if last.connection.tls is not None:
        observed |= tls_observations(last.connection.tls)
    if last.status:
        locations = last.header_values("location")
        observed |= {
            STATUS.name: last.status,
            LOCATION.name: locations[0] if locations else None,
            REDIRECTS_FOLLOWED.name: run.redirects,
            HTTP_VERSION.name: last.http_version,
            FINAL_URL.name: run.url or None,
        }
        if with_fields:
            observed[HEADER.name] = HeaderFields(last.headers)
        if oddities := oddities_of(run):
            observed[WELL_FORMED.name] = Explained(value=False, why=oddities)
    return observed


def answer_observations(run: HttpRun, *, with_fields: bool, with_body: bool) -> dict[str, Observation]:
    """Return the observations about a complete answer.

    Args:
        run: The run; its last body is decoded.
        with_fields: Whether its header fields are needed.
        with_body: Whether the content of the body is needed.
    """
    last, observed = run.exchanges[-1], head_observations(run, with_fields=with_fields)
    observed.setdefault(WELL_FORMED.name, True)
    if last.body_fault:
        return observed | dict.fromkeys(OF_BODY, Unobservable(Reason.DECODE, last.body_fault))
    observed[BODY_SIZE.name] = len(last.body)
    return observed | _body_observations(last) if with_body else observed


def oddities_of(run: HttpRun) -> str:
    """Return how the answers deviate from the grammar of HTTP; empty for well-formed ones."""
    oddities: dict[str, None] = {}
    for exchange in run.exchanges:
        if exchange.oddities:
            oddities |= dict.fromkeys(exchange.oddities)
    return "; ".join(oddities)


def _body_observations(exchange: Exchange) -> dict[str, Observation]:
    """Return the observations about the content of a body; of several Content-Type fields the first counts."""
    content_types = exchange.header_values("content-type")
    content = Content(exchange.body, content_types[0] if content_types else "")
    return {
        BODY.name: BodyText(content),
        JSON.name: JsonValue(content),
        CEL.name: CelValue(content),
        DOCUMENT.name: JsonFault(content),
    }


def value_finders(settings: JsonValuesSettings) -> Mapping[str, Expectation]:
    """Return, by name, what finds each value, as expectations: large answers are searched apart from the event loop."""
    return {
        name: Expectation(
            label=name,
            subject=JSON,
            operator="exists",
            operand=True,
            selector=compile_json_path(source.path),
            as_number=source.read_as == "number",
        )
        for name, source in settings.values.items()
    }
