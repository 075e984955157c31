"""The settings of a dialogue: its steps, and the rules between them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from exporter.dialogue.octets import Octets  # noqa: TC001 - pydantic evaluates the annotations
from exporter.dialogue.template import LabelTemplate, SentTemplate  # noqa: TC001 - the same
from exporter.settings import CheckSettings, SettingsModel
from exporter.values import LinePattern, ValueName  # noqa: TC001 - the same

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.dialogue.template import Template
    from exporter.judging.pattern import Pattern

MAX_STEPS = 50

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN_LABELS = ("check", "check_type", "target")
_MAX_BYTES = 4096


def _check_label_name(name: str) -> str:
    if not _LABEL_NAME.fullmatch(name) or name.startswith("__"):
        raise ValueError("is not a label name; it has letters, digits and _, and does not start with a digit or __")
    if name in _TAKEN_LABELS or _TAKEN_LABELS[0] < name < _TAKEN_LABELS[1]:
        raise ValueError(f"is a reserved label, as are {', '.join(_TAKEN_LABELS)} and names that sort between them")
    return name


LabelName = Annotated[str, AfterValidator(_check_label_name)]
StepName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=40)]


class DialogueStep(SettingsModel):
    """One step: expect something, then send something, then switch to TLS; each part is optional."""

    name: StepName | None = Field(
        default=None, description="Name of the step in logs and of its phase; step_1, step_2, ... by default"
    )
    expect: LinePattern | None = Field(
        default=None, description="RE2 regular expression; reads lines until one matches"
    )
    expect_bytes: Octets | None = Field(
        default=None, min_length=1, max_length=_MAX_BYTES, description="The very next bytes, in hex or `base64:..`"
    )
    send: SentTemplate | None = Field(
        default=None, description="Text to send; `${1}` and `${name}` refer to groups of the last match"
    )
    send_bytes: Octets | None = Field(
        default=None, min_length=1, max_length=_MAX_BYTES, description="Bytes to send instead, in hex or `base64:..`"
    )
    starttls: bool = Field(default=False, description="Switch to TLS with `tls_config` after that")
    labels: dict[LabelName, LabelTemplate] = Field(
        default_factory=dict,
        max_length=20,
        description="Labels of `probe_expect_info` when `expect` matched; values may refer to its groups",
    )
    values: dict[ValueName, LabelTemplate] = Field(
        default_factory=dict,
        max_length=20,
        description='Numbers to export as `probe_value` when `expect` matched, such as `{depth: "${1}"}`',
    )

    @model_validator(mode="after")
    def _check_what_belongs_together(self) -> Self:
        if self.expect is not None and self.expect_bytes is not None:
            raise ValueError("cannot have both expect and expect_bytes")
        if self.send is not None and self.send_bytes is not None:
            raise ValueError("cannot have both send and send_bytes")
        if (self.labels or self.values) and self.expect is None:
            key = "labels" if self.labels else "values"
            raise ValueError(f"has {key} without expect, so nothing is captured for them")
        if not self.expects and not self.sends and not self.starttls:
            raise ValueError("does nothing; write expect, expect_bytes, send, send_bytes or starttls")
        return self

    @property
    def expects(self) -> bool:
        """Whether the step waits for the peer."""
        return self.expect is not None or self.expect_bytes is not None

    @property
    def sends(self) -> bool:
        """Whether the step sends anything."""
        return self.send is not None or self.send_bytes is not None

    @property
    def templates(self) -> tuple[Template, ...]:
        """The texts that may refer to captured groups."""
        return (*self.labels.values(), *self.values.values()) + (() if self.send is None else (self.send,))


class DialogueSettings(CheckSettings):
    """A dialogue with the peer, for types whose protocol the configuration scripts."""

    dialogue: tuple[DialogueStep, ...] = Field(
        default=(), max_length=MAX_STEPS, description="Steps of a dialogue, in order; each expects, sends, or both"
    )

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        names = self.step_names
        if len(set(names)) != len(names):
            raise ValueError("has two steps of the same name in dialogue")
        known: frozenset[str] = frozenset()
        for number, step in enumerate(self.dialogue, 1):
            if step.expect is not None:
                known = _groups(step.expect)
            for reference in _unknown(step.templates, known):
                meant = f"; write ${{env:{reference}}} for the environment variable" if reference.isupper() else ""
                raise ValueError(
                    f"has ${{{reference}}} in step {number} of dialogue, which the last expect does not capture{meant}"
                )
        values = [name for step in self.dialogue for name in step.values]
        if len(set(values)) != len(values):
            raise ValueError("has the same name in values of two steps of dialogue")
        if sum(step.starttls for step in self.dialogue) > 1:
            raise ValueError("has starttls in several steps of dialogue; a connection can switch to TLS once")
        return self

    @property
    def step_names(self) -> tuple[str, ...]:
        """The name of each step."""
        return tuple(step.name or f"step_{number}" for number, step in enumerate(self.dialogue, 1))

    @property
    def capture_names(self) -> frozenset[str]:
        """The names of all named groups in the dialogue."""
        return frozenset(name for step in self.dialogue if step.expect for name in step.expect.group_names)


def _groups(pattern: Pattern) -> frozenset[str]:
    return frozenset((*map(str, range(pattern.group_count + 1)), *pattern.group_names))


def _unknown(templates: Iterable[Template], known: frozenset[str]) -> Iterable[str]:
    return (name for template in templates for name in template.names if name not in known)
