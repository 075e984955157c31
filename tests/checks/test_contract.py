"""What every built-in check type promises, whichever protocol it speaks; a new type is covered once it is listed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from exporter.checks.builtin import BUILTIN
from exporter.config import parse_config
from exporter.config.json_schema import json_schema
from exporter.config.model_fields import fields_of
from exporter.errors import ConfigError
from exporter.model import MetricSpec, Reason, ResultStatus
from tests.checks.running import warm_runner
from tests.readme_blocks import TEXTS
from tests.servers.datagrams import serve_datagrams
from tests.servers.exporter import run_exporter
from tests.servers.tcp import serve
from tests.servers.unix import serve_unix

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from exporter.checks.base import CheckType
    from exporter.model import Check, Result

TYPES = {check_type.name: check_type for check_type in BUILTIN}
TIMEOUT, LONG_TIMEOUT = "700ms", "4s"
CANARY = "c4nary-in-a-c0al-mine"
GARBAGE = b"\x00\xfe\xff garbage\r\n\r\n" * 20
LOGIN = {"username": "u@mail.example", "password": CANARY}
IMAP = {"target": "127.0.0.1:{port}", "tls": "none", "insecure_auth": True, **LOGIN}
DIALOGUE = [{"name": "ask", "send": "hello"}, {"name": "hear", "expect": "^welcome"}]
STEPS = ("ask", "hear")


@dataclass(frozen=True, kw_only=True)
class Aim:
    """How to aim a type at a peer on 127.0.0.1.

    Attributes:
        target: The target, with {port}, which is a path if the peer listens on a Unix socket.
        keys: Further keys of the check.
        secrets: Keys that hold the canary.
        steps: The phases that its keys name, besides those that the type declares.
        transport: What the peer listens on, or `program` for one that is run; empty for type `icmp`, whose tests
            have their own hosts, which are silent and send garbage.
        on_silence: The reason of a check whose peer says nothing.
        on_garbage: The reason of a check whose peer sends garbage.
    """

    target: str = "127.0.0.1:{port}"
    keys: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    transport: Literal["tcp", "udp", "unix", "program", ""] = "tcp"
    on_silence: Reason = Reason.TIMEOUT
    on_garbage: Reason = Reason.PROTOCOL


AIMS: dict[str, Aim] = {
    "http": Aim(target="http://127.0.0.1:{port}/", secrets={"bearer_token": CANARY}),
    "json-http": Aim(target="http://127.0.0.1:{port}/", secrets={"basic_auth": {"username": "u", "password": CANARY}}),
    "dns": Aim(target="www.example", keys={"server": "127.0.0.1:{port}"}, transport="udp"),
    "tcp": Aim(keys={"expect": [{"banner": {"contains": "hello"}}]}, on_garbage=Reason.EXPECTATION),
    "grpc": Aim(keys={"tls": False}),
    "websocket": Aim(target="ws://127.0.0.1:{port}/", secrets={"bearer_token": CANARY}),
    "smtp": Aim(keys={"tls": "none"}),
    "imap": Aim(keys={"tls": "none", "insecure_auth": True}, secrets=LOGIN),
    "pop3": Aim(keys={"tls": "none", "insecure_auth": True}, secrets=LOGIN),
    "ssh": Aim(on_garbage=Reason.TIMEOUT),  # other lines may come before the banner, RFC 4253 section 4.2
    "mail-roundtrip": Aim(
        keys={"tls": "none", "insecure_auth": True, "from": "a@x.example", "to": "b@x.example", **LOGIN, "imap": IMAP},
        secrets=LOGIN,
    ),
    "icmp": Aim(target="127.0.0.1", transport=""),
    "ntp": Aim(transport="udp"),
    "udp": Aim(keys={"dialogue": DIALOGUE}, steps=STEPS, transport="udp", on_garbage=Reason.TIMEOUT),
    "unix": Aim(target="{port}", keys={"dialogue": DIALOGUE}, steps=STEPS, transport="unix", on_garbage=Reason.TIMEOUT),
    "domain": Aim(target="shop.example", keys={"protocol": "rdap", "rdap_server": "http://127.0.0.1:{port}/"}),
    "http-steps": Aim(
        target="http://127.0.0.1:{port}/",
        keys={"steps": [{"name": "ask", "url": "/"}, {"name": "hear", "url": "/"}]},
        secrets={"steps": [{"name": "ask", "url": "/", "headers": {"Authorization": CANARY}}]},
        steps=STEPS,
    ),
    "certificate": Aim(on_garbage=Reason.TLS),
    "exec": Aim(
        target="app.example",
        keys={"command": ["{port}"]},
        secrets={"environment": {"TOKEN": CANARY}},
        transport="program",
        on_garbage=Reason.STATUS,
    ),
}
"""A type that is not listed is aimed at a TCP port."""


def aim_at(check_type: CheckType) -> Aim:
    return AIMS.get(check_type.name, Aim())


ALL = pytest.mark.parametrize("check_type", BUILTIN, ids=lambda check_type: check_type.name)
PEERED = pytest.mark.parametrize(
    "check_type",
    [one for one in BUILTIN if aim_at(one).transport],
    ids=lambda check_type: check_type.name,
)


def aimed(value: Any, port: int | str) -> Any:
    """A value of the document with {port} replaced wherever it stands."""
    if isinstance(value, dict):
        return {key: aimed(each, port) for key, each in value.items()}
    if isinstance(value, list):
        return [aimed(each, port) for each in value]
    return value.replace("{port}", str(port)) if isinstance(value, str) else value


def written(check_type: CheckType, port: int | str, *, secret: bool = False) -> dict[str, Any]:
    """A check of a type, as its keys are written in YAML."""
    how = aim_at(check_type)
    return {
        "name": check_type.name,
        "type": check_type.name,
        "target": aimed(how.target, port),
        "timeout": TIMEOUT,
        **aimed(how.keys, port),
        **(how.secrets if secret or check_type.name in ("imap", "pop3") else {}),
    }


def check_of(check_type: CheckType, port: int | str) -> Check:
    (check,) = parse_config(
        json.dumps({"checks": [written(check_type, port)]}), "f.yml", TYPES, allow_programs=True
    ).checks
    return check


@contextmanager
def peer(check_type: CheckType, answer: bytes | None) -> Iterator[int | str]:
    """A peer with one answer to everything, or a silent one; one on TCP or a Unix socket speaks first.

    A program prints the answer and exits with 2 for critical; a silent one does not end.
    """
    transport, talk = aim_at(check_type).transport, partial(_talk, answer)
    if transport == "udp":
        with serve_datagrams(lambda _: [] if answer is None else [answer]) as port:
            yield port
    elif transport == "unix":
        with TemporaryDirectory() as directory, serve_unix(f"{directory}/socket", talk):
            yield f"{directory}/socket"
    elif transport == "program":
        with TemporaryDirectory() as directory:
            yield _program(Path(directory), answer)
    else:
        with serve(talk) as server:
            yield server.port


def _program(directory: Path, answer: bytes | None) -> str:
    (directory / "output").write_bytes(answer or b"")
    file = directory / "program"
    rest = "exec sleep 60" if answer is None else f"cat {directory}/output; exit 2"
    file.write_text(f"#!/bin/sh\n{rest}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


def _talk(answer: bytes | None, connection: socket.socket) -> None:
    if answer is not None:
        connection.sendall(answer)
    while connection.recv(65536):
        pass


def run(check_type: CheckType, answer: bytes | None) -> Result:
    """The result of one check against such a peer."""
    results: list[Result] = []
    with peer(check_type, answer) as port, warm_runner(check_type) as runner:
        runner.run_all([check_of(check_type, port)], results.append)
    return results[0]


@ALL
def test_the_schema_has_the_type(check_type: CheckType) -> None:
    """Editors learn the type's keys, each with a description."""
    definitions = json_schema(TYPES)["$defs"]
    keys = definitions[f"keys-{check_type.name}"]
    assert keys["description"] == check_type.description
    own = fields_of(check_type.settings).keys
    assert [key for key in own if not keys["properties"][key].get("description")] == []


