"""Which records of an answer count, how invalid names are treated, and the cost of hostile answers."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import dns.name
import dns.rdataclass
import dns.rdatatype
import pytest

from exporter.addresses import parse_address
from exporter.attempt import begin_attempt, current_attempt
from exporter.checks.dns import DNS, DnsCheckExecutor
from exporter.config import parse_config
from exporter.errors import CheckFailed
from exporter.model import Reason, ResultStatus
from exporter.net.dns.exchange import ask_datagram, prepare_question
from exporter.net.dns.reader import DnsAnswer
from exporter.net.udp import open_datagram_socket
from exporter.runner.verdict import judge
from tests.net.connecting import LOOP_NAMES, LOOPS
from tests.servers.tcp import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.net.dns.message import Question

TYPES = {"dns": DNS}
POINTER_TO_QUESTION = b"\xc0\x0c"
_PATIENCE_SECONDS = 20.0


@pytest.fixture(params=LOOPS, ids=LOOP_NAMES)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


def question_for(name: str = "www.test", record_type: str = "A") -> Question:
    return prepare_question(
        dns.name.from_text(name),
        dns.rdatatype.from_text(record_type),
        dns.rdataclass.IN,
        recursion_desired=True,
        edns_payload_bytes=None,
        dnssec_ok=False,
    )


def name(text: str) -> bytes:
    return dns.name.from_text(text).to_wire() or b""


def record(owner: bytes, record_type: str, data: bytes, *, record_class: int = 1) -> bytes:
    kind = dns.rdatatype.from_text(record_type)
    return owner + struct.pack(">HHIH", kind, record_class, 300, len(data)) + data


def message(question: Question, *records: bytes, flags: int = 0x8400) -> bytes:
    head = struct.pack(">6H", 0x0102, flags, 1, len(records), 0, 0)
    return head + question.section + b"".join(records)


def fitting(question: Question, records: Iterator[bytes]) -> bytes:
    """As many of the records as a message can hold."""
    taken: list[bytes] = []
    left = 65535 - 12 - len(question.section)
    for one in records:
        left -= len(one)
        if left < 0:
            break
        taken.append(one)
    return message(question, *taken)


ADDRESS, OTHER_ADDRESS = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))


@pytest.mark.parametrize(
    ("records", "texts", "stray_count"),
    [
        ([record(POINTER_TO_QUESTION, "A", ADDRESS)], ("192.0.2.1",), 0),
        ([record(name("WWW.Test"), "A", ADDRESS)], ("192.0.2.1",), 0),
        ([record(name("other.test"), "A", ADDRESS)], (), 1),
        ([record(name("test"), "A", ADDRESS)], (), 1),
        ([record(name("a.www.test"), "A", ADDRESS)], (), 1),
        ([record(POINTER_TO_QUESTION, "A", ADDRESS, record_class=3)], (), 1),
        (
            [record(name("other.test"), "A", ADDRESS), record(POINTER_TO_QUESTION, "A", OTHER_ADDRESS)],
            ("192.0.2.2",),
            1,
        ),
        (
            [record(POINTER_TO_QUESTION, "CNAME", name("cdn.test")), record(name("cdn.test"), "A", ADDRESS)],
            ("192.0.2.1",),
            0,
        ),
        (
            [record(name("CDN.test"), "A", ADDRESS), record(POINTER_TO_QUESTION, "CNAME", name("cdn.TEST"))],
            ("192.0.2.1",),
            0,
        ),
        (
            [record(name("x.test"), "CNAME", name("cdn.test")), record(name("cdn.test"), "A", ADDRESS)],
            (),
            1,
        ),
        (
            [
                record(POINTER_TO_QUESTION, "CNAME", name("b.test")),
                record(name("b.test"), "CNAME", POINTER_TO_QUESTION),
                record(name("c.test"), "A", ADDRESS),
            ],
            (),
            1,
        ),
        ([record(POINTER_TO_QUESTION, "CNAME", POINTER_TO_QUESTION)], (), 0),
        (
            [
                record(POINTER_TO_QUESTION, "CNAME", name("n0.test")),
                *(record(name(f"n{at}.test"), "CNAME", name(f"n{at + 1}.test")) for at in range(500)),
                record(name("n500.test"), "A", ADDRESS),
            ],
            ("192.0.2.1",),
            0,
        ),
        ([record(name("test"), "DNAME", name("example")), record(name("www.example"), "A", ADDRESS)],
         ("192.0.2.1",), 0),
        (
            [
                record(name("test"), "DNAME", name("example")),
                record(POINTER_TO_QUESTION, "CNAME", name("www.example")),
                record(name("www.example"), "A", ADDRESS),
            ],
            ("192.0.2.1",),
            0,
        ),
        ([record(name("est"), "DNAME", name("example")), record(name("www.example"), "A", ADDRESS)], (), 1),
        ([record(name("www.test"), "DNAME", name("example")), record(name("example"), "A", ADDRESS)], (), 1),
        ([record(name("test"), "DNAME", name("a.test")), record(name("www.a.test"), "A", ADDRESS)],
         ("192.0.2.1",), 0),
        ([record(name("test"), "DNAME", name("x" * 63 + "." + "y" * 63 + "." + "z" * 63 + "." + "w" * 58))], (), 0),
    ],
)  # fmt: skip
def test_records_that_the_question_leads_to_are_the_answer(
    records: list[bytes], texts: tuple[str, ...], stray_count: int
) -> None:
    """Owners are followed by CNAME and DNAME from the question, in any case and order; other records do not count."""
    question = question_for()
    read = DnsAnswer(message(question, *records), question)
    assert (read.texts(), read.stray_count, read.record_count) == (texts, stray_count, len(texts))


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        (b"\xc0\xff", "a pointer in it does not lead back"),
        (b"\xc0\x00", "a pointer in it does not lead back"),
        (b"\xc0\x1a", "a pointer in it does not lead back"),
        (b"\x01a\xc0\x1a", "a pointer in it does not lead back"),
        (b"\x40abc", "it has a label of an unknown kind"),
        (b"\x80abc", "it has a label of an unknown kind"),
        (b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\0",
         "it is longer than 255 octets"),
        (b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x3f" + b"a" * 63 + b"\x38" + b"a" * 56 + b"\xc0\x0c",
         "it is longer than 255 octets"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("record_type", ["A", "TXT"])
def test_an_owner_that_is_not_a_name_is_malformed(owner: bytes, why: str, record_type: str) -> None:
    """A record whose owner cannot be read makes the answer malformed, of whatever type the record is."""
    question = question_for()
    wire = message(question, record(owner, record_type, ADDRESS))
    with pytest.raises(CheckFailed) as raised:
        DnsAnswer(wire, question)
    assert (raised.value.reason, raised.value.detail) == (
        Reason.PROTOCOL,
        f"the answer is malformed: a name cannot be read, {why}",
    )


@pytest.mark.parametrize(
    ("record_type", "data", "text"),
    [
        ("NS", name("NS.Test"), "ns.test"),
        ("PTR", name("a\\.b.test"), "a\\.b.test"),
        ("CNAME", name("\\000.test"), "\\000.test"),
        ("MX", b"\0\x0a" + name("Mail.test"), "10 mail.test"),
        ("MX", b"\0\0" + name("."), "0 ."),
        ("SRV", b"\0\1\0\2\x13\xc4" + name("sip.test"), "1 2 5060 sip.test"),
        ("KX", b"\0\1" + POINTER_TO_QUESTION, "1 www.test"),
        ("TXT", b"\2ab\0\1c", "abc"),
        ("TXT", b"\0", ""),
        ("NSEC", b"\0" + b"".join(bytes((window, 32)) + b"\xff" * 32 for window in range(9)), None),
        ("APL", b"\0\1\0\0" * 300, None),
        ("TYPE65280", b"abc", "\\# 3 616263"),
    ],
)
def test_data_is_read_as_text(record_type: str, data: bytes, text: str | None) -> None:
    """Names are shown in lower case without final dot; long lists are shown as unknown data, not taken apart."""
    question = question_for(record_type=record_type)
    read = DnsAnswer(message(question, record(POINTER_TO_QUESTION, record_type, data)), question)
    assert read.texts() == (f"\\# {len(data)} {data.hex()}" if text is None else text,)


@pytest.mark.parametrize(
    ("record_type", "data"),
    [
        ("MX", b"\0"),
        ("MX", b"\0\1\1a\0\0"),
        ("NS", name("a.test") + b"x"),
        ("NS", b""),
        ("TXT", b""),
        ("TXT", b"\5abc"),
        ("A", b"\1\2\3"),
        ("SRV", b"\0\1"),
    ],
)
def test_data_that_does_not_fit_its_type_is_malformed(record_type: str, data: bytes) -> None:
    """Data that is too short, too long or not a name is the server's fault."""
    question = question_for(record_type=record_type)
    with pytest.raises(CheckFailed) as raised:
        DnsAnswer(message(question, record(POINTER_TO_QUESTION, record_type, data)), question)
    assert raised.value.reason is Reason.PROTOCOL


