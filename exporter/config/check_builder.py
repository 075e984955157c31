"""Builds a Check from its keys: validates the models, compiles the expectations, checks the target."""

from __future__ import annotations

import json
from time import time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, cast

from exporter.config.alerts import read_alert
from exporter.config.check_expectations import CheckExpectations, keep, raised
from exporter.config.common_keys import CHECK_KEYS, READ_APART, CommonKeys
from exporter.config.foreign_keys import is_misspelled
from exporter.config.maintenance import maintenance_windows
from exporter.config.model_fields import fields_of
from exporter.config.preparation import tests_every_address, with_preparation
from exporter.config.problems import Fault, quoted
from exporter.config.retries import tell_retries_that_do_not_fit
from exporter.config.secrets import mask_url_password
from exporter.config.tls_files import TlsFiles
from exporter.config.validation import validate
from exporter.foreign import repr_of, text_of
from exporter.model import LONGEST_SCRAPE_SECONDS, Check, SingleWindow
from exporter.quantities import seconds_text
from exporter.secrecy import SecretText, secret_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.checks.base import CheckType
    from exporter.config.problems import Node, Problems
    from exporter.config.values import ValueReader
    from exporter.model import AlertPolicy
    from exporter.settings import CheckSettings

_SHOWN = ("name", "labels")


class BuiltCheck(NamedTuple):
    """A valid check, and whether it is enabled."""

    check: Check
    is_enabled: bool


