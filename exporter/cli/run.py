"""The command `run`: runs checks without a server and reports on them; the exit status shows whether one failed.

It runs them once, a number of times (`--repeat`), or until it is interrupted (`--watch`).
"""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING

from exporter.cli.outputs import write_repetitions, write_round
from exporter.cli.rounds import Rounds
from exporter.reports.repetition import Repetitions

if TYPE_CHECKING:
    from exporter.cli.options import Options
    from exporter.cli.program import Program


def run(program: Program, options: Options) -> int:
    """Run the checks and report on them.

    Returns:
        The exit status: 1 when a check failed outside maintenance, 0 otherwise. Of repeated runs, every round counts;
        of watched ones, the last.

    Raises:
        UnknownCheckNameError: When a name is not a configured check; nothing is run then.
        UnselectedError: When no check is selected.
        OSError: When a report cannot be written.
        KeyboardInterrupt: When it is interrupted before the first round is done.
    """
    if options.watch_seconds is not None:
        return _watch(program, options, options.watch_seconds)
    if options.repeat > 1:
        return _repeat(program, options)
    (finished,) = Rounds(program, options).run_each_time(1)
    write_round(finished, options, program.live_config.masks)
    return int(finished.failed)


def _repeat(program: Program, options: Options) -> int:
    repetitions = Repetitions()
    try:
        for finished in Rounds(program, options).run_each_time(options.repeat):
            repetitions.add(finished)
    finally:  # also when it is interrupted
        if repetitions.rounds:
            write_repetitions(repetitions, options, program.live_config.masks)
    return int(repetitions.failed)


def _watch(program: Program, options: Options, pause_seconds: float) -> int:
    failed = None
    try:
        for finished in Rounds(program, options).run_when_due():
            failed = finished.failed
            write_round(finished, options, program.live_config.masks)
            sleep(pause_seconds)
    except KeyboardInterrupt:
        if failed is None:
            raise
    return int(bool(failed))