def chain_of_pointers(count: int) -> Iterator[bytes]:
    """Records of which each has an owner that is a pointer to one of a long chain of pointers, the last one first."""
    start = 12 + 14 + 12  # behind the header, the question and the frame of the first record
    chain = b"".join((0xC000 | (12 if at == 0 else start + 2 * at - 2)).to_bytes(2) for at in range(count))
    yield record(POINTER_TO_QUESTION, "NULL", chain)
    for at in reversed(range(count)):
        yield record((0xC000 | start + 2 * at).to_bytes(2), "A", ADDRESS)


HEAVY: dict[str, Callable[[], tuple[Question, bytes]]] = {}


def _heavy(label: str, record_type: str, records: Callable[[], Iterator[bytes]]) -> None:
    def make() -> tuple[Question, bytes]:
        question = question_for(record_type=record_type)
        return question, fitting(question, records())

    HEAVY[label] = make


def _many(record_type: str, data: bytes, owner: bytes = POINTER_TO_QUESTION) -> Callable[[], Iterator[bytes]]:
    return lambda: (record(owner, record_type, data) for _ in range(6000))


_heavy("A", "A", _many("A", ADDRESS))
_heavy("AAAA", "AAAA", _many("AAAA", bytes(16)))
_heavy("NS", "NS", _many("NS", b"\1a" + POINTER_TO_QUESTION))
_heavy("MX", "MX", _many("MX", b"\0\1\1a" + POINTER_TO_QUESTION))
_heavy("TXT", "TXT", _many("TXT", b"\1a"))
_heavy("SOA", "SOA", _many("SOA", bytes(22)))
_heavy("CAA", "CAA", _many("CAA", b"\0\5issuea"))
_heavy("NAPTR", "NAPTR", _many("NAPTR", bytes(4) + b"\1a\1a\1a\0"))
_heavy("NSEC", "NSEC", _many("NSEC", b"\0\0\1\x40"))
_heavy("strays", "A", _many("A", b"", b"\0"))
_heavy("one long TXT", "TXT", lambda: iter([record(POINTER_TO_QUESTION, "TXT", bytes(65000))]))
_heavy("one long NSEC", "NSEC", lambda: iter([record(POINTER_TO_QUESTION, "NSEC", b"\0" + b"".join(
    bytes((window, 32)) + b"\xff" * 32 for window in range(256)))]))  # fmt: skip
