"""Shared by the tests of the mail types: runs a check as a user writes it, and collects all that the exporter shows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.checks.imap import IMAP
from exporter.checks.mail_roundtrip import MAIL_ROUNDTRIP
from exporter.checks.pop3 import POP3
from exporter.checks.smtp import SMTP
from tests.checks.running import run_as_written, warm_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.model import Result

    RunCheck = Callable[..., Result]

MAIL_TYPES = {one.name: one for one in (SMTP, IMAP, POP3, MAIL_ROUNDTRIP)}


@contextmanager
def mail_runner() -> Iterator[RunCheck]:
    """Return a function that runs a check of a mail type: its target, its other keys in YAML, and its timeout."""
    with warm_runner(*MAIL_TYPES.values()) as runner:

        def run_one(check_type: str, target: str, keys: str = "", timeout: str = "30s") -> Result:
            return run_as_written(runner, MAIL_TYPES[check_type], target, keys, timeout)

        yield run_one


def logged(result: Result) -> str:
    """The log of a run as text."""
    return "\n".join(f"{line.message} {dict(line.fields)}" for line in result.log)
