"""Converts host names to the one ASCII form used in DNS, Host, SNI, certificates and settings.

Every check type and every setting reads names through this module, so that a name means the same host everywhere.
Source: UTS #46 section 4, non-transitional, as browsers and curl apply it: CheckBidi and CheckJoiners are on; hyphens,
underscores and symbols such as emoji are left to the operator of the name's zone. Labels that are already ASCII stay
as they are, A-labels included, even where IDNA 2008 would reject them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import idna

_MAX_LABEL_OCTETS, _MAX_NAME_OCTETS = 63, 253  # RFC 1035 section 2.3.4, without lengths and root
_MAX_READ_CHARACTERS = 1024
_SHOWN_CHARACTERS = 20
_CACHED_NAMES = 8192
_NOT_IN_HOSTS = re.compile(r"[^a-z0-9_.-]")
_BLANK = re.compile(r"\s")
_JOINERS = "\u200c\u200d"
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))


@lru_cache(maxsize=_CACHED_NAMES)
def host_name(text: str) -> str:
    """Return the lower-case ASCII form of a host name; a final dot stays, because it disables search domains.

    Raises:
        ValueError: When it is not a host name; the message completes a sentence about the text.
    """
    name = ascii_name(text)
    wrong = _NOT_IN_HOSTS.search(name)
    if wrong is not None:
        raise _refusal(f"it contains {wrong[0]!r}")
    return name


def ascii_name(text: str) -> str:
    """Return the lower-case ASCII form of any DNS name; a final dot stays. Any ASCII but whitespace is accepted.

    Raises:
        ValueError: When the name has no such form; the message completes a sentence about the text.
    """
    if len(text) > _MAX_READ_CHARACTERS:
        raise _refusal(f"it has {len(text)} characters, and {_MAX_NAME_OCTETS} are allowed")
    name = text.lower() if text.isascii() else _mapped(text)
    if _BLANK.search(name):
        raise _refusal("it contains whitespace")
    bare = name.removesuffix(".")
    if not bare:
        raise _refusal("it is empty")
    for label in bare.split("."):
        if not label:
            raise _refusal("it has an empty label")
        if len(label) > _MAX_LABEL_OCTETS:
            shown = f"{label[:_SHOWN_CHARACTERS]}…"
            raise _refusal(f"its label {shown} has {len(label)} characters, and {_MAX_LABEL_OCTETS} are allowed")
    if len(bare) > _MAX_NAME_OCTETS:
        raise _refusal(f"it has {len(bare)} characters, and {_MAX_NAME_OCTETS} are allowed")
    return name


def _refusal(why: str) -> ValueError:
    return ValueError(f"is not a host name: {why}")


def _mapped(text: str) -> str:
    """Map a name with non-ASCII characters and convert its labels to A-labels where needed."""
    try:
        mapped = idna.uts46_remap(text, std3_rules=False)
    except idna.IDNAError:
        wrong = next((character for character in text if not _can_be_mapped(character)), text[0])
        raise _refusal(f"it contains U+{ord(wrong):04X}, which is not allowed in names") from None
    return ".".join(label if label.isascii() else _a_label(label) for label in mapped.split("."))


def _can_be_mapped(character: str) -> bool:
    try:
        idna.uts46_remap(character, std3_rules=False)
    except idna.IDNAError:
        return False
    return True


def _a_label(label: str) -> str:
    """Return the A-label of a mapped label, applying the validity criteria of UTS #46 section 4.1."""
    if label.startswith("xn--"):
        raise _refusal("it has a label that begins with xn-- and is not ASCII")
    if unicodedata.category(label[0]).startswith("M"):
        raise _refusal(f"it has a label that begins with the combining mark U+{ord(label[0]):04X}")
    for position, character in enumerate(label):
        if character in _JOINERS and not _may_join(label, position):
            raise _refusal(f"it contains U+{ord(character):04X} where nothing can be joined")
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in label):
        try:
            idna.check_bidi(label)
        except idna.IDNAError:
            raise _refusal("it has a label that mixes directions of writing (RFC 5893)") from None
    return f"xn--{label.encode('punycode').decode('ascii')}"


def _may_join(label: str, position: int) -> bool:
    try:
        return idna.valid_contextj(label, position)
    except ValueError:  # an adjacent character unknown to this Python's Unicode version
        return False
