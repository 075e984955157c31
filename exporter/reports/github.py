"""Workflow commands of GitHub Actions, which become annotations at the lines of the files.

Source: "Workflow commands for GitHub Actions" in GitHub's documentation. A command is one line,
`::error file=PATH,line=N,title=TITLE::MESSAGE`; what would end the message, a property or the line is percent-encoded.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from exporter.model import ResultStatus
from exporter.reports.finished import State
from exporter.reports.repository import path_in_repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.masking import Mask
    from exporter.reports.finished import FinishedCheck, Round

Level = Literal["error", "warning", "notice"]

_IN_MESSAGE = {ord("%"): "%25", ord("\r"): "%0D", ord("\n"): "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ord(":"): "%3A", ord(","): "%2C"}


def workflow_command(
    level: Level,
    message: str,
    *,
    title: str = "",
    file: str = "",
    line: int = 0,
    column: int = 0,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Return one command, with its line feed.

    Args:
        level: The kind of annotation.
        message: Its text.
        title: Its heading; empty for the kind.
        file: The file it belongs to, relative to the working directory; empty for none.
        line: The line in it, from 1; 0 for none.
        column: The column, from 1; 0 for none.
        environment: Where GITHUB_WORKSPACE says where the repository is, to which annotations are relative.
    """
    given = {
        "file": path_in_repository(file, environment) if file else "",
        "line": str(line) if file and line else "",
        "col": str(column) if file and line and column else "",
        "title": title,
    }
    properties = ",".join(f"{name}={value.translate(_IN_PROPERTY)}" for name, value in given.items() if value)
    return f"::{level}{' ' if properties else ''}{properties}::{message.translate(_IN_MESSAGE)}\n"


def github_report(finished: Round, mask: Mask) -> str:
    """Return an annotation for each check that is not ok, at its line, and the summary.

    A check that makes the round fail is an error, another one that is not ok a warning, one in maintenance a notice.
    """
    commands = [
        _annotation(each, finished, mask) for each in finished.checks if each.result.status is not ResultStatus.OK
    ]
    return "".join(commands) + f"{finished.summary}\n"


def _annotation(finished: FinishedCheck, in_round: Round, mask: Mask) -> str:
    level: Level = "error" if finished.fails(in_round.fail_on) else "warning"
    in_maintenance = finished.state is State.MAINTENANCE
    place = finished.place
    return workflow_command(
        "notice" if in_maintenance else level,
        f"{finished.why} ({mask(finished.check.shown_target)})",
        title=f"{finished.check.name} is {'in maintenance' if in_maintenance else finished.state}",
        file=place.file if place else "",
        line=place.line if place else 0,
        column=place.column if place else 0,
    )
