"""Type `unix`: connects to a Unix socket, with TLS if configured, and can hold a dialogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, cast

from pydantic import Field, model_validator

from exporter.dialogue.connected import CONNECTED_SUBJECTS, about_connecting, connect_in_time, is_expected
from exporter.dialogue.expectations import fit_to_dialogue
from exporter.dialogue.metrics import DIALOGUE_METRICS, DIALOGUE_SUBJECTS
from exporter.dialogue.over_stream import StreamDialogueSettings, measure_phases, speak
from exporter.net.tls.certificates import TLS_METRICS
from exporter.net.tls.subjects import TLS_SUBJECTS
from exporter.net.unix import MAX_PATH_BYTES
from exporter.plugin import (
    Check,
    CheckFailed,
    CheckType,
    PositiveDuration,
    Result,
    current_attempt,
    open_unix_stream,
    phase_durations,
)

if TYPE_CHECKING:
    from exporter.plugin import Attempt, CheckSettings, Expectation, Stream

PHASES = phase_durations("unix", ("connect", "tls"))
_STANDING_PHASES = tuple(labels[0] for labels, _ in PHASES.defaults)


class UnixSettings(StreamDialogueSettings):
    """Settings of type `unix`."""

    connect_timeout_seconds: PositiveDuration | None = Field(
        default=None, alias="connect_timeout", description="Time limit of establishing the connection alone"
    )

    @model_validator(mode="after")
    def _check_verified_name(self) -> Self:
        if self.uses_tls and self.tls_config.server_name is None and not self.tls_config.insecure_skip_verify:
            raise ValueError("needs tls_config with server_name, as a path is not a name that can be verified")
        return self


class UnixCheckExecutor:
    """Connects, holds the dialogue, and disconnects; lives as long as its batch."""

    async def execute(self, check: Check[UnixSettings]) -> Result:
        """Connect to the target and return the result."""
        settings, attempt = check.settings, current_attempt()
        try:
            await self._talk(check, settings, attempt)
        except CheckFailed as failure:
            if not is_expected(failure, about_connecting(check.expectations), attempt):
                raise
        finally:
            measure_phases(attempt, PHASES, (*_STANDING_PHASES, *settings.phase_names))
        return check.passed

    async def _talk(self, check: Check[UnixSettings], settings: UnixSettings, attempt: Attempt) -> None:
        async with await _connect(check, settings, attempt) as stream:
            if settings.tls:
                await stream.start_tls(settings.tls_config, timeout_seconds=settings.tls_timeout_seconds)
            await speak(stream, settings, "localhost", attempt)


async def _connect(check: Check[UnixSettings], settings: UnixSettings, attempt: Attempt) -> Stream:
    connecting = open_unix_stream(check.target, timeout_seconds=settings.connect_timeout_seconds)
    return await (connect_in_time(connecting, attempt) if about_connecting(check.expectations) else connecting)


def _validate_target(target: str, settings: CheckSettings) -> str:
    if not target.startswith(("/", "@")) or len(target) < 2:
        raise ValueError("is not the path of a socket; it begins with /, an abstract name with @")
    if len(target.encode()) > MAX_PATH_BYTES:
        raise ValueError(f"is longer than {MAX_PATH_BYTES} bytes, the most that the path of a socket may have")
    return target


def _fit_expectation(expectation: Expectation, settings: CheckSettings) -> Expectation:
    own = cast("UnixSettings", settings)
    return fit_to_dialogue(expectation, own, says_anything=own.tls or own.is_spoken)


UNIX = CheckType(
    name="unix",
    description="Connects to a Unix socket, with TLS if configured, and can hold a dialogue",
    executor=lambda context: UnixCheckExecutor(),
    settings=UnixSettings,
    metrics=(PHASES, *DIALOGUE_METRICS, *TLS_METRICS),
    subjects=(*CONNECTED_SUBJECTS, *DIALOGUE_SUBJECTS, *TLS_SUBJECTS),
    fit_expectation=_fit_expectation,
    validate_target=_validate_target,
)