class CheckBuilder:
    """Builds the checks of one type; lives as long as a load.

    Checks with equal settings or labels share one object, and checks that also have an equal `expect`, such as that of
    the defaults, share their expectations: ten thousand copies would take most of the configuration's memory.
    """

    def __init__(self, check_type: CheckType, reader: ValueReader, problems: Problems) -> None:
        self._type = check_type
        self._reader = reader
        self._problems = problems
        self._fields = fields_of(check_type.settings)
        self._tls_files = TlsFiles()
        self._shared_settings: dict[str, CheckSettings] = {}
        self._shared_labels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
        self._expectations = CheckExpectations(check_type, reader, problems)

    @property
    def known_keys(self) -> frozenset[str]:
        """Every key that a check of this type may have."""
        return self._fields.keys | CHECK_KEYS.keys()

    def build(self, whole: Node, entries: dict[str, Node]) -> BuiltCheck | None:
        """Return the check; None when it has problems, which are then reported.

        Args:
            whole: The item, to locate what is missing.
            entries: Its keys with defaults, fully expanded.
        """
        before = len(self._problems)
        data = self._reader.read_settings(entries, self._fields)
        common = self._common(whole, entries, data)
        settings = self._settings(whole, entries, data)
        expected = self._expectations.read(whole, entries, data, settings)
        alert = self._alert(whole, entries, data)
        if settings is None or "target" not in entries:
            return None
        if tests_every_address(settings) and self._type.endpoint is None:
            self._problems.add(entries["every_address"], f"is not supported by the type {self._type.name}")
        target = self._target(entries["target"], str(data["target"]), data["target"], settings)
        if common is None or target is None or len(self._problems) > before:
            return None
        check = Check(
            name=common.name,
            check_type=self._type.name,
            target=target,
            target_label=_target_label(target, data["target"]),
            timeout_seconds=common.timeout_seconds,
            settings=settings,
            expectations=expected.expectations,
            retries=common.retries,
            retry_delay_seconds=common.retry_delay_seconds,
            retry_reasons=expected.retry_reasons,
            retry_expectations=expected.retry_expectations,
            labels=self._labels(common.labels),
            interval_seconds=common.interval_seconds,
            min_interval_seconds=(
                self._type.min_interval_seconds if common.min_interval_seconds is None else common.min_interval_seconds
            ),
            phase_histograms=common.phase_histograms,
            maintenance=maintenance_windows(common.maintenance),
            alert=alert,
            is_complete=True,
        )
        if check.retries:
            tell_retries_that_do_not_fit(check, entries.get("retries", whole), self._problems)
        elif check.timeout_seconds > LONGEST_SCRAPE_SECONDS:
            longest = seconds_text(LONGEST_SCRAPE_SECONDS)
            message = f"is longer than any scrape, which takes at most {longest}; only the command run waits so long"
            self._problems.warn(entries.get("timeout", whole), message)
        if check.maintenance:
            self._warn_of_past_windows(check, entries["maintenance"])
        return BuiltCheck(with_preparation(check, self._type), common.enabled)

    def _labels(self, labels: dict[str, str]) -> Mapping[str, str]:
        key = tuple(labels.items())
        shared = self._shared_labels.get(key)
        if shared is None:
            shared = MappingProxyType(labels)
            keep(self._shared_labels, key, shared)
        return shared

    def _warn_of_past_windows(self, check: Check, node: Node) -> None:
        now_seconds = time()
        for window, item in zip(check.maintenance, cast("list[Node]", node.value), strict=True):
            if isinstance(window, SingleWindow) and window.end_timestamp_seconds < now_seconds:
                self._problems.warn(item, "is over; it can be removed")

    def check_given(self, whole: Node, entries: dict[str, Node]) -> None:
        """Report faults in keys that are not a whole check, such as defaults that no check uses."""
        data = self._reader.read_settings(entries, self._fields)
        common = {key: value for key, value in data.items() if key in CHECK_KEYS and key not in READ_APART}
        settings = self._settings_values(entries, data)
        faults = [*validate(CommonKeys, common)[1], *validate(self._type.settings, settings, CHECK_KEYS)[1]]
        given = [fault for fault in faults if fault.location and fault.location[0] in data]
        self._reader.report(entries, whole, (), given)
        self._expectations.read(whole, entries, data, None)
        self._alert(whole, entries, data)

    def _common(self, whole: Node, entries: dict[str, Node], data: dict[str, object]) -> CommonKeys | None:
        values = {key: value for key, value in data.items() if key in CHECK_KEYS and key not in READ_APART}
        common, found = validate(CommonKeys, values)
        faults = [fault for fault in found if not self._is_reported_otherwise(fault, entries)]
        for key in _SHOWN:
            value = data.get(key)
            for step, text in value.items() if isinstance(value, dict) else (("", value),):
                if isinstance(text, SecretText):
                    location = (key, step) if step else (key,)
                    faults.append(Fault(location, "is shown in metrics, so it cannot have references"))
        self._reader.report(entries, whole, (), faults)
        return common

    def _is_reported_otherwise(self, fault: Fault, entries: dict[str, Node]) -> bool:
        """Return whether a fault is that a key is missing, and the message about a misspelled one names it."""
        is_missing = len(fault.location) == 1 and fault.location[0] not in entries
        return is_missing and is_misspelled(str(fault.location[0]), entries, self.known_keys)

    def _settings(self, whole: Node, entries: dict[str, Node], data: dict[str, object]) -> CheckSettings | None:
        values = self._settings_values(entries, data)
        key = json.dumps([values, sorted(secret_texts(values))])
        settings = self._shared_settings.get(key)
        if settings is None:
            try:
                settings, faults = validate(self._type.settings, values, CHECK_KEYS)
            except Exception as error:  # noqa: BLE001 - a plugin's validator may raise anything
                settings, faults = None, [Fault((), raised(self._type, "its settings", error))]
            if settings is not None:
                faults = [*self._tls_files.faults(settings)]
            self._reader.report(entries, whole, (), faults)
            if settings is not None and not faults:
                keep(self._shared_settings, key, settings)
        return settings

    def _settings_values(self, entries: dict[str, Node], data: dict[str, object]) -> dict[str, object]:
        values = {key: value for key, value in data.items() if key not in CHECK_KEYS}
        self._reader.resolve_files(self._fields, values, entries)
        return values

    def _alert(self, whole: Node, entries: dict[str, Node], data: dict[str, object]) -> AlertPolicy | None:
        if "alert" not in data:
            return None
        policy, faults = read_alert(data["alert"])
        self._reader.report(entries, whole, ("alert",), faults)
        return policy

    def _target(self, node: Node, target: str, written: object, settings: CheckSettings) -> str | None:
        try:
            valid = self._type.validate_target(target, settings)
            if type(valid) is str:
                return valid
            self._problems.add(node, f"the type {self._type.name} makes {repr_of(type(valid))} of its target, not text")
        except ValueError as error:
            shown = quoted(written if isinstance(written, SecretText) else mask_url_password(target))
            self._problems.add(node, f"{shown} {mask_url_password(text_of(error))}")
        except Exception as error:  # noqa: BLE001 - a plugin's function may raise anything
            self._problems.add(node, raised(self._type, "its target", error))
        return None


def _target_label(target: str, written: object) -> str:
    """Return the label `target` when the target itself would reveal a secret; else an empty text."""
    shown = mask_url_password(written.shown if isinstance(written, SecretText) else target)
    return "" if shown == target else shown
