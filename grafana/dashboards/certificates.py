"""The certificates dashboard: when they expire, whether they are verified, and the negotiated TLS parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana import scales
from grafana.board import Board, Row
from grafana.columns import CHECK, DAYS_LEFT, TO_CHECK
from grafana.panels import Look, Query, curves, now, numbers, ranking, states
from grafana.queries import (
    CHAIN_EXPIRY,
    EARLIEST_EXPIRY,
    IDENTITY,
    days_left,
    highest,
    lowest,
    lowest_missing_none,
    selected,
)
from grafana.tables import Column, table
from grafana.variables import OF_NYXMON, alerts, changes, maintenance, of_checks

if TYPE_CHECKING:
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.models.dashboard import Panel


def board() -> Board:
    """Return the dashboard."""
    return Board(
        name="certificates",
        title="Nyxmon / Certificates",
        text="The certificates of all targets, also of those that were rejected: expiry, verification, TLS versions.",
        variables=of_checks(EARLIEST_EXPIRY),
        annotations=[alerts(*OF_NYXMON, 'check=~"$check"'), maintenance(), *changes()],
        rows=[Row("", [*_counts(), *_doubts(), _certificates(), *_history()])],
    )


def certificate_columns() -> list[Column]:
    """Return the columns of a table of certificates; the first three identify the check."""
    names = "subject, issuer, subjectalternative, serialnumber, fingerprint_sha256"
    return [
        CHECK,
        Column(title="Type", label="check_type", width=80),
        Column(title="Target", label="target"),
        Column(title="Expires in", expression=days_left(IDENTITY), look=DAYS_LEFT, width=90),
        Column(
            title="Expires at",
            expression=f"{lowest(EARLIEST_EXPIRY, IDENTITY)} * 1000",
            look=Look(unit=scales.MOMENT),
            width=150,
        ),
        Column(title="Chain expires in", expression=days_left(IDENTITY, CHAIN_EXPIRY), look=DAYS_LEFT, width=120),
        Column(
            title="Verified",
            expression=lowest("probe_tls_verified", IDENTITY),
            look=Look(words=scales.VERIFIED),
            filled=True,
            width=100,
        ),
        Column(
            title="TLS", label="version", expression=highest("probe_tls_version_info", f"{IDENTITY}, version"), width=80
        ),
        Column(
            title="Cipher suite", label="cipher", expression=highest("probe_tls_cipher_info", f"{IDENTITY}, cipher")
        ),
        Column(
            title="Subject", label="subject", expression=highest("probe_ssl_last_chain_info", f"{IDENTITY}, {names}")
        ),
        Column(title="Issuer", label="issuer"),
        Column(title="Names", label="subjectalternative"),
        Column(title="Serial number", label="serialnumber"),
        Column(title="SHA-256", label="fingerprint_sha256"),
    ]


def _counts() -> list[Builder[Panel]]:
    left = days_left()
    return [
        numbers("Certificates", "Checks whose target presents a certificate.", now(f"count({left})"), (4, 4), Look()),
        numbers(
            "Expired",
            "Checks whose target presents an expired certificate.",
            now(f"sum({left} <= bool 0)"),
            (4, 4),
            Look(steps=scales.NONE_IS_GOOD),
        ),
        numbers(
            "Within 7 days",
            "Checks with a certificate that expires within 7 days, expired ones included.",
            now(f"sum({left} < bool 7)"),
            (4, 4),
            Look(steps=scales.NONE_IS_GOOD),
        ),
        numbers(
            "Within 21 days",
            "Checks with a certificate that expires within 21 days, expired ones included.",
            now(f"sum({left} < bool 21)"),
            (4, 4),
            Look(steps=scales.NONE_IS_FAIR),
        ),
    ]


def _doubts() -> list[Builder[Panel]]:
    replaced = (
        f"count by (check, fingerprint_sha256) (last_over_time({selected('probe_ssl_last_chain_info')}[$__range]))"
    )
    return [
        numbers(
            "Not verified",
            "Checks whose target's certificate was rejected, or not looked at because the check asks for that.",
            now(f"sum({lowest('probe_tls_verified')} == bool 0)"),
            (4, 4),
            Look(steps=scales.NONE_IS_FAIR),
        ),
        numbers(
            "Several certificates",
            "Checks whose target presented more than one certificate in the time range: it was replaced, or servers"
            " differ.",
            now(f"sum(count by (check) ({replaced}) > bool 1)"),
            (4, 4),
            Look(),
        ),
    ]


def _certificates() -> Builder[Panel]:
    return table(
        "Certificates",
        "What each target presented the last time; the first of its certificates to expire counts. The name leads to"
        " all about the check.",
        certificate_columns(),
        (24, 12),
        sort="Expires in",
    )


def _history() -> list[Builder[Panel]]:
    return [
        ranking(
            "Expire first",
            "The twenty checks with the fewest days left.",
            now(f"bottomk(20, {days_left()})", "{{check}}"),
            (8, 10),
            Look(unit=scales.DAYS, decimals=0, steps=scales.DAYS_LEFT, least=0, links=TO_CHECK),
        ),
        curves(
            "Days left",
            "Days until the first presented certificate expires. A line that jumps up is a renewal.",
            [Query(days_left(), "{{check}}")],
            (8, 10),
            Look(unit=scales.DAYS, links=TO_CHECK),
        ),
        states(
            "Verified",
            "Whether chain and host name of the certificate were verified. A step shows the worst it contains.",
            [Query(lowest_missing_none("probe_tls_verified"), "{{check}}")],
            (8, 10),
            Look(words=scales.VERIFIED, links=TO_CHECK),
        ),
        curves(
            "TLS versions",
            "How many checks agreed on each version of TLS.",
            [Query(f"count by (version) ({highest('probe_tls_version_info', 'check, version')})", "{{version}}")],
            (12, 8),
            Look(decimals=0),
            stacked=True,
        ),
        curves(
            "Cipher suites",
            "How many checks agreed on each cipher suite.",
            [Query(f"count by (cipher) ({highest('probe_tls_cipher_info', 'check, cipher')})", "{{cipher}}")],
            (12, 8),
            Look(decimals=0),
            stacked=True,
        ),
    ]
