"""The certificates that a server presented, with their dates and how long they are valid, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from exporter.quantities import elapsed_text
from exporter.web.pages.words import day_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.model import CertificateFacts

_FEW_NAMES = 6
_SOON_SECONDS = 14 * 86400.0


class CertificateRow(NamedTuple):
    """One certificate of the chain.

    Attributes:
        subject: Its subject.
        issuer: Its issuer.
        names: The host names and addresses that it is valid for, the first few of them.
        more_names: How many further ones there are.
        validity: The days between which it is valid.
        left: How long it is still valid, or since when it is not, in words.
        css: The class that colours the words.
    """

    subject: str
    issuer: str
    names: Sequence[str]
    more_names: int
    validity: str
    left: str
    css: str


def certificate_rows(certificates: Sequence[CertificateFacts], now_seconds: float) -> list[CertificateRow]:
    """Return a row for each certificate, in the order in which the server sent them."""
    return [_row(certificate, now_seconds) for certificate in certificates]


def _row(certificate: CertificateFacts, now_seconds: float) -> CertificateRow:
    begin, end = certificate.not_before_timestamp_seconds, certificate.not_after_timestamp_seconds
    names = (*certificate.names, *certificate.addresses)
    left, css = _validity_left(begin, end, now_seconds)
    validity = "" if begin is None or end is None else f"{day_text(begin)} to {day_text(end)}"
    return CertificateRow(
        subject=certificate.subject or "no subject",
        issuer=certificate.issuer or "no issuer",
        names=names[:_FEW_NAMES],
        more_names=max(0, len(names) - _FEW_NAMES),
        validity=validity,
        left=left,
        css=css,
    )


def _validity_left(begin: float | None, end: float | None, now_seconds: float) -> tuple[str, str]:
    if begin is None or end is None:
        return "cannot be read", "failing"
    if now_seconds < begin:
        return f"valid in {elapsed_text(begin - now_seconds)}", "failing"
    if now_seconds > end:
        return f"expired {elapsed_text(now_seconds - end)} ago", "failing"
    return f"{_left_text(end - now_seconds)} left", "ok" if end - now_seconds > _SOON_SECONDS else "degraded"


def _left_text(seconds: float) -> str:
    days = int(seconds // 86400)
    return f"{days} days" if days > 1 else elapsed_text(seconds)
