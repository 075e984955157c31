"""Look up names with the system's getaddrinfo(3), in a limited number of threads.

For names that only the name service switch knows: multicast DNS, LDAP, the resolver of a VPN. Such a lookup cannot be
cancelled. When no check waits for it any more, it keeps its one thread until the system gives up; a new request for the
same name joins it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from concurrent.futures import Future
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.addresses import parse_address
from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.dns.stub import LookupAnswer, address_question
from exporter.net.errors import reason_of_errno
from exporter.thread_pool import ThreadPool

if TYPE_CHECKING:
    from exporter.addresses import Address
    from exporter.net.dns.address_queue import Outcome

MAX_RESOLVER_THREADS = 32

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_NO_SUCH_NAME = socket.EAI_NONAME
_NO_ADDRESS = frozenset(getattr(socket, name) for name in ("EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name))
_MEANINGS = {
    socket.EAI_AGAIN: (Reason.RESOLVE, "no name server answered, or one failed for now (EAI_AGAIN)"),
    socket.EAI_FAIL: (Reason.RESOLVE, "a name server refused or failed for good (EAI_FAIL)"),
    socket.EAI_MEMORY: (Reason.LOCAL, "there was no memory for it (EAI_MEMORY)"),
}
"""Source: getaddrinfo(3)."""


class _Key(NamedTuple):
    name: str
    version: int


class _Lookup:
    """One lookup, waiting for a thread or running in one; lives until the system answers."""

    __slots__ = ("begun", "key", "waiters")

    def __init__(self, key: _Key, waiter: Future[Outcome]) -> None:
        self.key = key
        self.begun = False
        self.waiters = [waiter]


class ResolverThreads:
    """Calls getaddrinfo in threads that live while there are lookups; shared by batches and event loops."""

    def __init__(self, limit: int = MAX_RESOLVER_THREADS) -> None:
        """Create the pool; no thread is started yet.

        Args:
            limit: Maximum number of threads. Further names wait for one.
        """
        self._threads = ThreadPool("nyxmon-resolver", limit)
        self._lock = threading.Lock()
        self._lookups: dict[_Key, _Lookup] = {}

    @property
    def busy(self) -> int:
        """Number of threads with a running lookup."""
        with self._lock:
            return sum(lookup.begun for lookup in self._lookups.values())

    async def look_up(self, name: str, version: int) -> LookupAnswer:
        """Ask the system for the addresses of a name; concurrent requests for the same name share a lookup.

        Args:
            name: ASCII name.
            version: 4 or 6.

        Raises:
            CheckFailed: With reason `resolve` when the system could not answer or the name is invalid; with `local`
                when this host lacks what the lookup needs.
        """
        if not (name.isascii() and name.isprintable()) or address_question(name, version) is None:
            raise CheckFailed(Reason.RESOLVE, f"{name} is not a domain name")
        outcome = await asyncio.wrap_future(self._ask(_Key(name, version)))
        if isinstance(outcome, CheckFailed):
            raise outcome.fresh_copy()
        return outcome

    def obstacle(self, name: str) -> str:
        """Return why a lookup of the name cannot start; empty when nothing prevents it."""
        threads = self._threads
        with self._lock:
            waits = any(not lookup.begun for key, lookup in self._lookups.items() if key.name == name)
        return f"all {threads.limit} resolver threads are busy" if waits and threads.threads == threads.limit else ""

    def _ask(self, key: _Key) -> Future[Outcome]:
        waiter: Future[Outcome] = Future()
        with self._lock:
            lookup = self._lookups.get(key)
            if lookup is not None:
                lookup.waiters = [other for other in lookup.waiters if not other.cancelled()]
                lookup.waiters.append(waiter)
                return waiter
            lookup = self._lookups[key] = _Lookup(key, waiter)
        if not self._threads.add(partial(self._run, lookup)):
            detail = f"{key.name} could not be looked up: there is no thread for it"
            self._end(lookup, CheckFailed(Reason.LOCAL, detail))
        return waiter

    def _run(self, lookup: _Lookup) -> None:
        """Ask the system, unless no check waits for the answer any more."""
        with self._lock:
            if all(waiter.cancelled() for waiter in lookup.waiters):
                del self._lookups[lookup.key]
                return
            lookup.begun = True
        self._end(lookup, _ask_system(*lookup.key))

    def _end(self, lookup: _Lookup, outcome: Outcome) -> None:
        with self._lock:
            del self._lookups[lookup.key]
        for waiter in lookup.waiters:
            if waiter.set_running_or_notify_cancel():
                waiter.set_result(outcome)


def _ask_system(name: str, version: int) -> Outcome:
    started = perf_counter()
    exists = True
    addresses: tuple[Address, ...] = ()
    try:
        found = socket.getaddrinfo(name.encode("ascii"), None, family=_FAMILIES[version], type=socket.SOCK_STREAM)
    except OSError as error:
        exists = error.errno != _NO_SUCH_NAME
        if not isinstance(error, socket.gaierror) or (exists and error.errno not in _NO_ADDRESS):
            return system_failure(name, error)
    else:
        addresses = tuple(filter(None, (address_of(place) for *_, place in found)))
    return LookupAnswer(addresses, exists, perf_counter() - started)


def address_of(place: tuple[Any, ...]) -> Address | None:
    """Return the address in a socket address; a link-local one has its interface number as zone (RFC 4007)."""
    host, zone = place[0], place[3] if len(place) > 3 else 0
    return parse_address(f"{host}%{zone}" if zone else host)


def system_failure(name: str, error: OSError) -> CheckFailed:
    """Return the failure for a getaddrinfo error other than a missing address or an invalid name."""
    number = error.errno or 0
    if not isinstance(error, socket.gaierror):  # EAI_SYSTEM, reported as the system's error
        local = reason_of_errno(number, Reason.LOCAL) is Reason.LOCAL
        reason, says = Reason.LOCAL if local else Reason.RESOLVE, os.strerror(number).lower()
    else:
        reason, says = _MEANINGS.get(number, (Reason.RESOLVE, f"its error code is {number}"))
    return CheckFailed(reason, f"{name} could not be looked up by the system: {says}")
