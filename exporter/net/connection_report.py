"""What an attempt records about a connection it made, or tried to make: metrics, phases and observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.net.connection_facts import (
    ADDRESS_SUBJECTS,
    RESOLUTION_METRICS,
    address_observations,
    resolution_measurements,
)
from exporter.net.tls.certificates import TLS_METRICS, tls_measurements
from exporter.net.tls.subjects import TLS_SUBJECTS, tls_observations

if TYPE_CHECKING:
    from exporter.net.connection_facts import ConnectionFacts

CONNECTION_METRICS = (*RESOLUTION_METRICS, *TLS_METRICS)
"""Metric families of every check type that opens connections with TLS."""

CONNECTION_SUBJECTS = (*ADDRESS_SUBJECTS, *TLS_SUBJECTS)
"""Subjects of every check type that opens connections with TLS."""


def report_connection(facts: ConnectionFacts) -> None:
    """Record in its attempt what is known about a connection, however far it got.

    Args:
        facts: What is known; called once, when the connection is ready or has failed.
    """
    attempt = facts.attempt
    attempt.measure_all(resolution_measurements(facts))
    attempt.observe(address_observations(facts))
    attempt.add_phase("resolve", facts.resolve_seconds)
    attempt.add_phase("connect", facts.connect_seconds)
    attempt.add_phase("tls", facts.tls_seconds)
    report_tls(facts)


def report_tls(facts: ConnectionFacts) -> None:
    """Record in its attempt what is known about the handshake of a connection, successful or refused."""
    if facts.tls is not None:
        facts.attempt.measure_all(tls_measurements(facts.tls))
        facts.attempt.observe(tls_observations(facts.tls))
        facts.attempt.certificates = facts.tls.presented
