"""Single checks on the loop of their caller: the same results as in a batch, at the same price when they fail."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from exporter.model import Reason, ResultStatus
from exporter.runner.once import checks_from_yaml, run_check
from exporter.runner.single import SingleCheckRunner
from tests.checks.running import outcome
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.http import hold, respond, run_http_server
from tests.servers.tcp import black_hole, closed_port, deaf_port, over_tls, serve
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from exporter.model import Check

pytestmark = pytest.mark.anyio

WITHOUT_HASTE_SECONDS = 30.0


def a_check(**keys: object) -> Check:
    """A check as a configuration writes it."""
    (check,) = checks_from_yaml(f"checks: [{ {'name': 'it', **keys} }]")
    return check


async def test_a_result_is_that_of_a_batch() -> None:
    """Verdict, reason, detail and series do not depend on the way a check runs."""
    with run_http_server({"/": respond(), "/broken": respond(500)}) as server, closed_port() as port:
        for target in (server.url("/"), server.url("/broken"), f"http://127.0.0.1:{port}"):
            check = a_check(type="http", target=target)
            alone = await SingleCheckRunner().run(check, WITHOUT_HASTE_SECONDS)
            batched = await asyncio.to_thread(run_check, check)
            assert outcome(alone) == outcome(batched)
            assert [(spec, labels) for spec, _, labels in alone.measurements] == [
                (spec, labels) for spec, _, labels in batched.measurements
            ]


async def test_many_run_at_once_and_leave_nothing_behind() -> None:
    """They take as long as the slowest; afterwards no task is left."""
    runner, before = SingleCheckRunner(), asyncio.all_tasks()
    with run_http_server({"/": respond()}) as server:
        checks = [a_check(type="http", target=server.url("/")) for _ in range(100)]
        results = await asyncio.gather(*[runner.run(check, WITHOUT_HASTE_SECONDS) for check in checks])
    assert {result.status for result in results} == {ResultStatus.OK}
    await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.parametrize(
    ("timeout_seconds", "budget_seconds", "reason"),
    [(0.3, WITHOUT_HASTE_SECONDS, Reason.CONNECT_TIMEOUT), (20, 0.3, Reason.DEADLINE)],
)
async def test_a_check_ends_at_its_own_limit_or_at_that_of_its_request(
    timeout_seconds: float, budget_seconds: float, reason: Reason
) -> None:
    """The first limit counts, and the reason depends on it."""
    with black_hole() as port:
        check = a_check(type="tcp", target=f"127.0.0.1:{port}", timeout=f"{timeout_seconds}s")
        result = await SingleCheckRunner().run(check, budget_seconds)
    assert (result.status, result.reason) == (ResultStatus.ERROR, reason)


async def test_a_check_that_is_abandoned_ends() -> None:
    """Cancelling the caller cancels the check, and others that share its executors go on."""
    runner, before = SingleCheckRunner(), asyncio.all_tasks()
    with run_http_server({"/": respond(), "/held": hold(b"HTTP/1.1 200 OK\r\n")}) as server:
        held = asyncio.create_task(runner.run(a_check(type="http", target=server.url("/held")), WITHOUT_HASTE_SECONDS))
        await until(lambda: len(server.requests) == 1)
        held.cancel()
        with suppress(asyncio.CancelledError):
            await held
        result = await runner.run(a_check(type="http", target=server.url("/")), WITHOUT_HASTE_SECONDS)
        assert result.status is ResultStatus.OK
    await until(lambda: asyncio.all_tasks() == before)


async def test_a_new_file_of_authorities_counts_although_checks_never_cease(ca: trustme.CA, tmp_path: Path) -> None:
    """What checks share is replaced every second, even if one of them takes longer."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(certificates.self_signed("other.test").chain)
    runner = SingleCheckRunner()
    tls = {"ca_file": str(ca_file), "server_name": "good.test"}
    with deaf_port() as deaf, serve(over_tls(server_context(certificates.valid(ca, "good.test")))) as server:
        lasting = a_check(type="tcp", target=f"127.0.0.1:{deaf}", timeout="20s", dialogue=[{"expect": "never"}])
        waiting = asyncio.create_task(runner.run(lasting, WITHOUT_HASTE_SECONDS))
        check = a_check(type="tcp", target=f"127.0.0.1:{server.port}", tls=True, tls_config=tls)
        refused = await runner.run(check, WITHOUT_HASTE_SECONDS)
        ca.cert_pem.write_to_path(str(ca_file))
        await asyncio.sleep(1.1)
        trusted = await runner.run(check, WITHOUT_HASTE_SECONDS)
        waiting.cancel()
    assert (refused.reason, trusted.status) == (Reason.CERTIFICATE, ResultStatus.OK)


async def test_a_check_that_is_abandoned_before_it_starts_leaves_nothing_behind() -> None:
    """Its task has not run yet, and what it shares with others is still closed."""
    runner, before = SingleCheckRunner(), asyncio.all_tasks()
    with run_http_server({"/": respond()}) as server:
        running = asyncio.create_task(runner.run(a_check(type="http", target=server.url("/")), WITHOUT_HASTE_SECONDS))
        await asyncio.sleep(0)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await until(lambda: runner._shared is None and asyncio.all_tasks() == before)
        assert server.requests == []
