"""Writes texts with braces so that a checks.yml does not read them as placeholders."""

from __future__ import annotations

from exporter.config.placeholders import doubled_braces
from exporter.config.yaml_dump import Quoted


def doubled(text: str) -> str:
    """Return a text with the braces of `{word}` doubled, quoted if it was."""
    written = doubled_braces(text)
    return Quoted(written) if isinstance(text, Quoted) else written


def with_doubled_braces(value: object) -> object:
    """Return a value with doubled braces in all its texts, for an item of several targets."""
    if isinstance(value, str):
        return doubled(value)
    if isinstance(value, dict):
        return {key: with_doubled_braces(one) for key, one in value.items()}
    return [with_doubled_braces(one) for one in value] if isinstance(value, list) else value
