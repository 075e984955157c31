"""Type `ssh` against OpenSSH's server and against servers that fail in every way a server can."""

from __future__ import annotations

import re
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from exporter.checks.ssh import SSH
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, Result, ResultStatus
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers.proxy import run_proxy
from tests.servers.sshd import run_sshd
from tests.servers.tcp import (
    black_hole,
    close,
    closed_port,
    drip,
    keep_silent,
    relay_slowly,
    reset,
    say,
    say_and_close,
    serve,
)
from tests.ssh.test_hello import BANNER, kexinit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    import _pytest.tmpdir

    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.sshd import Sshd
    from tests.servers.tcp import Behaviour


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `ssh` and whose loop stays warm."""
    with warm_runner(SSH) as runner:
        yield runner


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: _pytest.tmpdir.TempPathFactory) -> Iterator[Sshd]:
    """OpenSSH's server with a key of every type."""
    with run_sshd(tmp_path_factory.mktemp("sshd"), ("ed25519", "ecdsa", "rsa"), ("MaxStartups=100",)) as sshd:
        yield sshd


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""
    return partial(run_as_written, runner, SSH)


def test_openssh_is_ok(run: Callable[..., Result], sshd: Sshd) -> None:
    """Phases and address are measured, and the host key is named by its fingerprint."""
    result = run(f"127.0.0.1:{sshd.port}")
    assert outcome(result) == (ResultStatus.OK, None, "")
    values = measured(result)
    for phase in ("connect", "banner", "kex"):
        assert values.pop(f"probe_ssh_duration_seconds{{{phase}}}") > 0
    assert values.pop("probe_ip_addr_hash") > 0
    assert values.pop("probe_dns_lookup_time_seconds") >= values.pop("probe_ssh_duration_seconds{resolve}") >= 0
    assert values == {
        "probe_ip_protocol": 4,
        "probe_ssh_key_exchange_succeeded": 1,
        f"probe_ssh_host_key_info{{ssh-ed25519}}{{{sshd.fingerprints['ed25519']}}}": 1,
    }


@pytest.mark.parametrize("key_type", ["ed25519", "ecdsa", "rsa"])
def test_each_type_of_key_can_be_asked_for(key_type: str, run: Callable[..., Result], sshd: Sshd) -> None:
    """The fingerprint is what ssh-keygen prints for the key of that type."""
    expect = f'expect: [{{host_key: {{any_of: ["{sshd.fingerprints[key_type]}"]}}}}]'
    assert outcome(run(f"127.0.0.1:{sshd.port}", f"host_key_type: {key_type}, {expect}")) == (ResultStatus.OK, None, "")


def test_another_host_key_fails(run: Callable[..., Result], sshd: Sshd) -> None:
    """A pinned key that the server does not have is a missed expectation that shows the observed one."""
    pinned = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
    result = run(f"127.0.0.1:{sshd.port}", f'expect: [{{host_key: {{any_of: ["{pinned}"]}}}}]')
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.EXPECTATION)
    assert result.expectations[0].observed == sshd.fingerprints["ed25519"]


def test_banner_and_algorithms_are_judged(run: Callable[..., Result], sshd: Sshd) -> None:
    """Software and what the server offers have subjects."""
    expect = (
        "expect: [{banner: {matches: '^SSH-2.0-OpenSSH_'}}, {software: {contains: OpenSSH}}, "
        "{ciphers: {none_of: [3des-cbc]}}, {macs: {any_of: [hmac-sha2-256]}}, "
        "{kex_algorithms: {any_of: [curve25519-sha256]}}, "
        "{host_key_algorithms: {all_of: [ssh-ed25519, rsa-sha2-512]}}, "
        "{host_key_algorithm: ssh-ed25519}]"
    )
    assert outcome(run(f"127.0.0.1:{sshd.port}", expect)) == (ResultStatus.OK, None, "")


def test_a_server_without_common_algorithms_is_still_described(
    run: Callable[..., Result], tmp_path_factory: _pytest.tmpdir.TempPathFactory
) -> None:
    """The key exchange fails with reason protocol, and the offered algorithms are still judged."""
    with run_sshd(
        tmp_path_factory.mktemp("old"), options=("KexAlgorithms=diffie-hellman-group-exchange-sha256",)
    ) as old:
        result = run(f"127.0.0.1:{old.port}", "expect: [{kex_algorithms: {any_of: [curve25519-sha256]}}]")
    assert (result.status, result.reason) == (ResultStatus.ERROR, Reason.PROTOCOL)
    assert result.detail == "the key exchange failed: the server offers no method that this client has"
    assert result.expectations[0].observed == "diffie-hellman-group-exchange-sha256"
    assert "probe_ssh_key_exchange_succeeded" not in measured(result)