@ALL
def test_the_reference_has_the_type(check_type: CheckType) -> None:
    """The reference lists the type with a link to its section, and has an example of it that loads."""
    reference = TEXTS["exporter/checks/README.md"]
    row = rf"\| \[`{check_type.name}`\]\(#[a-z0-9-]+\) \| {re.escape(check_type.description)} \|"
    assert re.search(row, reference)
    assert f"type: {check_type.name}\n" in reference


@ALL
def test_bad_settings_are_rejected_with_their_place(check_type: CheckType) -> None:
    """A key that does not exist is reported with line and column, whatever the type."""
    keys = written(check_type, 1)
    text = f"checks:\n  - name: a\n    type: {check_type.name}\n    target: {keys['target']}\n    nonsense: 1\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "f.yml", TYPES)
    assert "f.yml:5:5: checks[0].nonsense: is not a valid key" in str(caught.value)


@ALL
def test_phases_are_declared_as_the_contract_says(check_type: CheckType) -> None:
    """Every type has one family of durations by phase, with a default of 0 for each."""
    (spec,) = [spec for spec in check_type.metrics if spec.labels == ("phase",)]
    assert spec.name.startswith("probe_")
    assert spec.name.endswith("_duration_seconds")
    assert {value for _, value in spec.defaults} == {0.0}


def phases_of(check_type: CheckType) -> list[str]:
    declared = [label for spec in check_type.metrics if spec.labels == ("phase",) for (label,), _ in spec.defaults]
    return [*declared, *aim_at(check_type).steps]


def is_declared(check_type: CheckType, result: Result) -> bool:
    """Whether everything measured is declared, and no series with defaults has labels of its own."""
    known: dict[MetricSpec, set[tuple[str, ...]]] = {
        spec: {(phase,) for phase in phases_of(check_type)}
        if spec.labels == ("phase",)
        else {labels for labels, _ in spec.defaults}
        for spec in check_type.metrics
    }
    return all(
        one.spec in known and (not known[one.spec] or one.labels in known[one.spec]) for one in result.measurements
    )


