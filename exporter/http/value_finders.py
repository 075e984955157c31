"""Finds the named values of an HTTP response by expectations, so that large bodies are searched off the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.http.subjects import BODY_CAPTURE, BODY_SHA256, HEADER_CAPTURE, JSON
from exporter.judging.captured import AS_NUMBER, CapturePlace
from exporter.judging.json_path import compile_json_path
from exporter.model import Expectation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.model import Subject
    from exporter.values import ResponseValue, ResponseValuesSettings


def value_finders(settings: ResponseValuesSettings) -> Mapping[str, Expectation]:
    """Return the expectation that finds each value, by the name of the value."""
    return {name: _finder(name, value) for name, value in settings.values.items()}


def _finder(name: str, value: ResponseValue) -> Expectation:
    subject, selector = _place(value)
    return Expectation(
        label=name,
        subject=subject,
        operator="exists",
        operand=True,
        selector=selector,
        as_number=value.json_path is None or value.read_as == "number",
    )


def _place(value: ResponseValue) -> tuple[Subject, object]:
    if value.json_path is not None:
        return JSON, compile_json_path(value.json_path)
    if value.body is not None:
        return BODY_CAPTURE, CapturePlace(value.body)
    if value.header is not None:
        return HEADER_CAPTURE, CapturePlace(value.matches, value.header)
    return BODY_SHA256, AS_NUMBER
