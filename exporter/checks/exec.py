"""Type `exec`: runs a monitoring plugin, as Nagios does, and judges its exit status and performance data.

The program is started directly, without a shell, and does not inherit the environment. A configuration may use this
type only where the command line allows it, because anyone who can write the file could then run programs.
"""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import StringConstraints, model_validator

from exporter.child_process import ChildProcesses
from exporter.model import leaves
from exporter.nagios import STATES, PluginOutput, read_output
from exporter.net.file_access import FileAccess
from exporter.plugin import (
    PROBE_VALUE,
    CheckFailed,
    CheckSettings,
    CheckType,
    Field,
    MetricSpec,
    Reason,
    Result,
    ResultStatus,
    SelectorKind,
    SingleLine,
    Size,
    Subject,
    ValueKind,
    current_attempt,
    phase_durations,
    record_value,
)
from exporter.settings import SecretiveLine

if TYPE_CHECKING:
    from exporter.child_process import CompletedProgram
    from exporter.plugin import Attempt, BatchContext, Check

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_MAX_OUTPUT_BYTES = 1024 * 1024
_SHOWN_CHARACTERS = 300

Argument = Annotated[SecretiveLine, StringConstraints(max_length=4096)]

PHASES = phase_durations(
    "exec",
    ("run",),
    "Seconds that the program ran, its start included; 0 when it was not started",
)
EXIT_STATUS = MetricSpec(
    name="probe_exec_exit_status",
    help="Exit status of the program: 0 ok, 1 warning, 2 critical, 3 unknown; -1 when it did not exit by itself",
    defaults=(((), -1.0),),
)

_EXIT_STATUS = Subject(
    name="exit_status",
    kind=ValueKind.NUMBER,
    description="Exit status of the program; without an expectation, 1 is a warning and everything above an error",
    reason=Reason.STATUS,
    bounds=(0, 255),
)
_OUTPUT = Subject(name="output", kind=ValueKind.TEXT, description="What the program printed")
_VALUE = Subject(
    name="value",
    kind=ValueKind.NUMBER,
    description="A value of the performance data, named by its label: times in seconds, sizes in bytes",
    selector=SelectorKind.TEXT,
)


class ExecSettings(CheckSettings):
    """Settings of type `exec`."""

    command: tuple[Argument, ...] = Field(
        min_length=1, max_length=100, description="Program and arguments, a list; no shell reads them"
    )
    environment: dict[SingleLine, SecretiveLine] = Field(
        default={}, description="Environment variables besides PATH and LANG; no others are passed on"
    )
    working_directory: SingleLine = Field(default="/", description="Where the program runs")
    output_limit: Size = Field(
        default=65536, ge=1, le=_MAX_OUTPUT_BYTES, description="How much of the output is kept; the rest is dropped"
    )

    @model_validator(mode="after")
    def _find_program(self) -> Self:
        program = self.command[0]
        if "/" in program and not program.startswith("/"):
            raise ValueError("needs the absolute path of a program in command, or a name that is found in PATH")
        if shutil.which(program, path=self.variables["PATH"]) is None:
            raise ValueError("has no program in command that exists and can be run")
        if not os.path.isdir(self.working_directory):  # noqa: PTH112 - the text is not needed as a path
            raise ValueError("has a working_directory that is not a directory")
        return self

    @property
    def variables(self) -> dict[str, str]:
        """All environment variables of the program."""
        return {**_ENVIRONMENT, **self.environment}


