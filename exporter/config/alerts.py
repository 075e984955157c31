"""The key `alert` of a check: when it alerts, how severe the alert is, and what to do about it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from exporter.config.common_keys import LabelName  # noqa: TC001 - pydantic reads the annotation when the class is made
from exporter.config.problems import Fault, Location, quoted
from exporter.config.validation import validate
from exporter.model import AlertPolicy, AlertSeverity, AlertTerms
from exporter.secrecy import SecretText
from exporter.settings import Duration, PositiveDuration, SettingsModel, SingleLine

_MOST_SUMMARY_CHARACTERS = 200


def _check_web_url(text: str) -> str:
    """Return the URL unchanged if a browser can follow it.

    Raises:
        ValueError: When it is not a URL, or would show a password to everyone who gets the alert.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    if not is_whole or any(character.isspace() for character in text):
        raise ValueError("is not a URL; write it whole, such as https://wiki.example/shop")
    if "@" in parts.netloc:
        raise ValueError("contains a user name or password, which everyone who gets the alert would see")
    return text


WebUrl = Annotated[SingleLine, AfterValidator(_check_web_url)]
"""A URL for people to follow."""

Summary = Annotated[SingleLine, Field(min_length=1, max_length=_MOST_SUMMARY_CHARACTERS)]
"""One line for people."""


class DegradedKeys(SettingsModel):
    """The keys of `alert.degraded`."""

    for_seconds: Duration = Field(default=600.0, alias="for", description="How long it must be degraded")
    severity: AlertSeverity = Field(default=AlertSeverity.WARNING, description="The label severity of the alert")
    runbook: WebUrl | None = Field(default=None, description="URL of the instructions; by default that of alert")
    dashboard: WebUrl | None = Field(default=None, description="URL of the dashboard; by default that of alert")
    summary: Summary | None = Field(default=None, description="One line that describes the problem")


class CertificateKeys(SettingsModel):
    """The keys of `alert.certificate`."""

    critical: PositiveDuration | None = Field(default=None, description="Less time left than this is critical")
    warning: PositiveDuration | None = Field(default=None, description="Less time left than this is a warning")
    info: PositiveDuration | None = Field(default=None, description="Less time left than this is worth a note")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        given = self.seconds_left()
        if not given:
            raise ValueError(f"needs a time for one of {', '.join(AlertSeverity)}, such as warning: 14d")
        if list(given.values()) != sorted(set(given.values())):
            raise ValueError("must leave more time the less severe the alert is, such as warning: 14d, critical: 3d")
        return self

    def seconds_left(self) -> dict[AlertSeverity, float]:
        """Return the times that are set, in seconds, most severe first."""
        times = ((severity, getattr(self, severity)) for severity in AlertSeverity)
        return {severity: seconds for severity, seconds in times if seconds is not None}


class AlertKeys(SettingsModel):
    """The keys of `alert`."""

    for_seconds: Duration = Field(default=120.0, alias="for", description="How long the check must fail")
    severity: AlertSeverity = Field(default=AlertSeverity.CRITICAL, description="The label severity of the alert")
    runbook: WebUrl | None = Field(default=None, description="URL of the instructions")
    dashboard: WebUrl | None = Field(default=None, description="URL of the dashboard to look at")
    summary: Summary | None = Field(default=None, description="One line that describes the problem")
    labels: dict[LabelName, SingleLine] = Field(
        default_factory=dict, description="Labels of the alerts, in addition to those of the check"
    )
    degraded: DegradedKeys | None = Field(
        default=None,
        description="The same keys for a degraded check: for (10m), severity (warning), runbook, dashboard, summary",
    )
    certificate: CertificateKeys | None = Field(
        default=None, description="Time left at which a certificate alerts, by severity, such as warning: 14d"
    )


def read_alert(value: object) -> tuple[AlertPolicy | None, list[Fault]]:
    """Read the value of `alert`: true, false or a mapping.

    Returns:
        The policy, None when the check has none or there are faults; and the faults, located relative to the value.
    """
    faults = [Fault(place, "is shown in alerts, so it cannot have references") for place in _references(value, ())]
    if faults or value is False:
        return None, faults
    if value is not True and not isinstance(value, dict):
        message = f"must be true, false, or a mapping with the keys {', '.join(_KEYS)}, not {quoted(value)}"
        return None, [Fault((), message)]
    keys, faults = validate(AlertKeys, value if isinstance(value, dict) else {})
    return (None if keys is None else _policy(keys)), faults


_KEYS = tuple(info.alias or name for name, info in AlertKeys.model_fields.items())


def _references(value: object, place: Location) -> list[Location]:
    """Return the locations of all texts that were resolved from references."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _references(item, (*place, key))]
    return [place] if isinstance(value, SecretText) else []


def _terms(keys: AlertKeys | DegradedKeys, inherited: AlertKeys) -> AlertTerms:
    return AlertTerms(
        for_seconds=keys.for_seconds,
        severity=keys.severity,
        runbook_url=keys.runbook or inherited.runbook or "",
        dashboard_url=keys.dashboard or inherited.dashboard or "",
        summary=keys.summary or "",
    )


def _policy(keys: AlertKeys) -> AlertPolicy:
    return AlertPolicy(
        failing=_terms(keys, keys),
        degraded=_terms(keys.degraded, keys) if keys.degraded else None,
        certificate_seconds_left=MappingProxyType(keys.certificate.seconds_left() if keys.certificate else {}),
        labels=MappingProxyType(keys.labels),
    )
