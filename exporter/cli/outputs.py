"""Writes the reports of `run`, in one or several formats, to the standard output and to files."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.cli.atomic_file import replace_file
from exporter.cli.flag_values import SHOWN_TABLE, Output
from exporter.quantities import seconds_text
from exporter.reports.explanation import explanation
from exporter.reports.github import github_report
from exporter.reports.json_report import json_repetitions, json_report
from exporter.reports.junit import junit_report
from exporter.reports.repetition import REPETITION_COLUMNS, repetition_rows
from exporter.reports.table import CHECK_COLUMNS, check_rows, print_table, redraw, table_text

if TYPE_CHECKING:
    from exporter.cli.options import Options
    from exporter.cli.rounds import PagedRound
    from exporter.masking import Mask
    from exporter.reports.finished import Round
    from exporter.reports.repetition import Repetitions

_TEXTFILE_MODE = 0o644
"""node_exporter usually runs as another user, which must be able to read the file."""


def destinations(options: Options) -> list[Output]:
    """Return the outputs, with the path of `--output.file` for a single one."""
    if options.output_file is None:
        return list(options.outputs)
    return [options.outputs[0]._replace(path=options.output_file)]


def write_round(finished: PagedRound, options: Options, mask: Mask) -> None:
    """Write the reports on a round; with `--watch`, the table is drawn anew.

    Raises:
        OSError: When a file cannot be written.
    """
    _write_textfile(finished, options)
    rows = check_rows(finished.checks)
    for output in destinations(options):
        if output != SHOWN_TABLE:
            write_output(output, _report(output.format, finished, options, mask))
        elif options.watch_seconds is not None:
            now, pause = datetime.now().astimezone(), seconds_text(options.watch_seconds)
            redraw(CHECK_COLUMNS, rows, f"{finished.summary}, at {now:%H:%M:%S}, again after {pause}")
        else:
            print_table(CHECK_COLUMNS, rows)
            sys.stdout.write(_below_the_table(finished, options, mask))


def write_repetitions(repetitions: Repetitions, options: Options, mask: Mask) -> None:
    """Write the reports on several rounds.

    Raises:
        OSError: When a file cannot be written.
    """
    rows = repetition_rows(repetitions.of_checks())
    for output in destinations(options):
        if output == SHOWN_TABLE:
            print_table(REPETITION_COLUMNS, rows)
            sys.stdout.write(f"{repetitions.summary}\n")
        elif output.format == "table":
            write_output(output, f"{table_text(REPETITION_COLUMNS, rows)}{repetitions.summary}\n")
        else:
            write_output(output, json_repetitions(repetitions, mask))


def _write_textfile(finished: PagedRound, options: Options) -> None:
    """Write the file for node_exporter's textfile collector: atomically, world-readable and without timestamps.

    Raises:
        OSError: When it cannot be written.
    """
    if options.textfile is not None:
        replace_file(Path(options.textfile), finished.page(), mode=_TEXTFILE_MODE)


def _report(report_format: str, finished: PagedRound, options: Options, mask: Mask) -> str | bytes:
    if report_format == "prometheus":
        return finished.page()
    if report_format == "json":
        return json_report(finished, mask)
    if report_format == "junit":
        return junit_report(finished, mask)
    if report_format == "github":
        return github_report(finished, mask)
    table = table_text(CHECK_COLUMNS, check_rows(finished.checks))
    return table + _below_the_table(finished, options, mask)


def _below_the_table(finished: Round, options: Options, mask: Mask) -> str:
    """Return the summary, and before it the details of the runs if they are requested."""
    if not options.verbose:
        return f"{finished.summary}\n"
    details = ("\n".join(explanation(each, mask)) for each in finished.checks)
    return "".join(f"\n{text}\n" for text in details) + f"\n{finished.summary}\n"


def write_output(output: Output, report: str | bytes) -> None:
    """Write a report to its file, or to the standard output.

    Raises:
        OSError: When it cannot be written.
    """
    if output.path is not None:
        replace_file(Path(output.path), report)
    elif isinstance(report, bytes) or output.format == "junit":
        # These formats are UTF-8, whatever the locale of the terminal
        sys.stdout.flush()
        sys.stdout.buffer.write(report if isinstance(report, bytes) else report.encode())
        sys.stdout.buffer.flush()
    else:
        sys.stdout.write(report)
