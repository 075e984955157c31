"""Converts the result of a probe to the series that blackbox_exporter shows for the same outcome.

Names, labels and phases are those of blackbox_exporter, and series are absent where they are absent there. The reason
of a failure and the facts of certificates that failed verification are added, unless the page must be strict.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

from exporter.blackbox.expectations import is_about_cel, is_about_regexp
from exporter.exposition.families import DURATION, FAILURE_INFO, SUCCESS, TIMEOUT, Family
from exporter.exposition.few_series import Beginnings, FewSeries
from exporter.exposition.labels import OwnLabels
from exporter.model import Reason, ResultStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.blackbox.http import ModuleHttpSettings
    from exporter.blackbox.modules import Module
    from exporter.checks.tcp import TcpSettings
    from exporter.checks.unix import UnixSettings
    from exporter.http.settings import HttpSettings
    from exporter.masking import Mask
    from exporter.model import Expectation, MetricSpec, Result

    Series = dict[tuple[str, ...], float]
    Measured = dict[str, Series]

_RESOLUTION = ("probe_dns_lookup_time_seconds", "probe_ip_protocol", "probe_ip_addr_hash")
_CHAIN = ("probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_info", "probe_tls_version_info")
_CHAIN_EXPIRY = "probe_ssl_last_chain_expiry_timestamp_seconds"
_DIALOGUE = ("probe_failed_due_to_regex", "probe_failed_due_to_bytes", "probe_expect_info")

SHOWN: Mapping[str, frozenset[str]] = {
    "http": frozenset((
        *_RESOLUTION, "probe_http_duration_seconds", "probe_http_status_code", "probe_http_content_length",
        "probe_http_uncompressed_body_length", "probe_http_redirects", "probe_http_ssl", "probe_http_version",
        "probe_http_last_modified_timestamp_seconds", "probe_failed_due_to_regex", "probe_failed_due_to_cel", *_CHAIN,
        _CHAIN_EXPIRY, "probe_tls_cipher_info",
    )),
    "tcp": frozenset((*_RESOLUTION, *_DIALOGUE, *_CHAIN, _CHAIN_EXPIRY)),
    "unix": frozenset((*_DIALOGUE, *_CHAIN, _CHAIN_EXPIRY)),
    "dns": frozenset((
        *_RESOLUTION, "probe_dns_duration_seconds", "probe_dns_answer_rrs", "probe_dns_authority_rrs",
        "probe_dns_additional_rrs", "probe_dns_query_succeeded", "probe_dns_serial",
    )),
    "icmp": frozenset((*_RESOLUTION, "probe_icmp_duration_seconds", "probe_icmp_reply_hop_limit")),
    "grpc": frozenset((
        *_RESOLUTION, "probe_grpc_duration_seconds", "probe_grpc_ssl", "probe_grpc_status_code",
        "probe_grpc_healthcheck_response", *_CHAIN,
    )),
    "websocket": frozenset((
        *_RESOLUTION, "probe_websocket_status_code", "probe_websocket_connection_upgraded",
        "probe_websocket_failed_due_to_regex", "probe_websocket_duration_seconds",
    )),
}  # fmt: skip
"""The families of each prober besides those of every probe."""

_JOINED_PHASES: Mapping[str, Mapping[str, str]] = {
    "probe_grpc_duration_seconds": {"connect": "check", "tls": "check"},
    "probe_websocket_duration_seconds": {"tls": "processing", "ping": "transfer"},
}
"""Phases that are part of another one in blackbox_exporter."""

_PLAIN = OwnLabels(of_check=False)
_REASONS = {reason: OwnLabels([("reason", reason)], of_check=False) for reason in Reason}
_VERIFIED = "probe_tls_verified"
_CERTIFICATES = frozenset((*_CHAIN, _CHAIN_EXPIRY, "probe_tls_cipher_info"))
_NOTHING_VERIFIED = -62135596800.0
"""The expiry of a chain when certificates are not verified: the first second of the year 1."""

_TLS_FAILED = frozenset((Reason.TLS, Reason.CERTIFICATE))
_NOT_CONNECTED = frozenset((
    Reason.RESOLVE, Reason.CONNECT_REFUSED, Reason.CONNECT_TIMEOUT, Reason.UNREACHABLE, Reason.LOCAL,
))  # fmt: skip
_WITHOUT_BODY = frozenset((204.0, 304.0))
_MOST_LABELS = 2048
"""Label sets kept for each module, declared and measured: up to 4 MiB if all are those of certificates."""


class ProbePages:
    """The series of the probes of one module; lives with the module, shared by threads.

    Attributes:
        module: The module.
    """

    def __init__(self, module: Module, mask: Mask, *, strict: bool) -> None:
        """Prepare the pages.

        Args:
            module: The module.
            mask: Masks secrets in label values that were measured.
            strict: Whether only what blackbox_exporter shows is shown.
        """
        self.module = module
        self._mask = mask
        self._strict = strict
        shown = SHOWN[module.prober]
        metrics = module.recipe.check_type.metrics
        self._specs = {spec.name: spec for spec in metrics if spec.name in shown}
        self._families = {
            spec.name: Family(name=spec.name, help=spec.help, labels=spec.labels) for spec in self._specs.values()
        }
        self._labels = lru_cache(_MOST_LABELS)(self._masked)
        self._beginnings = Beginnings()
        self._standing = [(name, dict(spec.defaults)) for name, spec in self._specs.items()]

    def series(self, result: Result) -> FewSeries:
        """Return the series of a result."""
        series = FewSeries(self._beginnings)
        series.add(SUCCESS, _PLAIN, float(result.status is not ResultStatus.ERROR))
        series.add(DURATION, _PLAIN, result.duration_seconds)
        series.add(TIMEOUT, _PLAIN, result.timeout_seconds)
        if result.status is ResultStatus.ERROR and not self._strict:
            series.add(FAILURE_INFO, _REASONS[result.reason or Reason.INTERNAL], 1.0)
        for name, values in self._measured(result).items():
            family, spec = self._families[name], self._specs[name]
            for labels in sorted(values):
                series.add(family, self._labels(spec, labels), values[labels])
        return series

    def _measured(self, result: Result) -> Measured:
        measured: Measured = {name: dict(defaults) for name, defaults in self._standing}
        is_unverified = False
        for spec, value, labels in result.measurements:
            if spec.name in measured:
                measured[spec.name][labels] = value
            elif spec.name == _VERIFIED:
                is_unverified = value == 0.0
        for name, joined in _JOINED_PHASES.items():
            if name in measured:
                measured[name] = _join(measured[name], joined)
        if is_unverified and result.reason in _TLS_FAILED:
            if self._strict:
                _drop(measured, _CERTIFICATES)
        elif is_unverified and measured.get(_CHAIN_EXPIRY) == {}:
            measured[_CHAIN_EXPIRY][()] = _NOTHING_VERIFIED
        if result.attempts == 0:
            _drop(measured, _RESOLUTION)
        adapt = _ADAPTATIONS.get(self.module.prober)
        if adapt is not None:
            adapt(measured, result, self.module)
        return measured

    def _masked(self, spec: MetricSpec, values: tuple[str, ...]) -> OwnLabels:
        """Return a label set with secrets masked; most are those of an earlier page."""
        if not values:
            return _PLAIN
        return OwnLabels(spec.pairs(tuple(map(self._mask, values))), of_check=False)


def _adapt_http(measured: Measured, result: Result, module: Module) -> None:
    status = measured["probe_http_status_code"][()]
    phases = measured["probe_http_duration_seconds"]
    if result.attempts == 0:
        phases.clear()
    elif cast("ModuleHttpSettings", module.recipe.settings).skips_resolution:
        _drop(measured, _RESOLUTION)
        if not measured["probe_http_redirects"][()]:
            phases.pop(("resolve",), None)
    elif not status and not measured["probe_ip_protocol"][()]:
        measured["probe_http_duration_seconds"] = {("resolve",): phases[("resolve",)]}
    if not status and result.reason not in _TLS_FAILED:
        _drop(measured, _CERTIFICATES)
    if status in _WITHOUT_BODY and measured["probe_http_content_length"][()] < 0:
        measured["probe_http_content_length"][()] = 0.0
    if result.reason is Reason.TOO_LARGE and status:
        limit_bytes = cast("HttpSettings", module.recipe.settings).body_size_limit
        measured["probe_http_uncompressed_body_length"][()] = float(limit_bytes)
    if result.reason is Reason.DECODE:
        measured["probe_http_uncompressed_body_length"][()] = 0.0
    failed_by_regexp = _failed_by(is_about_regexp, result, has_response=bool(status))
    measured["probe_failed_due_to_regex"][()] = float(failed_by_regexp)
    if any(map(is_about_cel, module.recipe.expectations)):
        failed_by_cel = not failed_by_regexp and _failed_by(is_about_cel, result, has_response=bool(status))
        measured["probe_failed_due_to_cel"] = {(): float(failed_by_cel)}


def _failed_by(is_cause: Callable[[Expectation], bool], result: Result, *, has_response: bool) -> bool:
    """Whether an expectation of a kind failed the probe, which includes a body that did not arrive completely.

    blackbox_exporter does not evaluate them on an error page, or if the body cannot be decoded.
    """
    if result.status is not ResultStatus.ERROR or result.reason in (Reason.STATUS, Reason.DECODE):
        return False
    return has_response and any(not outcome.ok and is_cause(outcome.expectation) for outcome in result.expectations)


def _adapt_stream(measured: Measured, result: Result, module: Module) -> None:
    settings = cast("TcpSettings | UnixSettings", module.recipe.settings)
    has_no_tls = settings.tls and not measured["probe_tls_version_info"]
    if result.attempts == 0 or has_no_tls or result.reason in _NOT_CONNECTED or result.reason in _TLS_FAILED:
        measured["probe_failed_due_to_bytes"].clear()


def _adapt_grpc(measured: Measured, result: Result, module: Module) -> None:
    if measured["probe_ip_protocol"].get((), 0.0):
        return
    measured["probe_grpc_healthcheck_response"].clear()
    measured["probe_grpc_status_code"] = {(): 0.0}
    measured["probe_grpc_duration_seconds"].pop(("check",), None)


_ADAPTATIONS: Mapping[str, Callable[[Measured, Result, Module], None]] = {
    "http": _adapt_http,
    "tcp": _adapt_stream,
    "unix": _adapt_stream,
    "grpc": _adapt_grpc,
}
"""What is done to the values of a prober besides what all probers share."""


def _drop(measured: Measured, names: frozenset[str] | tuple[str, ...]) -> None:
    for name in names:
        if name in measured:
            measured[name].clear()


def _join(series: Series, joined: Mapping[str, str]) -> Series:
    """Return seconds by phase, with those of partial phases added to the phase that they belong to."""
    found: Series = {}
    for (phase,), seconds in series.items():
        key = (joined.get(phase, phase),)
        found[key] = found.get(key, 0.0) + seconds
    return found
