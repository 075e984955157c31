"""Read the system's hosts file and resolver configuration.

Source: hosts(5), resolv.conf(5). The options that change an answer or a wait are supported: ndots, timeout, attempts.
The name service switch is not: files come first, then DNS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from exporter.addresses import endpoint, parse_address
from exporter.host_names import ascii_name
from exporter.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEFAULT_SERVER = "127.0.0.1"  # resolv.conf(5): the local one when none is listed
_MAX_FILE_BYTES = 64 << 20  # blocklists have megabytes
_MAX_SERVERS = 3  # MAXNS in resolv.h: every program of the system ignores further ones


class NameServer(NamedTuple):
    """A DNS server's address and port."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        return self.address if self.port == 53 else endpoint(self.address, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverConfig:
    """How names are looked up.

    Attributes:
        servers: Tried in this order.
        search: Domains that a name with few dots is completed with.
        ndots: A name with at least this many dots is first looked up as it is.
        timeout_seconds: How long to wait for a server.
        attempts: How often each server is queried.
    """

    servers: tuple[NameServer, ...]
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout_seconds: float = 5.0
    attempts: int = 2


@dataclass(frozen=True, slots=True)
class SystemConfig:
    """The two files as they were read together.

    Attributes:
        hosts: Lower-case names with their addresses, in the order of the file.
        resolver: How other names are looked up.
    """

    hosts: Mapping[str, tuple[str, ...]] = field(repr=False)
    resolver: ResolverConfig


class SystemFiles:
    """Reads the two files when they have changed; lives as long as the process, and any thread may use it."""

    def __init__(
        self, *, hosts_file: str = "/etc/hosts", resolv_conf: str = "/etc/resolv.conf", dns_port: int = 53
    ) -> None:
        self._hosts_file = Path(hosts_file)
        self._resolv_conf = Path(resolv_conf)
        self._dns_port = dns_port  # the file cannot specify it
        self._lock = Lock()
        self._stamp: tuple[object, object] | None = None
        self._config: SystemConfig | None = None

    def read(self) -> SystemConfig:
        """Return the current contents; blocks while the files are read. A file that cannot be read counts as empty."""
        with self._lock:
            stamp = (_stamp(self._hosts_file), _stamp(self._resolv_conf))
            if self._config is None or stamp != self._stamp:
                self._config = SystemConfig(
                    parse_hosts(_text(self._hosts_file)), parse_resolv_conf(_text(self._resolv_conf), self._dns_port)
                )
                self._stamp = stamp
            return self._config


def parse_hosts(text: str) -> dict[str, tuple[str, ...]]:
    """Parse a hosts file; addresses are checked only when their name is looked up, because blocklists are long."""
    hosts: dict[str, tuple[str, ...]] = {}
    for words in _lines(text, "#"):
        for name in words[1:]:
            key = _ascii(name).lower().removesuffix(".")
            hosts[key] = (*hosts.get(key, ()), words[0])
    return hosts


def parse_resolv_conf(text: str, port: int = 53) -> ResolverConfig:
    """Parse a resolver configuration; missing options have the defaults of resolv.conf(5)."""
    servers: list[NameServer] = []
    search: tuple[str, ...] = ()
    options: dict[str, int] = {}
    for words in _lines(text, "#;"):
        if words[0] == "nameserver" and len(words) > 1:
            if (address := parse_address(words[1])) is not None:
                servers.append(NameServer(address.text, port))
        elif words[0] in ("search", "domain"):
            search = tuple(_ascii(domain.strip(".")) for domain in words[1:] if domain.strip("."))
        elif words[0] == "options":
            options.update(_options(words[1:]))
    return ResolverConfig(
        servers=tuple(servers[:_MAX_SERVERS]) or (NameServer(_DEFAULT_SERVER, port),),
        search=search,
        ndots=min(options.get("ndots", 1), 15),
        timeout_seconds=float(min(max(options.get("timeout", 5), 1), 30)),
        attempts=min(max(options.get("attempts", 2), 1), 5),
    )


def _ascii(name: str) -> str:
    """Return a name in ASCII; one without an ASCII form is unchanged, and matches nothing."""
    try:
        return name if name.isascii() else ascii_name(name)
    except ValueError:
        return name


def _options(words: list[str]) -> Iterator[tuple[str, int]]:
    for word in words:
        name, _, number = word.partition(":")
        if number.isascii() and number.isdigit():
            yield name, int(number)


def _lines(text: str, comment_signs: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        for sign in comment_signs:
            line = line.partition(sign)[0]  # noqa: PLW2901 - the line is stripped step by step
        if words := line.split():
            yield words


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _text(path: Path) -> str:
    try:
        return read_regular(path, _MAX_FILE_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
