"""Dialogues over connections, which switch to TLS by STARTTLS of a known protocol or within the dialogue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from exporter.dialogue.conversation import converse
from exporter.dialogue.peers import StreamPeer
from exporter.dialogue.steps import DialogueSettings
from exporter.settings import TlsSettings
from exporter.starttls import StartTlsProtocol  # noqa: TC001 - pydantic evaluates the annotations
from exporter.starttls.negotiate import negotiate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.attempt import Attempt
    from exporter.model import MetricSpec
    from exporter.net.stream import Stream

_NEGOTIATION = "starttls"
_TAKEN_NAMES = frozenset(("resolve", "connect", "tls", "banner", _NEGOTIATION))


class StreamDialogueSettings(DialogueSettings, TlsSettings):
    """TLS and the dialogue of a check over a connection."""

    tls: bool = Field(default=False, description="Use TLS from the start and verify the certificate")
    starttls: StartTlsProtocol | None = Field(
        default=None, description="Protocol whose STARTTLS to use once connected, before the dialogue"
    )

    @model_validator(mode="after")
    def _check_how_tls_starts(self) -> Self:
        if self.tls and self.starttls is not None:
            raise ValueError("cannot have both tls and starttls")
        if any(step.starttls for step in self.dialogue) and (self.tls or self.starttls is not None):
            raise ValueError(f"has starttls in dialogue, but {'tls' if self.tls else 'starttls'} starts TLS before it")
        if taken := _TAKEN_NAMES & set(self.step_names):
            raise ValueError(f"has a step named {min(taken)} in dialogue, which is the name of another phase")
        return self

    @property
    def is_spoken(self) -> bool:
        """Whether the check has a dialogue, or uses STARTTLS."""
        return bool(self.dialogue) or self.starttls is not None

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted, from the start or later."""
        return self.tls or self.starttls is not None or any(step.starttls for step in self.dialogue)

    @property
    def phase_names(self) -> tuple[str, ...]:
        """The phases that the dialogue adds to those of the connection."""
        return (*([] if self.starttls is None else [_NEGOTIATION]), *self.step_names)


async def speak(stream: Stream, settings: StreamDialogueSettings, server: str, attempt: Attempt) -> None:
    """Switch to TLS if `starttls` is configured, then run the dialogue.

    Args:
        stream: The connection.
        settings: STARTTLS and the steps of the dialogue.
        server: The name of the server, verified by TLS unless `tls_config` names another.
        attempt: Receives measurements, observations and log lines.

    Raises:
        CheckFailed: When a step fails.
    """
    start_tls = partial(stream.start_tls, settings.tls_config, timeout_seconds=settings.tls_timeout_seconds)
    if settings.starttls is not None:
        with attempt.phase(_NEGOTIATION):
            await negotiate(settings.starttls, stream, settings.tls_config.server_name or server, attempt)
        await start_tls()
    await converse(settings, StreamPeer(stream), attempt, start_tls)


def measure_phases(attempt: Attempt, spec: MetricSpec, names: Iterable[str]) -> None:
    """Measure the seconds spent in phases, 0 for phases not reached.

    Args:
        attempt: Has recorded the durations.
        spec: The metric family of the phases.
        names: The phases.
    """
    seconds = attempt.seconds_by_phase()
    for name in names:
        attempt.measure(spec, seconds.get(name, 0.0), (name,))
