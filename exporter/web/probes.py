"""The routes about modules: `/probe` with a target, and `/logs`, with the statuses and texts of blackbox_exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

from exporter.blackbox.timeouts import BadTimeoutError
from exporter.exposition.page import write_few
from exporter.scrape.probe_requests import BadProbeError, ProbeRequest, TargetRefusedError, UnknownModuleError
from exporter.web.query import (
    LOGS_PARAMETERS,
    MODULE_PARAMETERS,
    TIMEOUT_HEADER,
    accepts_gzip,
    metric_names,
    page_format,
    refuse_misspelled_parameters,
    refuse_unknown_parameters,
)
from exporter.web.responses import HeadResponse, page_response
from exporter.web.scrapes import unless_client_leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from exporter.checks.base import CheckType
    from exporter.scrape.probes import Probes

    Query = Mapping[str, list[str]]

_MOST_DIGITS = 18


def bad_probe(request: Request, error: Exception) -> Response:
    """Answer 400 to an incomplete or contradictory request for a probe."""
    return _refusal(400, str(error))


def bad_timeout(request: Request, error: Exception) -> Response:
    """Answer 500 to a scrape timeout that is not a number, as blackbox_exporter does."""
    return _refusal(500, str(error))


def target_refused(request: Request, error: Exception) -> Response:
    """Answer 403 to a target that is not allowed."""
    return _refusal(403, str(error))


PROBE_ERRORS = {
    TargetRefusedError: target_refused,
    UnknownModuleError: bad_probe,
    BadProbeError: bad_probe,
    BadTimeoutError: bad_timeout,
}
"""The handlers of the errors that these routes raise."""


class ModuleRoutes:
    """Answers requests about modules; lives as long as the app and belongs to the server's loop."""

    def __init__(self, probes: Probes, check_types: Mapping[str, CheckType], *, offers_protobuf: bool = False) -> None:
        self._probes = probes
        self._check_types = check_types
        self._offers_protobuf = offers_protobuf

    async def probe(self, request: Request, query: Query) -> Response:
        """Run a module against a target and show its metrics; with `debug=true`, also its log and the module.

        As in blackbox_exporter, the first value of a repeated parameter counts, and unknown parameters are ignored: a
        Probe resource may have any. Outside strict mode, those that look like a misspelled parameter are rejected.

        Raises:
            BadParameterError: When a parameter is misspelled, or `name[]` names no metric.
            UnknownModuleError: When the module does not exist.
            BadProbeError: When there is no target, or it contradicts the module.
            BadTimeoutError: When the scrape timeout is not a number.
            TargetRefusedError: When the target names an address, or a socket, that is not allowed.
            ClientGoneError: When the client has closed its connection; the probe is cancelled.
        """
        if not self._probes.is_strict:
            refuse_misspelled_parameters(query, MODULE_PARAMETERS)
        names = metric_names(query, self._check_types)
        probe = self._probes.prepare(
            ProbeRequest(
                target=_first(query, "target"),
                module=_first(query, "module"),
                hostname=_first(query, "hostname"),
                scrape_timeout=request.headers.get(TIMEOUT_HEADER),
            )
        )
        exposition_format = page_format(request, offers_protobuf=self._offers_protobuf)
        if request.method == "HEAD":
            return HeadResponse(media_type=exposition_format.value)
        result = await unless_client_leaves(request, self._probes.run(probe))
        if _first(query, "debug") == "true":
            return PlainTextResponse(self._probes.text(probe.pages, probe.target, result))
        series, compress = probe.pages.series(result), accepts_gzip(request)
        return page_response(write_few(series, exposition_format, compress=compress, names=names))

    def logs(self, query: Query) -> Response:
        """Show the log of a recent probe, by its number, or by target and module.

        Raises:
            BadParameterError: When a parameter is unknown or repeated.
        """
        refuse_unknown_parameters(query, LOGS_PARAMETERS)
        number, target, module = _first(query, "id"), _first(query, "target"), _first(query, "module")
        if bool(number) == bool(target) or (number and module):
            return _refusal(400, "give either id, or target and perhaps module")
        history = self._probes.history
        if target:
            probed = history.find(target, module)
        elif number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS:
            probed = history.get(int(number))
        else:
            return _refusal(400, "Invalid probe id")
        if probed is None:
            return _refusal(404, "Probe id not found" if number else "No probe of this target is kept")
        return PlainTextResponse(self._probes.text(probed.pages, probed.target, probed.result))


def _first(query: Query, name: str) -> str:
    return query.get(name, [""])[0]


def _refusal(status_code: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status_code=status_code)