_heavy("one long APL", "APL", lambda: iter([record(POINTER_TO_QUESTION, "APL", b"\0\1\0\0" * 16000)]))
_heavy("owners of many labels", "A", lambda: (record(b"\1a" * 126 + b"\0", "A", ADDRESS) for _ in range(6000)))
_heavy("a chain of pointers", "A", lambda: chain_of_pointers(4000))
_heavy("a long chain of aliases", "A", lambda: (
    record(POINTER_TO_QUESTION if at == 0 else name(f"n{at}"), "CNAME", name(f"n{at + 1}")) for at in range(6000)
))  # fmt: skip


async def longest_turn(work: Callable[[], Any]) -> float:
    """The longest time, in processor time of this thread, for which a task blocked the event loop."""
    longest, done = 0.0, False

    async def watch() -> None:
        nonlocal longest
        while not done:
            started = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - started)

    gc.disable()  # what a collection takes depends on all else in this process
    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        with suppress(CheckFailed):
            await work()
    finally:
        done = True
        gc.enable()
    await watching
    return longest


@pytest.mark.parametrize("label", HEAVY)
async def test_no_answer_keeps_the_loop(label: str) -> None:
    """The largest possible answers are read in turns of a few milliseconds, and in less than a second in total."""
    question, wire = HEAVY[label]()
    await longest_turn(lambda: DnsAnswer.read(wire, question))  # dnspython loads a type's module at its first record
    started = time.thread_time()
    longest = await longest_turn(lambda: DnsAnswer.read(wire, question))
    assert longest < 0.02
    assert time.thread_time() - started < 1


