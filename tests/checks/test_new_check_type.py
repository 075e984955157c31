"""A custom check type: with one class and its declaration, everything from YAML to metrics works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio.from_thread import BlockingPortalProvider
from pydantic import Field

from exporter import AsyncCheckRunner, Batch, Check, ExecutorRegistry, MetricSpec, Result, ResultStatus
from exporter.attempt import current_attempt
from exporter.checks.base import BatchContext, CheckType
from exporter.config import parse_config
from exporter.model import Subject, ValueKind
from exporter.settings import CheckSettings
from tests.servers.exporter import run_exporter
from tests.servers.prometheus import check_metrics
from tests.servers.tcp import closed_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.nginx import Nginx

LETTERS = MetricSpec(name="probe_greeting_letters", help="Letters of the greeting.", defaults=(((), 0.0),))


class Greeting:
    """Greets its target; the one class that a new check type is."""

    class Settings(CheckSettings):
        """The settings of the type."""

        word: str = Field(default="hello", description="The word to greet with")

    def __init__(self, _context: BatchContext) -> None:
        """Ignore the context of the batch."""

    async def execute(self, check: Check) -> Result:
        """Greet, and report how."""
        settings = check.settings if isinstance(check.settings, self.Settings) else self.Settings()
        greeting = f"{settings.word} {check.target}"
        current_attempt().measure(LETTERS, len(greeting))
        return Result(check_name=check.name, status=ResultStatus.OK, observed={"greeting": greeting})

    async def aclose(self) -> None:
        """Do nothing."""


GREETING = CheckType(
    name="greeting",
    description="Greets",
    executor=Greeting,
    settings=Greeting.Settings,
    metrics=(LETTERS,),
    subjects=(Subject(name="greeting", kind=ValueKind.TEXT, description="The greeting"),),
)

CONFIG = """
plugins: ["tests.checks.test_new_check_type:GREETING"]
checks:
  - {name: world, type: greeting, target: world, word: goodbye, expect: [{greeting: {contains: good}}]}
  - {name: nobody, type: greeting, target: nobody, expect: [{greeting: {contains: good}}]}
"""


def test_a_plugin_works_from_yaml_to_metric(tmp_path: Path) -> None:
    """Naming the plugin in the file is enough: settings, expectations, metrics and reasons work."""
    with run_exporter(tmp_path, CONFIG) as exporter:
        _, page = exporter.get("/metrics?check_type=greeting")
    check_metrics(page)
    world = 'check="world",check_type="greeting"'
    assert f'probe_success{{{world},target="world"}} 1.0' in page
    assert f'probe_greeting_letters{{{world},target="world"}} 13.0' in page
    expected = 'expectation="greeting contains good",severity="error"'
    assert f'probe_expectation_ok{{{world},{expected},target="world"}} 1.0' in page
    assert 'probe_failure_info{check="nobody",check_type="greeting",reason="expectation",target="nobody"} 1.0' in page


def run(text: str, registry: ExecutorRegistry) -> Batch:
    """Run the checks of a configuration once."""
    checks = parse_config(text, "checks.yml", registry.check_types).checks
    return AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry).run_all(checks, lambda _: None)


def test_a_batch_without_http_makes_no_http_client() -> None:
    """The client is created only for check types that use it."""
    with closed_port() as port:
        text = f"checks: [{{name: a, type: dns, target: a.test, server: '127.0.0.1:{port}', timeout: 200ms}}]"
        batch = run(text, ExecutorRegistry.with_builtins())
    assert not batch.http_client_created
    assert (batch.http_requests, batch.http_connections_opened) == (0, 0)
    assert batch.executors_instantiated == {"dns": 1}
    assert set(batch.cleanup_seconds) == {"dns"}


def test_a_mixed_batch_makes_one_http_client_and_closes_it(start_nginx: Callable[..., Nginx]) -> None:
    """Both HTTP types share a client and an executor; the batch counts what they did."""
    nginx = start_nginx()
    text = f"""
checks:
  - {{name: a, type: http, target: "{nginx.url()}"}}
  - {{name: b, type: json-http, target: "{nginx.url()}"}}
  - {{name: c, type: tcp, target: "127.0.0.1:{nginx.port}"}}
"""
    batch = run(text, ExecutorRegistry.with_builtins())
    assert batch.http_client_created
    assert (batch.http_requests, batch.http_connections_opened, batch.http_connections_reused) == (2, 2, 0)
    assert sorted(batch.executors_instantiated.values()) == [1, 1]
    assert "http_client" in batch.cleanup_seconds
    assert batch.cleanup_errors == {}
