"""The behaviour of the targets while a picture is taken: they vary, slow down, fail in several ways, and recover."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from tests.grafana.scene import HEALTHY
from tests.servers.http import hold, respond

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.grafana.scene import Targets
    from tests.servers.http import Act, Request

    Event = tuple[float, Callable[[Targets], None]]

ALWAYS_BROKEN = ("fax", "dns-lost")
"""Checks that fail all the time, which would make a dull picture."""

_random = random.Random(7)


def live(targets: Targets, seconds: float) -> None:
    """Run the events for so many seconds."""
    _calm(targets)
    begin = time.monotonic()
    for share, happen in _EVENTS:
        time.sleep(max(0.0, begin + share * seconds - time.monotonic()))
        happen(targets)
    time.sleep(max(0.0, begin + seconds - time.monotonic()))


def _after(median_seconds: float, act: Act) -> Act:
    """Answer after a time with a usual distribution: mostly near the median, sometimes much later, never endlessly."""

    def wait(connection: socket.socket, request: Request) -> None:
        time.sleep(min(_random.lognormvariate(0, 0.35) * median_seconds, 0.55))
        act(connection, request)

    return wait


def _calm(targets: Targets) -> None:
    targets.acts["/"] = _after(0.06, respond(200, b"welcome"))
    targets.acts["/old"] = _after(0.02, targets.acts["/old"])
    targets.acts["/wiki"] = _after(0.04, targets.acts["/wiki"])
    targets.acts["/feed"] = _after(0.15, targets.acts["/feed"])
    targets.acts["/health"] = _after(0.03, respond(200, HEALTHY))
    targets.acts["/billing"] = _after(0.12, respond(200, b"paid"))
    targets.certificates.install(targets.contexts["partner"], "partner.example", 34)


def _slow_shop(targets: Targets) -> None:
    targets.acts["/"] = _after(0.5, respond(200, b"welcome"))


def _fast_shop(targets: Targets) -> None:
    targets.acts["/"] = _after(0.07, respond(200, b"welcome"))


def _failing_shop(targets: Targets) -> None:
    targets.acts["/"] = _after(0.03, respond(503, b"closed"))


def _broken_billing(targets: Targets) -> None:
    targets.acts["/billing"] = _after(0.05, respond(500, b"sorry"))


def _hanging_billing(targets: Targets) -> None:
    targets.acts["/billing"] = hold()


def _good_billing(targets: Targets) -> None:
    targets.acts["/billing"] = _after(0.11, respond(200, b"paid"))


def _long_queue(targets: Targets) -> None:
    targets.acts["/health"] = _after(0.04, respond(200, HEALTHY.replace(b"130", b"2310")))


def _short_queue(targets: Targets) -> None:
    targets.acts["/health"] = _after(0.03, respond(200, HEALTHY.replace(b"130", b"95")))


def _strange_partner(targets: Targets) -> None:
    targets.certificates.install(
        targets.contexts["partner"], "partner.example", 4, authority=targets.certificates.strange
    )


_EVENTS: tuple[Event, ...] = (
    (0.22, _slow_shop),
    (0.31, _fast_shop),
    (0.42, _long_queue),
    (0.46, _short_queue),
    (0.55, _broken_billing),
    (0.58, _hanging_billing),
    (0.61, _good_billing),
    (0.70, _failing_shop),
    (0.725, _fast_shop),
    (0.9, _strange_partner),
    (0.94, _slow_shop),
)
"""When, as a share of the time, and what."""
