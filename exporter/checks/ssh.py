"""Type `ssh`: reads the banner of an SSH server, exchanges keys with it and judges its host key, without logging in.

Needs the extra `ssh`. A host key counts only once the server has proved in the key exchange that it has the private
key. Sources: RFC 4253, RFC 5656, RFC 8731.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from exporter.addresses import endpoint
from exporter.net.connection_facts import ADDRESS_SUBJECTS, RESOLUTION_METRICS
from exporter.plugin import (
    CheckFailed,
    CheckType,
    Endpoint,
    EveryAddressSettings,
    MetricSpec,
    ProxySettings,
    Reason,
    Result,
    Subject,
    ValueKind,
    current_attempt,
    open_stream,
    parse_host_port,
    phase_durations,
)
from exporter.settings import require_extra
from exporter.ssh.fingerprints import spelled_fingerprint
from exporter.ssh.hello import ServerHello

if TYPE_CHECKING:
    from exporter.plugin import Attempt, Check, CheckSettings, Stream

_READ_BYTES = 1 << 16
_PORT = 22

PHASES = phase_durations(
    "ssh",
    ("resolve", "connect", "banner", "kex"),
    "Seconds spent resolving, connecting, waiting for the banner and exchanging keys; 0 for a phase that was not "
    "reached",
)
KEYS_EXCHANGED = MetricSpec(
    name="probe_ssh_key_exchange_succeeded",
    help="1 when the server proved that it has the private part of its host key; else 0",
    defaults=(((), 0.0),),
)
HOST_KEY_INFO = MetricSpec(
    name="probe_ssh_host_key_info",
    help="Always 1; names the host key by its algorithm and its fingerprint; absent before the key exchange",
    labels=("algorithm", "fingerprint_sha256"),
)

BANNER = Subject(
    name="banner",
    kind=ValueKind.TEXT,
    description="The identification line, such as SSH-2.0-OpenSSH_9.2p1 Debian-2",
)
SOFTWARE = Subject(
    name="software", kind=ValueKind.TEXT, description="The software in the banner, such as OpenSSH_9.2p1"
)
HOST_KEY = Subject(
    name="host_key",
    kind=ValueKind.TEXTS,
    description="Fingerprint of the host key, SHA256:..; a public key is understood as its fingerprint",
    spelled=spelled_fingerprint,
)
HOST_KEY_ALGORITHM = Subject(
    name="host_key_algorithm", kind=ValueKind.TEXT, description="Algorithm of the host key, such as ssh-ed25519"
)
KEY_EXCHANGES = Subject(
    name="kex_algorithms", kind=ValueKind.TEXTS, description="Key exchange methods that the server offers"
)
HOST_KEYS_OFFERED = Subject(
    name="host_key_algorithms", kind=ValueKind.TEXTS, description="Host key algorithms that the server offers"
)
CIPHERS = Subject(name="ciphers", kind=ValueKind.TEXTS, description="Ciphers that the server offers")
MACS = Subject(name="macs", kind=ValueKind.TEXTS, description="Message authentication codes that the server offers")


class SshSettings(EveryAddressSettings, ProxySettings):
    """Settings of type `ssh`."""

    host_key_type: Literal["ed25519", "ecdsa", "rsa"] | None = Field(
        default=None, description="Type of the host key asked for; by default the first of these that the server has"
    )

    @model_validator(mode="after")
    def _require_extra(self) -> Self:
        require_extra("is of type ssh", "ssh", "asyncssh")
        return self


class PreparedSsh(NamedTuple):
    """The host and port of a check, parsed once when the configuration is loaded."""

    host: str
    port: int


def _prepare(check: Check[SshSettings]) -> PreparedSsh:
    return PreparedSsh(*parse_host_port(check.target, default_port=_PORT))


class SshCheckExecutor:
    """Exchanges keys with one server per check; lives as long as its batch."""

    async def execute(self, check: Check[SshSettings]) -> Result:
        """Read the banner, exchange keys and return the result."""
        settings, attempt = check.settings, current_attempt()
        prepared = check.prepared if isinstance(check.prepared, PreparedSsh) else _prepare(check)
        hello = ServerHello()
        async with await open_stream(prepared.host, prepared.port, settings) as stream:
            with attempt.phase("banner"):
                received = await _read_banner(stream, hello, attempt)
            try:
                with attempt.phase("kex"):
                    await _exchange_keys(stream, hello, received, settings, attempt)
            finally:
                _observe_algorithms(hello, attempt)
        return check.passed


async def _read_banner(stream: Stream, hello: ServerHello, attempt: Attempt) -> bytes:
    """Read until the banner has arrived and return everything received."""
    received = b""
    while not hello.banner:
        data = await stream.read(_READ_BYTES)
        if not data:
            raise CheckFailed(Reason.PROTOCOL, "the server closed the connection without a banner")
        received += data
        hello.feed(data)
    attempt.observe({BANNER.name: hello.banner, SOFTWARE.name: hello.software})
    attempt.note("heard", banner=hello.banner)
    return received


async def _exchange_keys(
    stream: Stream, hello: ServerHello, received: bytes, settings: SshSettings, attempt: Attempt
) -> None:
    from exporter.ssh.host_key import KEY_TYPES, exchange_keys  # noqa: PLC0415 - it needs the extra `ssh`

    key_types = (settings.host_key_type,) if settings.host_key_type else tuple(KEY_TYPES)
    key = await exchange_keys(stream, hello, received, key_types)
    attempt.measure(KEYS_EXCHANGED, 1.0)
    attempt.measure(HOST_KEY_INFO, 1.0, tuple(key))
    attempt.observe({HOST_KEY.name: (key.fingerprint,), HOST_KEY_ALGORITHM.name: key.algorithm})
    attempt.note("exchanged keys", algorithm=key.algorithm, fingerprint=key.fingerprint)


def _observe_algorithms(hello: ServerHello, attempt: Attempt) -> None:
    if (offered := hello.algorithms) is not None:
        attempt.observe(
            {
                KEY_EXCHANGES.name: offered.key_exchanges,
                HOST_KEYS_OFFERED.name: offered.host_keys,
                CIPHERS.name: offered.ciphers,
                MACS.name: offered.macs,
            }
        )


def _validate_target(target: str, settings: CheckSettings) -> str:
    return endpoint(*parse_host_port(target, default_port=_PORT))


SSH = CheckType(
    name="ssh",
    description="Reads an SSH server's banner and judges its host key and algorithms, without logging in",
    executor=lambda context: SshCheckExecutor(),
    prepare=_prepare,
    settings=SshSettings,
    phases=PHASES,
    metrics=(*RESOLUTION_METRICS, PHASES, KEYS_EXCHANGED, HOST_KEY_INFO),
    subjects=(
        BANNER,
        SOFTWARE,
        HOST_KEY,
        HOST_KEY_ALGORITHM,
        KEY_EXCHANGES,
        HOST_KEYS_OFFERED,
        CIPHERS,
        MACS,
        *ADDRESS_SUBJECTS,
    ),
    validate_target=_validate_target,
    endpoint=lambda check: Endpoint(*parse_host_port(check.target, default_port=_PORT)),
)
