"""What counts as secret: texts that came out of references, and names that say what they hold.

Below everything that acts on it: the configuration masks what is secret, checks hand it to nobody it is not meant for.
"""

from __future__ import annotations

import re
from typing import Self

MASK = "<secret>"
"""Shown instead of a secret."""

SECRET_TEXTS = "exporter.secret_texts"  # noqa: S105 - the name of a key
"""Key of pydantic's validation context that holds the texts of a document that came out of references."""

_CREDENTIAL_NAME = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie"
    r"|.*(?:api[-_]?key|token|password|passwd|passphrase|secret|credential|jwt|session[-_]?id|csrf|xsrf).*"
    r"|.*(?:access|private|auth|subscription|function|functions|license|shared|signing|app|account|master)[-_]?key"
    r"|(?:.*-)?(?:auth|authentication|signature|bearer)",
    re.IGNORECASE,
)


class SecretText(str):
    """A text that came out of a reference, wholly or in part.

    Attributes:
        shown: The text with `<secret>` where the reference stood.
    """

    __slots__ = ("shown",)
    shown: str

    def __new__(cls, text: str, shown: str = MASK) -> Self:
        """Make a text that is shown as another."""
        made = super().__new__(cls, text)
        made.shown = shown
        return made

    def __repr__(self) -> str:
        return repr(self.shown)


def is_credential_name(name: str) -> bool:
    """Return whether a header field or key of this name carries a credential, whatever the schema says about it."""
    return _CREDENTIAL_NAME.fullmatch(name) is not None


def secret_texts(value: object) -> frozenset[str]:
    """Return every text in a plain value, however deep, that came out of a reference."""
    if isinstance(value, SecretText):
        return frozenset((str(value),))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return frozenset().union(*map(secret_texts, inner))