class ExecCheckExecutor:
    """Runs the programs of its batch; lives as long as the batch."""

    def __init__(self, context: BatchContext) -> None:
        self._files = FileAccess() if context.network is None else context.network.files
        self._processes = ChildProcesses()

    async def execute(self, check: Check[ExecSettings]) -> Result:
        """Run the program and return the result."""
        attempt = current_attempt()
        with attempt.phase("run"):
            await self._check_readable(check.settings, attempt)
            ended = await self._run(check.settings)
        text = ended.output.decode("utf-8", errors="replace")
        output = read_output(text)
        _report(ended, text, output, attempt)
        if any(one.subject is _EXIT_STATUS for one in leaves(check.expectations)):
            return check.passed
        return _judge(check, ended.exit_status, output.summary[:_SHOWN_CHARACTERS])

    async def aclose(self) -> None:
        """Wait until killed programs have been reaped."""
        await self._processes.aclose()

    async def _check_readable(self, settings: ExecSettings, attempt: Attempt) -> None:
        """Read the first byte of the program: starting a program from a dead mount would block the whole process.

        Raises:
            CheckFailed: With reason `local` when the program or its directory cannot be accessed in time.
        """
        program = settings.command[0]
        for path in (program, settings.working_directory) if "/" in program else (settings.working_directory,):
            await self._files.result(("exec", path), path, partial(_touch, path), attempt=attempt)

    async def _run(self, settings: ExecSettings) -> CompletedProgram:
        try:
            ended = await self._processes.run(
                settings.command,
                environment=settings.variables,
                directory=settings.working_directory,
                limit_bytes=settings.output_limit,
            )
        except OSError as error:
            raise _not_started(error) from error
        if ended.exit_status < 0:
            raise CheckFailed(Reason.PROTOCOL, f"the program was killed by {_signal_name(-ended.exit_status)}")
        return ended


def _touch(path: str) -> None:
    """Access a file or directory; missing permission to read it is no failure, as it may still be executable.

    Raises:
        CheckFailed: With reason `local` when it does not exist.
    """
    try:
        os.stat(path)  # noqa: PTH116 - the text is not needed as a path
        with suppress(PermissionError, IsADirectoryError), open(path, "rb") as file:  # noqa: PTH123 - likewise
            file.read(1)
    except OSError as error:
        raise _not_started(error) from error


def _not_started(error: OSError) -> CheckFailed:
    return CheckFailed(Reason.LOCAL, f"the program could not be started: {os.strerror(error.errno or 0).lower()}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _report(ended: CompletedProgram, text: str, output: PluginOutput, attempt: Attempt) -> None:
    """Record the exit status and the output of the program."""
    attempt.measure(EXIT_STATUS, ended.exit_status)
    for label, number in output.values.items():
        record_value(attempt, label, number)
    attempt.observe(
        {
            _EXIT_STATUS.name: ended.exit_status,
            _OUTPUT.name: text,
            _VALUE.name: lambda label: output.values.get(str(label)),
        }
    )
    attempt.note("exited", exit_status=ended.exit_status, summary=output.summary[:_SHOWN_CHARACTERS])
    if ended.errors:
        errors = ended.errors[: 4 * _SHOWN_CHARACTERS].decode("utf-8", errors="replace")
        attempt.note("printed to standard error", text=errors[:_SHOWN_CHARACTERS])


def _judge(check: Check[ExecSettings], exit_status: int, summary: str) -> Result:
    """Return the result that an exit status of a monitoring plugin means."""
    if exit_status == 0:
        return check.passed
    if exit_status >= len(STATES):
        detail = f"the program exited with {exit_status}, which is not defined: {summary or 'no output'}"
        return check.failed(Reason.PROTOCOL, detail)
    status = ResultStatus.WARNING if STATES[exit_status] == "warning" else ResultStatus.ERROR
    detail = f"the program exited with {exit_status} ({STATES[exit_status]}): {summary or 'no output'}"
    return Result(check_name=check.name, status=status, reason=Reason.STATUS, detail=detail)


EXEC = CheckType(
    name="exec",
    description="Runs a monitoring plugin, as Nagios does; needs --enable-exec",
    executor=ExecCheckExecutor,
    settings=ExecSettings,
    phases=PHASES,
    metrics=(EXIT_STATUS, PROBE_VALUE),
    subjects=(_EXIT_STATUS, _VALUE, _OUTPUT),
    runs_programs=True,
)
