"""Shared by the browser tests: an exporter with checks whose verdicts are set, and monitored pages."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, Check, ExecutorRegistry, Result
from exporter.attempt import current_attempt
from exporter.checks.base import CheckType
from exporter.config import Config, LiveConfig
from exporter.model import (
    AlertPolicy,
    AlertSeverity,
    AlertTerms,
    CertificateFacts,
    Reason,
    ResultStatus,
    phase_durations,
)
from exporter.scrape.history import History
from exporter.scrape.service import ScrapeService
from exporter.web.app import create_app
from exporter.web.site import Readiness, Site
from tests.servers.executors import ok
from tests.servers.web import run_web_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

HOSTILE_NAMES = (
    ".", "..", "/", "a/../b", "\u202eright-to-left\u200f", "\U0001f600 shop", "n" * 200, "<b>&amp;</b>",
    "words " * 30 + "end",
)  # fmt: skip
PHASES = phase_durations("probe_told_duration_seconds", ("resolve", "connect", "answer"))
CERTIFICATE = CertificateFacts(
    fingerprint_sha256="aa",
    subject="CN=shop.example",
    issuer="CN=authority",
    names=("shop.example", "x" * 120 + ".example"),
    not_before_timestamp_seconds=1.7e9,
    not_after_timestamp_seconds=4e9,
)


class Told:
    """Returns the verdict that the test has set for each check, ok by default."""

    def __init__(self) -> None:
        self.verdicts: dict[str, ResultStatus] = {}

    async def execute(self, check: Check) -> Result:
        attempt = current_attempt()
        with attempt.phase("answer"):
            attempt.note("answered", octets=48)
        attempt.certificates = (CERTIFICATE,)
        status = self.verdicts.get(check.name, ResultStatus.OK)
        if status is ResultStatus.OK:
            return ok(check)
        reason = Reason.STATUS if status is ResultStatus.ERROR else Reason.EXPECTATION
        return Result(check_name=check.name, status=status, reason=reason, detail="expected 200, observed 503")

    async def aclose(self) -> None:
        """Do nothing."""


def a_told_check(name: str, **facts: object) -> Check:
    """A check whose verdict the test sets, with a target as long as its name."""
    terms = AlertTerms(for_seconds=60.0, severity=AlertSeverity.CRITICAL, runbook_url="https://wiki.example/shop")
    given = {"target": f"https://{name}.example/", "alert": AlertPolicy(failing=terms)} | facts
    return Check(name=name, check_type="told", **given)  # type: ignore[arg-type] # passed on as given


@dataclass
class Exhibit:
    """A running exporter.

    Attributes:
        url: Its address, without a slash at the end.
        told: The verdicts of its checks.
    """

    url: str
    told: Told

    def scrape(self) -> None:
        """Run all checks."""
        httpx.get(f"{self.url}/metrics", trust_env=False, timeout=120).raise_for_status()


@contextmanager
def exhibit(*checks: Check) -> Iterator[Exhibit]:
    """Run an exporter with these checks for the duration of the block."""
    told, registry = Told(), ExecutorRegistry()
    registry.register_type(
        CheckType(name="told", description="Does as told", executor=lambda _: told, phases=PHASES, metrics=(PHASES,))
    )
    shown = tuple({"name": check.name, "type": "told", "target": check.target} for check in checks)
    config = Config(checks=checks, file="checks.yml", shown=shown)
    live_config, history = LiveConfig(lambda: config, config), History()
    provider = BlockingPortalProvider("asyncio")
    with provider:
        service = ScrapeService(
            AsyncCheckRunner(provider, registry), live_config, registry, history=history, version="1.2.3"
        )
        site = Site(
            service=service,
            live_config=live_config,
            check_types=registry.check_types,
            history=history,
            readiness=Readiness(),
            runner_trouble=lambda: "",
            timeout_offset_seconds=0.5,
            version="1.2.3",
        )
        with run_web_server(create_app(site)) as url:
            yield Exhibit(url, told)


@dataclass
class Watch:
    """Errors on the pages of a context, and their requests.

    Attributes:
        errors: What the console reported.
        requests: The addresses asked for.
    """

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def watched(browser: Browser, url: str, **options: object) -> Iterator[tuple[Page, Watch]]:
    """Open a page in a context of its own; in the end there may be no error and no request to another host."""
    context: BrowserContext = browser.new_context(**options)  # type: ignore[arg-type] # passed on as given
    context.set_default_timeout(60_000)
    page, watch = context.new_page(), Watch()
    page.on("console", lambda message: watch.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: watch.errors.append(str(error)))
    page.on("request", lambda request: watch.requests.append(request.url))
    try:
        yield page, watch
    finally:
        context.close()
    assert watch.errors == []
    assert [one for one in watch.requests if not one.startswith(f"{url}/")] == []