def test_slow_servers_and_proxies_work(run: Callable[..., Result], sshd: Sshd) -> None:
    """Bytes may arrive one at a time, and the connection may go through a proxy."""
    with serve(relay_slowly(sshd.port)) as server:
        assert run(server.target).status is ResultStatus.OK
    with run_proxy() as proxy:
        assert run(f"127.0.0.1:{sshd.port}", f'proxy: "http://127.0.0.1:{proxy.port}"').status is ResultStatus.OK


def test_names_why_a_port_cannot_be_connected_to(run: Callable[..., Result]) -> None:
    """A refusal and a black hole have their reasons."""
    with closed_port() as port:
        assert run(f"127.0.0.1:{port}").reason is Reason.CONNECT_REFUSED
    with black_hole() as port:
        assert run(f"127.0.0.1:{port}", timeout="400ms").reason is Reason.CONNECT_TIMEOUT


def hear_then(behave: Behaviour) -> Behaviour:
    """Send the banner and the algorithms, receive those of the client, then behave."""

    def behave_afterwards(connection: socket.socket) -> None:
        connection.sendall(BANNER + kexinit())
        heard = 0
        while heard < 500:
            heard += len(connection.recv(65536))
        behave(connection)

    return behave_afterwards


def flood(connection: socket.socket) -> None:
    """Send packets of garbage without end."""
    while True:
        connection.sendall(b"\0\0\x10\0" + bytes(4096))


@pytest.mark.parametrize(
    ("behave", "reason", "detail"),
    [
        (keep_silent, Reason.TIMEOUT, r"not done within the timeout of 1 s, in the phase banner"),
        (drip(b"x" * 1000, 0.02), Reason.TIMEOUT, r"not done within the timeout of 1 s, in the phase banner"),
        (say(BANNER), Reason.TIMEOUT, r"not done within the timeout of 1 s, in the phase kex"),
        (say(BANNER + kexinit()), Reason.TIMEOUT, r"not done within the timeout of 1 s, in the phase kex"),
        (close, Reason.PROTOCOL, "the server closed the connection without a banner"),
        (say_and_close(b"SSH-2.0"), Reason.PROTOCOL, "the server closed the connection without a banner"),
        (say(b"220 mail ESMTP\r\n" * 60), Reason.PROTOCOL, "the server does not speak SSH: it says '220 mail ESMTP'"),
        (say(b"x" * 100_000), Reason.PROTOCOL, "the server does not speak SSH: it says 'x+'"),
        (say(b"SSH-1.5-old\n"), Reason.PROTOCOL, r"the server does not speak SSH 2\.0: it says 'SSH-1\.5-old'"),
        (say(BANNER + b"\xff" * 100), Reason.PROTOCOL, "the server breaks the SSH protocol: a packet of .*"),
        (hear_then(close), Reason.PROTOCOL, "the server closed the connection during the key exchange"),
        (hear_then(reset), Reason.CONNECTION_RESET, "connection reset by peer.*"),
        (hear_then(say(b"\0\0\0\x0c\x0a\xff" + bytes(10))), Reason.PROTOCOL, "the key exchange failed: .*"),
        (hear_then(flood), Reason.PROTOCOL, "the key exchange failed: .*"),
    ],
)  # fmt: skip
def test_bad_servers_have_reasons(behave: Behaviour, reason: Reason, detail: str, run: Callable[..., Result]) -> None:
    """Silence in every place ends at the time limit, and everything else says what was wrong."""
    with serve(behave) as server:
        result = run(server.target, timeout="1s")
    assert (result.status, result.reason) == (ResultStatus.ERROR, reason)
    assert re.fullmatch(detail, result.detail)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without asyncssh a check of this type is rejected, with what to install."""
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'nyxmon-exporter[ssh]'")):
        parse_config("checks: [{name: it, type: ssh, target: a.test}]", "checks.yml", {"ssh": SSH})


def test_the_client_says_who_it_is(run: Callable[..., Result]) -> None:
    """The server sees the exporter's name and version in the client's banner."""
    heard: list[bytes] = []

    def hear(connection: socket.socket) -> None:
        connection.sendall(BANNER)
        heard.append(connection.recv(65536))

    with serve(hear) as server:
        run(server.target)
    assert heard[0].startswith(b"SSH-2.0-nyxmon_exporter_")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("target: 'ssh://a.test'", "is a URL; write a.test"),
        ("target: a.test, host_key_type: dsa", "host_key_type"),
        (
            "target: a.test, expect: [{host_key: {any_of: ['MD5:aa']}}]",
            "is not a fingerprint as ssh-keygen -l prints it",
        ),
    ],
)
def test_mistakes_are_rejected_when_loaded(keys: str, problem: str) -> None:
    """Targets and keys that can never be observed are rejected."""
    with pytest.raises(ConfigError, match=re.escape(problem)):
        parse_config(f"checks: [{{name: it, type: ssh, {keys}}}]", "checks.yml", {"ssh": SSH})
