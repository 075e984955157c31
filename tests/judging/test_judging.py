"""Judging in other processes: what is sent there, what is returned, and what happens to the processes."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.attempt import begin_attempt, current_attempt
from exporter.expect import evaluate
from exporter.judging.apart import is_small
from exporter.judging.content import BodyText, Content, HeaderFields, JsonFault, JsonValue, remarks_of
from exporter.judging.estimate import byte_costs
from exporter.judging.json_path import compile_json_path
from exporter.judging.large_answers import costed, judge_large_observations
from exporter.judging.pattern import Pattern
from exporter.model import Expectation, ExpectationOutcome, Judged, Reason, SelectorKind, Subject, ValueKind
from tests.alone import alone
from tests.servers.process import children_of
from tests.threads import no_new_threads
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.model import Observation, Operator

MIB = 1 << 20
BODY = Subject(name="body", kind=ValueKind.TEXT, description="")
HEADER = Subject(name="header", kind=ValueKind.TEXTS, description="", selector=SelectorKind.TEXT)
JSON = Subject(name="json", kind=ValueKind.JSON, description="", selector=SelectorKind.JSON_PATH)
STATUS = Subject(name="status", kind=ValueKind.STATUS, description="")
COSTLY = Pattern("(.*a){20}")
HOPELESS = Pattern("(.*a){100}")


def expect(subject: Subject, operator: Operator, operand: object, selector: object = None) -> Expectation:
    return Expectation(label=operator, subject=subject, operator=operator, operand=operand, selector=selector)


def in_json(path: str, operator: Operator, operand: object) -> Expectation:
    return expect(JSON, operator, operand, compile_json_path(path))


def seen(body: bytes, *fields: tuple[bytes, bytes]) -> dict[str, Observation]:
    content = Content(body, "application/json")
    return {
        "body": BodyText(content),
        "json": JsonValue(content),
        "document": JsonFault(content),
        "header": HeaderFields(fields),
        "status": 200,
    }


def outcome_facts(outcome: ExpectationOutcome) -> tuple[object, ...]:
    value = "NaN" if math.isnan(outcome.value) else outcome.value
    return (outcome.expectation.label, outcome.ok, value, outcome.observed, outcome.evaluated, outcome.reason)


async def look(expectations: list[Expectation], observed: Mapping[str, Observation]) -> Mapping[str, Observation]:
    return await judge_large_observations(costed(expectations), observed, current_attempt())


def child_processes() -> list[int]:
    """The child processes that judge for this process."""
    children = children_of(os.getpid())
    return [child for child in children if b"judging.child" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.parametrize(
    ("expectations", "small_bytes", "large_bytes"),
    [
        ([], 100 * MIB, None),
        ([expect(STATUS, "in", ((200, 299),))], 100 * MIB, None),
        ([expect(BODY, "contains", "Add to cart")], 128 << 10, MIB),
        ([expect(BODY, "matches", Pattern("Add to cart"))], 16 << 10, MIB),
        ([expect(BODY, "matches", COSTLY)], 1 << 10, 8 << 10),
        ([in_json("$.status", "eq", "ok")], 32 << 10, MIB),
        ([in_json("$.a[0].b", "eq", "ok")] * 20, 32 << 10, MIB),
        ([in_json("$.checks[*].ok", "all_of", [True])], 512, 2 << 10),
        ([in_json("$.checks[?@.name=='db'].ok", "eq", True)], 512, 2 << 10),
        ([in_json("$.checks[1:]", "exists", True)], 512, 2 << 10),
        ([in_json("$..ok", "exists", True)] * 20, 32, 128),
        ([in_json("$..*", "exists", True)], 16, 128),
        ([in_json("$[?@..a]", "exists", True)], 16, 128),
        ([in_json("$[?match(@, $.pattern)]", "exists", True)], 16, 128),
        ([in_json("$", "any_of", list(range(1000)))], 16, 128),
    ],
)
def test_what_can_take_long_is_large(
    expectations: list[Expectation], small_bytes: int, large_bytes: int | None
) -> None:
    """The size up to which a body is judged in place depends on the expectations."""
    costs = byte_costs(expectations)
    assert is_small(costs, seen(bytes(small_bytes)))
    assert large_bytes is None or not is_small(costs, seen(bytes(large_bytes)))


ROWS = json.dumps([{"id": n, "name": f"n{n}", "é": None} for n in range(10_000)]).encode()
SAME: dict[str, tuple[bytes, list[Expectation]]] = {
    "text": (
        b"caf\xc3\xa9 \xff" * 100_000,
        [
            expect(BODY, "contains", "é"),
            expect(BODY, "eq", "x"),
            expect(BODY, "in", ("x", "y")),
            expect(BODY, "matches", Pattern("f. .$")),
            expect(BODY, "not_matches", Pattern("z")),
            expect(BODY, "exists", operand=True),
        ],
    ),
    "rows": (
        ROWS,
        [
            in_json("$[7].id", "eq", 7),
            in_json("$[*].id", "contains", 9_999),
            in_json("$[3]", "eq", {"id": 3, "name": "n3", "é": None}),
            in_json("$[?@.id == 5].name", "matches", Pattern("^n5$")),
            in_json("$[1].name", "any_of", ["n1", 5]),
            in_json("$.no", "exists", False),
            in_json("$[0].id", "lt", 1.5),
        ],
    ),
    "not JSON": (b"<p>" * 100_000, [in_json("$.a", "eq", 1), in_json("$.a", "ne", 1)]),
    "too deep": (b"[" * 100_000, [in_json("$..a", "eq", 1)]),
    "digits": (b"1" * 100_000, [in_json("$", "eq", 1)]),
    "infinite": (b"[" + b" " * 100_000 + b"1e999]", [in_json("$[0]", "gt", 1)]),
}


@pytest.mark.parametrize("name", SAME)
async def test_what_is_judged_apart_is_judged_alike(name: str) -> None:
    """Outcomes and log are the same as when judging in place."""
    body, expectations = SAME[name]
    here = seen(body)
    in_place = evaluate(expectations, here)
    apart = begin_attempt()
    observed = await look(expectations, seen(body))
    outcomes = evaluate(expectations, observed)
    assert isinstance(observed["body" if expectations[0].subject is BODY else "json"], Judged)
    assert list(map(outcome_facts, outcomes)) == list(map(outcome_facts, in_place))
    assert [one.expectation for one in outcomes] == expectations
    noted = [(line.message, dict(line.fields)) for line in apart.log]
    assert noted == [("judging apart", {"size_bytes": len(body)}), *remarks_of(here)]


async def test_header_fields_are_judged_apart() -> None:
    """Patterns are matched against ten thousand values of a field outside the event loop."""
    fields = [(b"x-a", b"value %d" % number) for number in range(10_000)]
    expectations = [expect(HEADER, "matches", Pattern("9999$"), "X-A"), expect(HEADER, "exists", False, "X-B")]
    observed = await look(expectations, seen(b"", *fields))
    assert isinstance(observed["header"], Judged)
    assert [outcome.ok for outcome in evaluate(expectations, observed)] == [True, True]


async def test_a_small_answer_is_judged_in_place() -> None:
    """A small answer is not copied."""
    observed = seen(b'{"a": 1}')
    assert await look([in_json("$.a", "eq", 1)], observed) is observed


def failures(expectations: list[Expectation], observed: Mapping[str, Observation]) -> list[tuple[object, str]]:
    return [(outcome.reason, outcome.detail) for outcome in evaluate(expectations, observed)]


async def test_processor_time_is_limited() -> None:
    """A pattern that would take minutes ends with reason `timeout`, after about two seconds of processor time."""
    expectations = [expect(BODY, "matches", HOPELESS), expect(BODY, "ne", "x")]
    found = failures(expectations, await look(expectations, seen(b"a" * (4 * MIB))))
    detail = "judging the answer exceeded its limit of processor time (4194304 bytes)"
    assert found == [(Reason.TIMEOUT, detail)] * 2


async def test_memory_is_limited() -> None:
    """A document that takes thirty times its size has reason `too_large`; expectations about its text still hold."""
    body = b"[0" + b',{"":0}' * (16 * MIB // 7) + b"]"
    expectations = [expect(BODY, "contains", "{"), in_json("$[0]", "eq", 0)]
    found = failures(expectations, await look(expectations, seen(body)))
    assert found == [(None, ""), (Reason.TOO_LARGE, "judging json exceeded its limit of memory")]


async def test_a_cancelled_question_ends_its_process() -> None:
    """The cancelled caller returns at once, its process is killed, and the next question gets a new one."""
    expectations = [expect(BODY, "matches", HOPELESS)]
    asking = asyncio.create_task(look(expectations, seen(b"a" * (32 * MIB))))
    await asyncio.sleep(0.5)
    before = set(child_processes())
    asking.cancel()
    started = time.perf_counter()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert time.perf_counter() - started < 0.2
    wait_until(lambda: len(set(child_processes()) & before) < len(before))
    answered = await look([expect(BODY, "contains", "b")], seen(b"a" * (4 * MIB)))
    assert isinstance(answered["body"], Judged)


async def test_processes_are_few() -> None:
    """Two processes answer twenty concurrent questions, in turn."""
    expectations = [expect(BODY, "contains", "b")]
    answers = await asyncio.gather(*[look(expectations, seen(b"a" * MIB)) for _ in range(20)])
    assert all(isinstance(answer["body"], Judged) for answer in answers)
    assert 1 <= len(child_processes()) <= 2


async def test_a_process_that_was_killed_is_replaced() -> None:
    """A process that was killed while idle does not make a check fail."""
    expectations = [expect(BODY, "contains", "b")]
    await look(expectations, seen(b"a" * MIB))
    for process in child_processes():
        os.kill(process, signal.SIGKILL)
    wait_until(lambda: not child_processes())
    answer = await look(expectations, seen(b"a" * MIB))
    assert isinstance(answer["body"], Judged)


def leave_a_process(how: str) -> list[int]:
    expectations = [expect(BODY, "contains", "b")]
    asyncio.run(look(expectations, seen(b"a" * MIB)))
    left = child_processes()
    if how == "at once":
        sys.stdout.write(f"{left}\n")  # what `alone` reads
        sys.stdout.flush()
        os._exit(0)
    return left


@pytest.mark.parametrize("how", ["orderly", "at once"])
def test_processes_end_with_the_exporter(how: str) -> None:
    """However the exporter ends, its judging processes end, too."""
    left = alone(leave_a_process, how)
    assert left
    wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in left))


def judge_without_python() -> str:
    sys.executable = "/nonexistent/python"
    expectations = [expect(BODY, "contains", "b")]
    observed = asyncio.run(look(expectations, seen(b"a" * MIB)))
    (outcome,) = evaluate(expectations, observed)
    return f"{outcome.reason}: {outcome.detail}"


def test_a_process_that_cannot_be_started_is_reported() -> None:
    """If no process can be started, checks with large answers fail with reason `local`."""
    assert alone(judge_without_python) == (
        "local: no process to judge the answer can be started: [Errno 2] No such file or directory: "
        "'/nonexistent/python' (1048576 bytes)"
    )


def judge_without_threads() -> list[str]:
    expectations = [expect(BODY, "contains", "b")]
    with no_new_threads():
        refused = asyncio.run(look(expectations, seen(b"a" * MIB)))
    later = asyncio.run(look(expectations, seen(b"a" * MIB)))
    outcomes = [evaluate(expectations, observed)[0] for observed in (refused, later)]
    return [f"{outcome.reason}: {outcome.detail}" for outcome in outcomes]


def test_a_thread_that_cannot_be_started_is_reported() -> None:
    """Checks with large answers then fail with reason `local`; later ones are judged."""
    detail = "local: the system has no thread that asks a process to judge the answer (1048576 bytes)"
    assert alone(judge_without_threads) == [detail, "None: "]


def test_the_process_imports_little() -> None:
    """A judging process loads none of the libraries that only the rest of the exporter needs."""
    code = (
        "import sys; from importlib import import_module; import_module('exporter.judging.child'); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "httpx", "cryptography", "h2", "dns", "starlette", "uvicorn", "anyio", "prometheus_client"}
    assert heavy.isdisjoint(done.stdout.split())
