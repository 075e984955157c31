"""The routes that report states to other programs: `/status.json`, its schema, and badges."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from exporter.scrape.selection import selected_checks
from exporter.web.badge import state_badge, unknown_badge
from exporter.web.pages.freshness import is_stale
from exporter.web.pages.words import State, state_of_check
from exporter.web.query import (
    BADGE_PARAMETERS,
    SELECTING_REPEATABLY,
    STATUS_PARAMETERS,
    BadParameterError,
    parse_query,
    parse_selection,
    refuse_unknown_parameters,
)
from exporter.web.responses import compressed
from exporter.web.status_document import ExporterStatus, StatusDocument

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from exporter.model import Check
    from exporter.web.site import Site

_SCHEMA = (Path(__file__).parent / "status.schema.json").read_bytes()
_BADGE_HEADERS = {"Cache-Control": "max-age=30", "Cross-Origin-Resource-Policy": "cross-origin"}
"""Other sites may show badges, many at a time. Without `public`, shared caches keep none that a password protects."""


class StateRoutes:
    """The endpoints; lives as long as the app. They run in the server's threads."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def document(self, request: Request) -> Response:
        """Describe the state of the selected checks as JSON."""
        query = parse_query(request)
        refuse_unknown_parameters(query, STATUS_PARAMETERS, SELECTING_REPEATABLY | {"status"})
        site, current = self._site, self._site.live_config.current
        wanted = _states(query.get("status", ()))
        every = (*current.checks, *current.disabled)
        selected = selected_checks(every, parse_selection(query, every, site.check_types))
        off = {check.name for check in current.disabled}
        document = StatusDocument(
            site.history,
            site.service.states,
            mask=site.live_config.masks,
            link=site.public_address.link,
            now_seconds=time.time(),
        )
        facts = document.build(
            self._exporter_status(),
            [check for check in selected if check.name not in off],
            [check for check in selected if check.name in off],
            wanted,
        )
        text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
        return compressed(request, Response(text.encode("utf-8", "replace"), media_type="application/json"))

    def schema(self, request: Request) -> Response:
        """Return the JSON Schema of the document."""
        return Response(_SCHEMA, media_type="application/schema+json")

    def badge(self, request: Request) -> Response:
        """Draw the state of one check; of an unknown one too, because browsers show the picture of a 404."""
        query = parse_query(request)
        refuse_unknown_parameters(query, BADGE_PARAMETERS)
        name = request.path_params["name"]
        label = query.get("label", [""])[0] or name
        check = self._checks_by_name().get(name)
        picture = unknown_badge(label) if check is None else self._badge_of(check, label)
        return Response(
            picture, status_code=404 if check is None else 200, headers=_BADGE_HEADERS, media_type="image/svg+xml"
        )

    def _checks_by_name(self) -> dict[str, Check]:
        current = self._site.live_config.current
        return {check.name: check for check in (*current.checks, *current.disabled)}

    def _badge_of(self, check: Check, label: str) -> str:
        if check in self._site.live_config.current.disabled:
            return state_badge(label, State.DISABLED)
        now_seconds, runs = time.time(), self._site.history.runs(check.name).recent
        state = state_of_check(check, runs[-1] if runs else None, now_seconds)
        return state_badge(label, state, is_stale=is_stale(check, runs, now_seconds))

    def _exporter_status(self) -> ExporterStatus:
        live_config = self._site.live_config
        return ExporterStatus(
            version=self._site.version,
            config_file=live_config.current.file,
            loaded_timestamp_seconds=live_config.last_reload_success_timestamp_seconds,
            refusal=live_config.refusal,
            last_scrape_timestamp_seconds=self._site.service.last_scrape_timestamp_seconds,
        )


def _states(wanted: Iterable[str]) -> frozenset[State]:
    """Return the states that a request selects.

    Raises:
        BadParameterError: When one is unknown.
    """
    for value in wanted:
        if value not in list(State):
            raise BadParameterError(f"unknown status {value!r}; known: {', '.join(State)}")
    return frozenset(map(State, wanted))
