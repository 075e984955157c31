"""dnsmasq that knows only the names that the test configures."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.message
import dns.query

from tests.servers.process import ServerProcess, free_port, server_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Dnsmasq(NamedTuple):
    """A running dnsmasq; `server` is the value for a check's `server` or `resolver`."""

    process: ServerProcess
    port: int

    @property
    def server(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self.port}"


@contextmanager
def run_dnsmasq(directory: Path, options: Sequence[str]) -> Iterator[Dnsmasq]:
    """Run dnsmasq for the duration of the block, on UDP and TCP of one port of 127.0.0.1.

    Args:
        directory: Where its log is kept.
        options: Its records, such as `--host-record=www.test,192.0.2.1,2001:db8::1` or `--txt-record=www.test,hi`.
    """
    program = server_program("dnsmasq", "dnsmasq-base")
    port = free_port()
    command = [
        program,
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        f"--port={port}",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        *options,
    ]
    with ServerProcess(command, directory=directory, is_ready=lambda: answers_dns(port)) as process:
        yield Dnsmasq(process, port)


def answers_dns(port: int) -> bool:
    """Whether a query over UDP gets any answer."""
    try:
        dns.query.udp(dns.message.make_query("ready.invalid", "A"), "127.0.0.1", port=port, timeout=0.2)
    except (dns.exception.DNSException, OSError):
        return False
    return True