@contextmanager
def flooding(*datagrams: bytes, last: bytes = b"", count: int = 1 << 62) -> Iterator[int]:
    """A server that answers a query with an endless stream of datagrams, `last` among them after so many; its port.

    The two octets of the id are put before each that begins with `ID`.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(_PATIENCE_SECONDS)
        stopped = threading.Event()

        def send() -> None:
            query, peer = server.recvfrom(65535)
            sent = 0
            while not stopped.is_set():
                for datagram in (*datagrams, last) if sent >= count and last else datagrams:
                    server.sendto(query[:2] + datagram[2:] if datagram[:2] == b"ID" else datagram, peer)
                    sent += 1
                if sent % 64 == 0 and sent >= count:
                    time.sleep(0.001)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopped.set()
            thread.join(_PATIENCE_SECONDS)


async def ask(port: int, question: Question) -> DnsAnswer | None:
    address = parse_address("127.0.0.1")
    assert address is not None
    with open_datagram_socket(address, port, None) as connected:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return (await ask_datagram(question, connected, asyncio.get_running_loop(), current_attempt())).answer


async def test_a_flood_of_other_datagrams_is_read_in_bursts() -> None:
    """An endless stream of other datagrams neither blocks the loop nor uses up its time, and is counted."""
    question = question_for()
    attempt = begin_attempt()
    with flooding(b"\0\1" + bytes(60000), b"x", b"ID" + message(question_for("other.test"))[2:]) as port:
        started, used = time.perf_counter(), time.thread_time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await ask(port, question)
        assert time.thread_time() - used < 0.5 * (time.perf_counter() - started)
    assert [line.message for line in attempt.log] == ["ignored a datagram"] * 16 + ["ignored more datagrams"]
    assert attempt.timeout_reason is Reason.PROTOCOL


async def test_a_flood_does_not_hide_the_answer() -> None:
    """The right answer is found among forgeries, whose number is logged."""
    question = question_for()
    attempt = begin_attempt()
    right = b"ID" + message(question, record(POINTER_TO_QUESTION, "A", ADDRESS))[2:]
    with flooding(b"forged", last=right, count=200) as port:
        answer = await ask(port, question)
    assert answer is not None
    assert answer.texts() == ("192.0.2.1",)
    assert [line.message for line in attempt.log[:16]] == ["ignored a datagram"] * 16
    assert attempt.log[-1].message == "ignored more datagrams"
    assert len(attempt.log) == 17


async def test_a_server_that_sends_only_malformed_answers_has_failed() -> None:
    """A few unreadable answers to the question end the check, and each is read in turns."""
    question = question_for()
    broken = fitting(question, (record(POINTER_TO_QUESTION, "A", ADDRESS) for _ in range(4093)))
    begin_attempt()
    with flooding(b"ID" + broken[2:60000]) as port, pytest.raises(CheckFailed) as raised:
        await ask(port, question)
    assert (raised.value.reason, raised.value.detail) == (
        Reason.PROTOCOL,
        "the server sent 8 answers that cannot be read; the answer is malformed: it ends before its last record does",
    )


@pytest.mark.parametrize(
    "expected",
    [
        "{answers: {any_of: [192.0.2.9]}}",
        ", ".join(f"{{answers: {{not_matches: '(.*9){{4}}{n}x'}}}}" for n in range(8)),
    ],
    ids=["one value", "eight patterns"],
)
async def test_a_check_of_a_large_answer_does_not_keep_the_loop(expected: str) -> None:
    """Asking for 4,000 records, reading and judging them blocks the loop for a few milliseconds at a time."""
    question = question_for()
    numbers = (struct.pack(">I", 0xC0000200 + number) for number in range(6000))
    wire = fitting(question, (record(POINTER_TO_QUESTION, "A", number) for number in numbers))

    def answer(connection: socket.socket) -> None:
        query = connection.recv(65535)
        connection.sendall(len(wire).to_bytes(2) + query[2:4] + wire[2:])
        connection.recv(1)

    with serve(answer) as server:
        keys = f'server: "{server.target}", transport: tcp, expect: [{expected}]'
        [check] = parse_config(f"checks: [{{name: it, type: dns, target: www.test, {keys}}}]", "c.yml", TYPES).checks
        verdicts = []

        async def run() -> None:
            attempt = begin_attempt()
            answered = await DnsCheckExecutor().execute(check)
            verdicts.append(judge(check, attempt, answered, duration_seconds=1.0))

        await longest_turn(run)
        longest = await longest_turn(run)
    assert [verdict.status for verdict in verdicts] == [ResultStatus.OK] * 2
    assert verdicts[0].observed["answer_count"] == 4094
    assert longest < 0.02
