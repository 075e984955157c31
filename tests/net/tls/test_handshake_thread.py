"""Handshakes that take turns on a thread: equivalent to those on the loop, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from exporter.attempt import begin_attempt
from exporter.model import Reason
from exporter.net import Network
from exporter.settings import TlsConfig
from tests.net.connecting import LOOP_NAMES, LOOPS, connected, refused
from tests.servers import certificates
from tests.servers.certificates import server_context
from tests.servers.tcp import TcpServer, keep_silent, over_tls, reset_when_spoken_to, say, serve
from tests.threads import no_new_threads
from tests.waiting import until

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    import trustme

    from exporter.net.connection_facts import ConnectionFacts
    from tests.net.connecting import Listening


AT_ONCE = 20


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def trusting(ca_file: Path) -> TlsConfig:
    """Trusts the tests' authority."""
    return TlsConfig(ca_file=str(ca_file), server_name="good.test")


def is_running() -> bool:
    return any(thread.name == "nyxmon-handshakes" for thread in threading.enumerate())


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say two bytes, on the loop of the test."""
    writer.write(b"hi")
    writer.close()


async def hear(server: Listening, network: Network, tls: TlsConfig) -> tuple[bytes, ConnectionFacts]:
    """Connect, and wait for two bytes."""
    begin_attempt()
    async with connected(server, network=network, tls=tls) as connection:
        return await connection.protocol.until(2), connection.facts


async def test_many_handshakes_at_once_end_as_one_alone_does(ca: trustme.CA, trusting: TlsConfig) -> None:
    """Each has the same facts, and gets the data that the server sends together with the end of its handshake."""
    network = Network()
    with serve(over_tls(server_context(certificates.with_intermediate(ca, "good.test")), say(b"hi"))) as server:
        _, alone = await hear(server, network, trusting)
        answers = await asyncio.gather(*[hear(server, network, trusting) for _ in range(AT_ONCE)])
    assert is_running()
    assert [said for said, _ in answers] == [b"hi"] * AT_ONCE
    assert [facts.tls for _, facts in answers] == [alone.tls] * AT_ONCE
    assert all(0 < facts.tls_seconds < facts.ready_at for _, facts in answers)


@pytest.mark.parametrize(("checks", "in_thread"), [(1, False), (50, True)])
async def test_a_handshake_of_a_large_batch_takes_its_steps_in_the_thread(
    ca: trustme.CA, trusting: TlsConfig, checks: int, in_thread: bool
) -> None:
    """This holds even if it is the only one at the moment, because the loop starts other checks meanwhile."""
    await until(lambda: not is_running())
    network, talk = Network(), over_tls(server_context(certificates.with_intermediate(ca, "good.test")), say(b"hi"))
    with serve(talk) as server, network.tls.handshake_thread.during_batch(checks):
        said, _ = await hear(server, network, trusting)
    assert (said, is_running(), network.tls.handshake_thread.is_useful) == (b"hi", in_thread, False)


async def test_the_loop_takes_the_steps_when_the_system_has_no_thread(ca: trustme.CA, trusting: TlsConfig) -> None:
    """Neither that handshake nor a later one waits for a thread that could not be started."""
    await until(lambda: not is_running())
    context = server_context(certificates.with_intermediate(ca, "good.test"))
    async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context) as listening:
        server, network = TcpServer(listening.sockets[0]), Network()
        await hear(server, network, trusting)  # makes the context, in a thread
        with network.tls.handshake_thread.during_batch(50):
            with no_new_threads():
                said, _ = await hear(server, network, trusting)
            assert (said, is_running()) == (b"hi", False)
            assert ((await hear(server, network, trusting))[0], is_running()) == (b"hi", True)


async def test_many_refused_certificates_are_described_as_one_alone_is(ca: trustme.CA, trusting: TlsConfig) -> None:
    """Reason, text and facts do not depend on the thread."""
    network = Network()
    with serve(over_tls(server_context(certificates.expired(ca, "good.test")))) as server:
        refuse = partial(refused, server.port, network=network, tls=trusting)
        failure, facts = await refuse()
        for found, known in await asyncio.gather(*[refuse() for _ in range(AT_ONCE)]):
            assert (found.reason, str(found), known.tls) == (Reason.CERTIFICATE, str(failure), facts.tls)


async def test_connections_that_are_reset_meanwhile_fail_as_such(trusting: TlsConfig) -> None:
    """A reset that arrives during a step counts after it."""
    network = Network()
    with serve(reset_when_spoken_to) as server:
        failures = await asyncio.gather(*[refused(server.port, network=network, tls=trusting) for _ in range(AT_ONCE)])
    assert {failure.reason for failure, _ in failures} == {Reason.CONNECTION_RESET}


async def test_handshakes_that_are_given_up_meanwhile_leave_nothing_behind(ca: trustme.CA, trusting: TlsConfig) -> None:
    """Whenever they are cancelled, no transport stays in memory, and later handshakes succeed."""
    network, shake_hands = (
        Network(),
        over_tls(server_context(certificates.with_intermediate(ca, "good.test")), keep_silent),
    )

    def shake_hands_if_wanted(connection: socket.socket) -> None:
        with suppress(OSError):
            shake_hands(connection)

    with serve(shake_hands_if_wanted) as server:
        for delay_seconds in (0.0, 0.002, 0.004, 0.008, 0.016):
            tasks = [asyncio.create_task(hear(server, network, trusting)) for _ in range(AT_ONCE)]
            await asyncio.sleep(delay_seconds)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    with serve(over_tls(server_context(certificates.with_intermediate(ca, "good.test")), say(b"hi"))) as server:
        assert (await hear(server, network, trusting))[0] == b"hi"
    await until(lambda: network.tls.handshake_thread.under_way == 0)
    await until(lambda: not is_running())
