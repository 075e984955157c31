"""The demo's targets: servers for the web, names, mail, time and gRPC, control ports, and a closed port."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from exporter.demo.clock import DemoTimeServer
from exporter.demo.control import ControlDatagrams, serve_control
from exporter.demo.extras import EXTRAS
from exporter.demo.grpc import serve_health
from exporter.demo.mail import DemoMailServer
from exporter.demo.names import DemoNameServer
from exporter.demo.web import serve_web
from exporter.icmp.sockets import may_ping

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.demo.certificates import DemoCertificates

    Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_HOST = "127.0.0.1"
_MAX_HEAD_BYTES = 16384


class DemoTargets:
    """The running targets; lives as long as the demo and is used on the demo's loop only."""

    def __init__(self, certificates: DemoCertificates) -> None:
        self._certificates = certificates
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[asyncio.BaseTransport] = []
        self._closings: list[Callable[[], None]] = []
        self._deaf = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    async def start(self) -> dict[str, str]:
        """Start every target on a free port and return their addresses, by the names that `checks.yml` uses.

        Raises:
            OSError: When there is no free port.
        """
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self._certificates.chain_file)
        mail = DemoMailServer(tls)
        name_server, names = await asyncio.get_running_loop().create_datagram_endpoint(
            DemoNameServer, local_addr=(_HOST, 0)
        )
        time_server, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            DemoTimeServer, local_addr=(_HOST, 0)
        )
        self._datagrams += [name_server, time_server]
        control, _ = await asyncio.get_running_loop().create_datagram_endpoint(ControlDatagrams, local_addr=(_HOST, 0))
        self._datagrams.append(control)
        socket_file = str(self._certificates.ca_file.with_name("control.sock"))
        self._servers.append(await asyncio.start_unix_server(serve_control, socket_file))
        self._deaf.bind((_HOST, 0))
        return {
            **await self._start_extras(),
            "web": await self._listen(serve_web),
            "web_tls": await self._listen(serve_web, tls),
            "mail": await self._listen(mail.speak_smtp),
            "imap": await self._listen(mail.speak_imap, tls),
            "pop3": await self._listen(mail.speak_pop3, tls),
            "grpc": await self._listen(serve_health),
            "dns": _address(name_server.get_extra_info("sockname")),
            "may_ping": "true" if may_ping() else "false",
            "dns_tls": await self._listen(names.converse, tls),
            "clock": _address(time_server.get_extra_info("sockname")),
            "socket": socket_file,
            "datagrams": _address(control.get_extra_info("sockname")),
            "closed": _address(self._deaf.getsockname()),
        }

    async def stop(self) -> None:
        """Close every target."""
        self._deaf.close()
        for datagrams in self._datagrams:
            datagrams.close()
        for server in self._servers:
            server.close()
        for close in self._closings:
            close()

    async def _start_extras(self) -> dict[str, str]:
        addresses = {}
        for extra in EXTRAS:
            if extra.is_installed:
                target = await extra.listen(_HOST)
                self._closings.append(target.close)
                addresses[extra.name] = _address((_HOST, target.port))
        return addresses

    async def _listen(self, serve: Conversation, tls: ssl.SSLContext | None = None) -> str:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.CancelledError):  # at the end of the demo; asyncio before 3.12 would log it
                await serve(reader, writer)

        server = await asyncio.start_server(converse, _HOST, 0, ssl=tls, limit=_MAX_HEAD_BYTES)
        self._servers.append(server)
        return _address(server.sockets[0].getsockname())


def _address(name: tuple[str, int]) -> str:
    return f"{name[0]}:{name[1]}"
