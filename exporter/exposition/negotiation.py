"""Chooses format and compression of a page from the headers Accept and Accept-Encoding (RFC 9110, section 12.5).

A client always gets a page, whatever it sends: invalid values are ignored, and the text format is the fallback.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from exporter.exposition.page import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_RANGES_OF = {
    "text/plain": Format.TEXT,
    "text/*": Format.TEXT,
    "*/*": Format.TEXT,
    "application/openmetrics-text": Format.OPENMETRICS,
    "application/*": Format.OPENMETRICS,
    "application/vnd.google.protobuf": Format.PROTOBUF,
}
_OLDER_OPENMETRICS = "0.0.1"
"""The draft that Prometheus offers besides 1.0.0; it is not supported. Unknown versions are answered with 1.0.0."""


_HEADERS = 64
"""Maximum number of header values whose choice is cached; scrapers send the same ones each time."""

_PROTOBUF = {"proto": "io.prometheus.client.metricfamily", "encoding": "delimited"}
"""The parameters, in lower case, that a client must send to get protobuf: there are other messages and encodings."""


class _Choice(NamedTuple):
    """One element of an Accept header."""

    name: str
    parameters: dict[str, str]
    weight: float


@lru_cache(_HEADERS)
def choose_format(accept: str, *, offers_protobuf: bool = False) -> Format:
    """Return the format with the highest weight; of equal ones the first.

    Args:
        accept: Value of the header; several are joined with commas; empty when not sent.
        offers_protobuf: Whether protobuf is among the formats to choose from.
    """
    best, best_weight = Format.TEXT, 0.0
    for choice in _choices(accept):
        candidate = _RANGES_OF.get(choice.name)
        if candidate is Format.OPENMETRICS and choice.parameters.get("version") == _OLDER_OPENMETRICS:
            continue
        if candidate is Format.PROTOBUF and not (offers_protobuf and choice.parameters.items() >= _PROTOBUF.items()):
            continue
        if candidate is not None and choice.weight > best_weight:
            best, best_weight = candidate, choice.weight
    return best


@lru_cache(_HEADERS)
def wants_gzip(accept_encoding: str) -> bool:
    """Return whether the client accepts gzip and does not prefer an uncompressed page.

    Args:
        accept_encoding: Value of the header; empty when not sent.
    """
    weights = {choice.name: choice.weight for choice in _choices(accept_encoding)}
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _choices(header: str) -> Iterator[_Choice]:
    """Parse a list of weighted choices; elements with an invalid weight are skipped."""
    for element in header.split(","):
        name, *texts = (part.strip() for part in element.lower().split(";"))
        parameters = {
            key.strip(): value.strip().strip('"') for key, _, value in (text.partition("=") for text in texts)
        }
        weight = parameters.pop("q", "1")
        if name and _WEIGHT.fullmatch(weight):
            yield _Choice(name, parameters, float(weight))
