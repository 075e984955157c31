"""Subjects that several mail types share, and expectations about them that the settings rule out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.mail.settings import MailServerSettings
from exporter.model import Reason, Subject, ValueKind
from exporter.net.tls.subjects import TLS_SUBJECTS

if TYPE_CHECKING:
    from exporter.model import Expectation
    from exporter.settings import CheckSettings

CODE = Subject(
    name="code",
    kind=ValueKind.STATUS,
    description="Code of the server's last reply before QUIT, such as 250; 4xx is a temporary refusal",
    reason=Reason.STATUS,
)
CAPABILITIES = Subject(
    name="capabilities",
    kind=ValueKind.TEXTS,
    description="What the server announces under TLS, in upper case, such as `AUTH PLAIN LOGIN` or IDLE",
)
MESSAGES = Subject(name="messages", kind=ValueKind.NUMBER, description="Messages in the mailbox")
MATCHED = Subject(name="matched", kind=ValueKind.NUMBER, description="Messages that match the search; without one, all")
NEWEST_AGE = Subject(
    name="newest_age",
    kind=ValueKind.DURATION,
    description="How long ago the newest message that matches arrived; missing when none matches",
)
MAILBOX_SUBJECTS = (MESSAGES, MATCHED, NEWEST_AGE)
"""Subjects of the types that look into a mailbox."""

_MET_BY_NOTHING = frozenset(("ne", "not_matches", "not_all_match", "none_of", "exists"))


def fit_mail_expectation(expectation: Expectation, settings: CheckSettings) -> Expectation:
    """Return an expectation unchanged.

    Raises:
        ValueError: When it can never be met with these settings.
    """
    if not isinstance(settings, MailServerSettings) or expectation.operator in _MET_BY_NOTHING:
        return expectation
    if expectation.subject in TLS_SUBJECTS and settings.tls == "none":
        raise ValueError("can never be met with tls: none")
    if expectation.subject in MAILBOX_SUBJECTS and settings.username is None:
        raise ValueError("can never be met without username and password")
    return expectation
