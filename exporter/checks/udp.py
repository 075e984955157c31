"""Type `udp`: sends datagrams and judges the answers, as a dialogue."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self, cast

from pydantic import model_validator

from exporter.addresses import Endpoint
from exporter.dialogue.connected import CONNECTED_SUBJECTS, about_connecting, connect_in_time, is_expected
from exporter.dialogue.conversation import converse
from exporter.dialogue.expectations import fit_to_dialogue
from exporter.dialogue.metrics import DIALOGUE_METRICS, DIALOGUE_SUBJECTS
from exporter.dialogue.over_stream import measure_phases
from exporter.dialogue.peers import DatagramPeer
from exporter.dialogue.steps import DialogueSettings
from exporter.net.connection_facts import ADDRESS_SUBJECTS, RESOLUTION_METRICS
from exporter.plugin import (
    Check,
    CheckFailed,
    CheckType,
    EveryAddressSettings,
    Reason,
    Result,
    current_attempt,
    open_datagram,
    parse_host_port,
    phase_durations,
)

if TYPE_CHECKING:
    from exporter.plugin import Attempt, CheckSettings, Expectation

PHASES = phase_durations("udp", ("resolve",))
_REFUSAL = "refusal"
_REFUSAL_SECONDS = 0.5
"""How long a check that expects no answer waits for an ICMP error."""

_TAKEN_NAMES = frozenset(("resolve", _REFUSAL))


class UdpSettings(EveryAddressSettings, DialogueSettings):
    """Settings of type `udp`."""

    @model_validator(mode="after")
    def _check_dialogue(self) -> Self:
        if any(step.starttls for step in self.dialogue):
            raise ValueError("has starttls in dialogue, but datagrams cannot switch to TLS")
        if not any(step.sends for step in self.dialogue):
            raise ValueError("needs a dialogue that sends something, because only a datagram can be answered")
        if (first := next(step for step in self.dialogue if step.expects or step.sends)).expects:
            name = self.step_names[self.dialogue.index(first)]
            raise ValueError(
                f"expects an answer in {name} of dialogue before anything is sent, because a step expects before it "
                "sends; put what is sent into a step before it"
            )
        if taken := _TAKEN_NAMES & set(self.step_names):
            raise ValueError(f"has a step named {min(taken)} in dialogue, which is the name of another phase")
        return self

    @property
    def expects_answer(self) -> bool:
        """Whether a step waits for a datagram."""
        return any(step.expects for step in self.dialogue)

    @property
    def phase_names(self) -> tuple[str, ...]:
        """All phases of the check."""
        return ("resolve", *self.step_names, *([] if self.expects_answer else [_REFUSAL]))


class UdpCheckExecutor:
    """Sends and receives datagrams; lives as long as its batch."""

    async def execute(self, check: Check[UdpSettings]) -> Result:
        """Hold the dialogue and return the result."""
        settings, attempt = check.settings, current_attempt()
        expected = about_connecting(check.expectations)
        try:
            talking = _talk(*parse_host_port(check.target), settings, attempt)
            await (connect_in_time(talking, attempt) if expected else talking)
        except CheckFailed as failure:
            if not is_expected(_as_connect_timeout(failure), expected, attempt):
                raise
        finally:
            measure_phases(attempt, PHASES, settings.phase_names)
        return check.passed


def _as_connect_timeout(failure: CheckFailed) -> CheckFailed:
    """Return the failure as one of connecting: a silent peer may not exist."""
    return CheckFailed(Reason.CONNECT_TIMEOUT, failure.detail) if failure.reason is Reason.TIMEOUT else failure


async def _talk(host: str, port: int, settings: UdpSettings, attempt: Attempt) -> None:
    async with await open_datagram(host, port, settings) as datagram:
        await converse(settings, DatagramPeer(datagram), attempt)
        if not settings.expects_answer:
            with attempt.phase(_REFUSAL), suppress(TimeoutError):
                async with asyncio.timeout(_REFUSAL_SECONDS):
                    await datagram.receive()


def _validate_target(target: str, settings: CheckSettings) -> str:
    return str(Endpoint(*parse_host_port(target)))


def _fit_expectation(expectation: Expectation, settings: CheckSettings) -> Expectation:
    return fit_to_dialogue(expectation, cast("UdpSettings", settings), says_anything=False)


UDP = CheckType(
    name="udp",
    description="Sends datagrams and judges the answers, as a dialogue",
    executor=lambda context: UdpCheckExecutor(),
    settings=UdpSettings,
    metrics=(*RESOLUTION_METRICS, PHASES, *DIALOGUE_METRICS),
    subjects=(*CONNECTED_SUBJECTS, *DIALOGUE_SUBJECTS, *ADDRESS_SUBJECTS),
    fit_expectation=_fit_expectation,
    validate_target=_validate_target,
    endpoint=lambda check: Endpoint(*parse_host_port(check.target)),
)
