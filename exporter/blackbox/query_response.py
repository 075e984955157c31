"""Reads `query_response`: the steps of a dialogue, in which every text that is sent ends with a line feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.blackbox.go_template import followed_by, go_template, literal
from exporter.blackbox.recipe import settings_of
from exporter.dialogue.steps import DialogueStep
from exporter.judging.pattern import Pattern

if TYPE_CHECKING:
    from exporter.config.block import Block

_STEP_KEYS = ("expect", "expect_bytes", "send", "labels", "starttls")
_LABEL_KEYS = ("name", "value")
_LINE_END = "\n"


def read_query_response(block: Block) -> tuple[DialogueStep, ...]:
    """Return the steps over a stream; a step that does nothing is left out."""
    steps = (_stream_step(step) for step in block.blocks("query_response", _STEP_KEYS))
    return tuple(step for step in steps if step is not None)


def read_messages(block: Block) -> tuple[DialogueStep, ...]:
    """Return the steps over messages, which only expect and send."""
    steps = (_message_step(step) for step in block.blocks("query_response", _STEP_KEYS))
    return tuple(step for step in steps if step is not None)


def _stream_step(block: Block) -> DialogueStep | None:
    expect = _expect(block)
    expect_bytes = octets(block.text("expect_bytes"))
    if expect is not None and expect_bytes:
        block.refuse("expect_bytes", "cannot be used with expect", on_key=True)
        return None
    values: dict[str, object] = {"starttls": block.flag("starttls", default=False), **_sent(block, expect, _LINE_END)}
    if expect is not None:
        values |= {"expect": expect, "labels": _labels(block, expect)}
    elif "labels" in block:
        block.warn("labels", "has no effect without expect")
    if expect_bytes:
        values["expect_bytes"] = expect_bytes
    does_anything = expect is not None or expect_bytes or values["starttls"] or len(values) > 1
    return settings_of(DialogueStep, values, block) if does_anything else None


def _message_step(block: Block) -> DialogueStep | None:
    expect = _expect(block)
    for key in ("expect_bytes", "labels", "starttls"):
        if key in block:
            block.warn(key, "has no effect on messages")
    values = _sent(block, expect, "")
    if expect is not None:
        values["expect"] = expect
    return settings_of(DialogueStep, values, block) if values else None


def _expect(block: Block) -> Pattern | None:
    return block.parsed("expect", Pattern, None) if block.text("expect") else None


def _sent(block: Block, expect: Pattern | None, line_end: str) -> dict[str, object]:
    """Return what is sent; only a step with `expect` refers to what was captured."""
    text = block.text("send")
    if not text:
        return {}
    if is_binary(text):
        return {"send_bytes": octets(text + line_end)}
    template = literal(text) if expect is None else go_template(text, expect)
    return {"send": followed_by(template, line_end)}


def _labels(block: Block, expect: Pattern) -> dict[str, object]:
    labels: dict[str, object] = {}
    for label in block.blocks("labels", _LABEL_KEYS):
        labels[label.text("name")] = go_template(label.text("value"), expect)
    return labels


def is_binary(text: str) -> bool:
    """Whether a text, of `!!binary`, has bytes that are not UTF-8."""
    return any(0xDC80 <= ord(character) <= 0xDCFF for character in text)


def octets(text: str) -> bytes:
    """Return the bytes of a text; those of `!!binary` need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")
