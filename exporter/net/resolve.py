"""From a target's name to one address.

First version: asks the system in a thread; replaced by the own resolver.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING

from exporter.errors import CheckFailed
from exporter.model import Reason

if TYPE_CHECKING:
    from exporter.settings import NetworkSettings


class Lookups:
    """Lookups of one batch."""

    async def address(self, host: str, settings: NetworkSettings) -> str:
        """Give the address to connect to."""
        try:
            return str(ip_address(host))
        except ValueError:
            pass
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_STREAM)
        except OSError as error:
            raise CheckFailed(Reason.RESOLVE, f"{host} cannot be resolved") from error
        wanted = (socket.AF_INET6, socket.AF_INET) if settings.ip_protocol.endswith("6") else (socket.AF_INET, socket.AF_INET6)
        for family in wanted[: 1 if settings.ip_protocol in ("ip4", "ip6") else 2]:
            for one in found:
                if one[0] == family:
                    return str(one[4][0])
        raise CheckFailed(Reason.RESOLVE, f"{host} has no address of the wanted family")