@PEERED
def test_a_silent_peer_ends_the_check_in_time_with_its_phase(check_type: CheckType) -> None:
    """The check ends at its timeout, and the report names the phase."""
    began = time.monotonic()
    result = run(check_type, None)
    seconds = time.monotonic() - began
    assert (result.status, result.reason) == (ResultStatus.ERROR, aim_at(check_type).on_silence)
    assert "in the phase " in result.detail
    assert result.detail.partition("in the phase ")[2].partition(":")[0] in phases_of(check_type)
    assert seconds < 10
    assert is_declared(check_type, result)


@PEERED
def test_a_peer_that_sends_garbage_breaks_the_protocol(check_type: CheckType) -> None:
    """The check fails with one sentence and the right reason."""
    result = run(check_type, GARBAGE)
    assert (result.status, result.reason) == (ResultStatus.ERROR, aim_at(check_type).on_garbage)
    assert result.detail
    assert "\n" not in result.detail
    assert is_declared(check_type, result)


class Held(NamedTuple):
    """What this process holds: file descriptors, threads, and tasks on the loop of the checks."""

    descriptors: int
    threads: int
    tasks: int


def held(loop: asyncio.AbstractEventLoop) -> Held:
    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    tasks = asyncio.run_coroutine_threadsafe(count(), loop).result(10)
    return Held(len(os.listdir("/proc/self/fd")), threading.active_count(), tasks)  # noqa: PTH208 - the number alone


@PEERED
def test_nothing_is_left_of_a_check(check_type: CheckType) -> None:
    """After checks against a silent and a garbage peer there are as many files, threads and tasks as before."""
    with ExitStack() as stack:
        ports = [stack.enter_context(peer(check_type, answer)) for answer in (None, GARBAGE)]
        checks = [check_of(check_type, port) for port in ports]
        runner = stack.enter_context(warm_runner(check_type))
        runner.run_all(checks, lambda _: None)
        loop = runner.loop or _loop_of(runner)
        before = settled(loop, lambda now: True)
        for _ in range(3):
            runner.run_all(checks, lambda _: None)
        after = settled(loop, lambda now: now <= before)
    assert after <= before


def _loop_of(runner: Any) -> asyncio.AbstractEventLoop:
    with runner.portal_provider as portal:
        loop: asyncio.AbstractEventLoop = portal.call(asyncio.get_running_loop)
        return loop


def settled(loop: asyncio.AbstractEventLoop, enough: Callable[[Held], bool]) -> Held:
    """What is held once the peers' threads have seen the ends of their connections."""
    ends = time.monotonic() + 10
    time.sleep(0.3)
    while not enough(now := held(loop)) and time.monotonic() < ends:
        time.sleep(0.05)
    return now


def series_of(page: str) -> list[str]:
    """The series of a page, without the reason of a failure, which a busy machine may change."""
    series = [line.rpartition(" ")[0] for line in page.splitlines() if line.startswith("probe_")]
    return [re.sub(r'\breason="[^"]*"', "", one) for one in series]


@pytest.mark.slow
def test_pages_show_the_same_series_each_time_and_no_secret(tmp_path: Path) -> None:
    """Two scrapes of all types have the same series, and a peer that repeats all it is sent reveals no secret."""

    def repeat(connection: socket.socket) -> None:
        connection.sendall(b"+OK * OK ready\r\n")
        while data := connection.recv(65536):
            connection.sendall(data)

    peered = [one for one in BUILTIN if aim_at(one).transport]
    with ExitStack() as stack:
        ports: dict[str, int | str] = {
            "tcp": stack.enter_context(serve(repeat)).port,
            "udp": stack.enter_context(serve_datagrams(lambda data: [data])),
            "unix": str(tmp_path / "socket"),
            "program": "/usr/bin/env",
        }
        stack.enter_context(serve_unix(ports["unix"], repeat))  # type: ignore[arg-type] # a path, as above
        checks = [written(one, ports[aim_at(one).transport], secret=True) | {"timeout": LONG_TIMEOUT} for one in peered]
        exporter = stack.enter_context(
            run_exporter(tmp_path, json.dumps({"checks": checks}), "--log.level=debug", "--enable-exec")
        )
        scrapes = [exporter.get("/metrics")[1] for _ in range(2)]
        paths = ["/", "/config", *(f"{path}{one.name}" for path in ("/checks/", "/probe?check=") for one in peered)]
        with ThreadPoolExecutor(8) as threads:
            pages = [page for _, page in threads.map(exporter.get, paths)]
    log = "".join(path.read_text(encoding="utf-8", errors="replace") for path in tmp_path.glob("*.log"))
    assert series_of(scrapes[0]) == series_of(scrapes[1])
    assert [check_type.name for check_type in peered if f'check="{check_type.name}"' not in scrapes[0]] == []
    assert not any(CANARY in text for text in (*scrapes, *pages, log))
