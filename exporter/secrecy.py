"""Defines what counts as secret: texts that came from references, and names that indicate a credential.

Other modules act on it: the configuration masks secrets, and checks send them only where they are meant to go.
"""

from __future__ import annotations

import re
from typing import Self

MASK = "<secret>"
"""The text shown instead of a secret."""

SECRET_TEXTS = "exporter.secret_texts"  # noqa: S105 - the name of a key
"""Key in pydantic's validation context for the texts of a document that came from references."""

_CREDENTIAL_NAME = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie"
    r"|.*(?:api[-_]?key|token|password|passwd|passphrase|secret|credential|jwt|session[-_]?id|csrf|xsrf).*"
    r"|.*(?:access|private|auth|subscription|function|functions|license|shared|signing|app|account|master)[-_]?key"
    r"|(?:.*-)?(?:auth|authentication|signature|bearer)",
    re.IGNORECASE,
)


class SecretText(str):
    """A text that came from a reference, wholly or in part.

    Attributes:
        shown: The text with `<secret>` in place of the reference.
    """

    __slots__ = ("shown",)
    shown: str

    def __new__(cls, text: str, shown: str = MASK) -> Self:
        """Make a text that is shown as another text."""
        made = super().__new__(cls, text)
        made.shown = shown
        return made

    def __repr__(self) -> str:
        return repr(self.shown)


def is_credential_name(name: str) -> bool:
    """Return whether a header field or key of this name holds a credential, whatever the schema says about it."""
    return _CREDENTIAL_NAME.fullmatch(name) is not None


def secret_texts(value: object) -> frozenset[str]:
    """Return every text in a plain value, at any depth, that came from a reference."""
    if isinstance(value, SecretText):
        return frozenset((str(value),))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return frozenset().union(*map(secret_texts, inner))
