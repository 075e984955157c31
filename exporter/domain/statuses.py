"""Status codes of domains, as EPP names them, and how RDAP and WHOIS spell them.

Sources: RFC 5731 section 2.3, RFC 3915 section 3.1 (grace periods), RFC 8056 (RDAP).
"""

from __future__ import annotations

import re

_PROHIBITED = tuple(f"{what}Prohibited" for what in ("Delete", "Renew", "Transfer", "Update"))

EPP_STATUSES = (
    "ok",
    "inactive",
    *(f"{whose}{what}" for whose in ("client", "server") for what in ("Hold", *_PROHIBITED)),
    *(f"pending{what}" for what in ("Create", "Delete", "Renew", "Restore", "Transfer", "Update")),
    *(f"{what}Period" for what in ("add", "autoRenew", "renew", "transfer", "redemption")),
)
"""Every status that a domain can have."""

OUT_OF_SERVICE = ("clientHold", "serverHold", "redemptionPeriod", "pendingRestore", "pendingDelete")
"""Those with which a domain is not in the zone, or is about to be deleted."""

_LETTERS = re.compile(r"[^a-z]+")
_BY_LETTERS = {status.lower(): status for status in EPP_STATUSES} | {"active": "ok"}


def epp_status(text: str) -> str | None:
    """Return the EPP name of a status in any spelling, such as `client transfer prohibited`; None for another one."""
    return _BY_LETTERS.get(_LETTERS.sub("", text.lower()))


def spelled_status(text: str) -> str:
    """Return the EPP name of a status that a configuration names.

    Raises:
        ValueError: When there is no such status.
    """
    status = epp_status(text)
    if status is None:
        raise ValueError(f"is not a status of a domain; write {', '.join(EPP_STATUSES)}")
    return status
