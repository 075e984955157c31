"""What the tests of the mail types share: run one check as a user writes it, and show all that the exporter shows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.checks.imap import IMAP
from exporter.checks.mail_roundtrip import MAIL_ROUNDTRIP
from exporter.checks.pop3 import POP3
from exporter.checks.smtp import SMTP
from exporter.config import parse_config
from tests.checks.running import warm_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.model import Reason, Result, ResultStatus

    RunCheck = Callable[..., Result]

MAIL_TYPES = {one.name: one for one in (SMTP, IMAP, POP3, MAIL_ROUNDTRIP)}


@contextmanager
def mail_runner() -> Iterator[RunCheck]:
    """Return a function that runs a check of a mail type: its target, its other keys in YAML, and its timeout."""
    with warm_runner(*MAIL_TYPES.values()) as runner:

        def run_one(check_type: str, target: str, keys: str = "", timeout: str = "30s") -> Result:
            text = f'checks: [{{name: it, type: {check_type}, target: "{target}", timeout: {timeout}, {keys}}}]'
            results: list[Result] = []
            runner.run_all(parse_config(text, "checks.yml", MAIL_TYPES).checks, results.append)
            return results[0]

        yield run_one


def outcome(result: Result) -> tuple[ResultStatus, Reason | None, str]:
    """Verdict, reason and detail of a result."""
    return result.status, result.reason, result.detail


def logged(result: Result) -> str:
    """The log of a run as text."""
    return "\n".join(f"{line.message} {dict(line.fields)}" for line in result.log)
