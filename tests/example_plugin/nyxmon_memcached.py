"""Type `memcached`: logs in to a memcached server if configured, and asks for its version and its number of items.

Source: memcached's doc/protocol.txt, "Authentication", "Statistics" and "Other commands".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.plugin import (
    CONNECTION_METRICS,
    CONNECTION_SUBJECTS,
    Check,
    CheckFailed,
    CheckSettings,
    CheckType,
    Field,
    MetricSpec,
    NetworkSettings,
    ProxySettings,
    Reason,
    Result,
    SecretStr,
    SingleLine,
    Subject,
    TlsSettings,
    ValueKind,
    current_attempt,
    open_stream,
    parse_host_port,
    phase_durations,
)

if TYPE_CHECKING:
    from exporter.plugin import BatchContext, Stream

PHASES = phase_durations(
    "memcached",
    ("resolve", "connect", "tls", "login", "version", "stats"),
    "Seconds spent in each phase; 0 for a phase that was not reached",
)
ITEMS_METRIC = MetricSpec(name="probe_memcached_items", help="Items in the cache; absent when the server did not say")
VERSION = Subject(name="version", kind=ValueKind.TEXT, description="Version of the server, such as 1.6.40")
ITEMS = Subject(name="items", kind=ValueKind.NUMBER, description="Items in the cache")
_MOST_STATISTICS = 500


class MemcachedSettings(NetworkSettings, TlsSettings, ProxySettings):
    """Settings of type `memcached`."""

    tls: bool = Field(default=False, description="Use TLS and verify the certificate")
    username: SingleLine | None = Field(default=None, description="User name to log in with")
    password: SecretStr = Field(default=SecretStr(""), description="Password to log in with")


class MemcachedExecutor:
    """Asks memcached servers; lives as long as its batch."""

    def __init__(self, context: BatchContext) -> None:
        """Need nothing of the batch."""

    async def execute(self, check: Check[MemcachedSettings]) -> Result:
        """Ask the target for its version and statistics and return the result."""
        settings, attempt = check.settings, current_attempt()
        host, port = parse_host_port(check.target, default_port=11211)
        tls = settings.tls_config if settings.tls else None
        async with await open_stream(host, port, settings, tls=tls) as stream:
            if settings.username is not None:
                with attempt.phase("login"):
                    await _log_in(stream, f"{settings.username} {settings.password.get_secret_value()}")
            with attempt.phase("version"):
                version = await _ask(stream, b"version", b"VERSION ")
            attempt.observe({VERSION.name: version})
            with attempt.phase("stats"):
                items = await _count_items(stream)
        attempt.observe({ITEMS.name: items})
        attempt.measure(ITEMS_METRIC, items)
        attempt.note("answered", version=version, items=items)
        return check.passed


async def _log_in(stream: Stream, credentials: str) -> None:
    secret = credentials.encode()
    stream.write(b"set auth 0 0 %d\r\n%s\r\n" % (len(secret), secret))
    if await stream.read_line() != b"STORED":
        raise CheckFailed(Reason.AUTH, "the server rejected the user name or password")


async def _ask(stream: Stream, command: bytes, beginning: bytes) -> str:
    """Return the rest of a one-line answer that begins in a known way."""
    stream.write(command + b"\r\n")
    answer = await stream.read_line()
    if not answer.startswith(beginning):
        raise CheckFailed(Reason.PROTOCOL, f"the server answered {command!r} with {answer[:40]!r}")
    return answer.removeprefix(beginning).decode(errors="replace")


async def _count_items(stream: Stream) -> int:
    stream.write(b"stats\r\n")
    items = None
    for _ in range(_MOST_STATISTICS):
        words = (await stream.read_line()).split(b" ")
        if words == [b"END"] and items is not None:
            return items
        if words[0] != b"STAT" or len(words) < 3:
            break
        if words[1] == b"curr_items" and words[2].isdigit():
            items = int(words[2])
    raise CheckFailed(Reason.PROTOCOL, "the server sent statistics that cannot be understood")


def _validate_target(target: str, settings: CheckSettings) -> str:
    parse_host_port(target, default_port=11211)
    return target


MEMCACHED = CheckType(
    name="memcached",
    description="Asks a memcached server for its version and its number of items",
    executor=MemcachedExecutor,
    settings=MemcachedSettings,
    phases=PHASES,
    metrics=(*CONNECTION_METRICS, ITEMS_METRIC),
    subjects=(VERSION, ITEMS, *CONNECTION_SUBJECTS),
    validate_target=_validate_target,
)
