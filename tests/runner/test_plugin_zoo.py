"""No fault of a check type affects more than its own check: faulty types beside a healthy neighbour."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import httpx
import pytest

from tests.scraping import parsed
from tests.servers.exporter import Exporter, run_command, run_exporter
from tests.servers.tcp import keep_silent, serve
from tests.servers.zoo import ANIMALS, OTHERS
from tests.waiting import at_last, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEIGHBOUR = "- {name: neighbour, type: zoo, target: sound, expect: [{sound: moo}]}\n"
ANIMAL = "- {{name: {0}, type: zoo, target: {0}, expect: [{{sound: {{ne: miaow}}, severity: warning}}]}}\n"
PLUGINS = ", ".join(f"'tests.servers.zoo:{name}'" for name in ("ZOO", *(name.replace("-", "_") for name in OTHERS)))
CONFIG = (
    f"plugins: [{PLUGINS}]\nchecks:\n{NEIGHBOUR}"
    + "".join(map(ANIMAL.format, ANIMALS))
    + "".join(f"- {{name: {name}, type: {name}, target: sound, timeout: 300ms}}\n" for name in OTHERS)
)


class Verdict(NamedTuple):
    """The result of a check; `detail` is its beginning."""

    status: str
    reason: str | None = None
    detail: str = ""


OK = Verdict("ok")
UNSEEN = Verdict("warning", "expectation", "expected sound ne miaow, which could not be judged")


def internal(detail: str) -> Verdict:
    return Verdict("error", "internal", detail)


SHY = "<Shy that cannot be shown>"
EXPECTED: dict[str, Verdict] = {
    "neighbour": OK,
    "sound": OK,
    "status-text": UNSEEN,
    "warning-text": Verdict("warning", None, "limps"),
    "reason-text": Verdict("error", "auth", "no entry"),
    "status-unknown": internal("the executor returned the status 'fine'; allowed: ok, warning, error"),
    "status-number": internal("the executor returned the status 0; allowed: ok, warning, error"),
    "reason-unknown": internal("the executor returned the reason 'bad luck', which does not exist"),
    "error-without-reason": internal("the executor returned an error without a reason"),
    "error-with-detail": internal("it bites"),
    "other-check": internal("the executor returned a Result for the check 'neighbour'"),
    "name-not-text": internal("the executor returned a Result for the check 5"),
    "name-deceiver": internal("the executor returned what cannot be judged: SystemExit(4)"),
    "coroutine": internal("the executor returned a coroutine instead of a Result"),
    "none": internal("the executor returned None instead of a Result"),
    "dict": internal("the executor returned a dict instead of a Result"),
    "result-class": internal("the executor returned <class 'exporter.model.results.Result'> instead of a Result"),
    "subclass": internal("the executor returned a Result that cannot be read: LookupError('lost')"),
    "ten-thousand": internal("it measured 10000 values; at most 1000 are taken"),
    "undeclared": internal("it measured probe_zoo_undeclared, which its type does not declare"),
    "text-value": internal("it measured probe_zoo_size as 'abc', which is not a number"),
    "huge-value": internal("it measured probe_zoo_size as a number that is too large"),
    "complex-value": internal("it measured probe_zoo_size as 1j, which is not a number"),
    "too-many-labels": internal("it measured probe_zoo_size with 1 label value; probe_zoo_size has 0 labels"),
    "too-few-labels": internal("it measured probe_zoo_legs with 0 label values; probe_zoo_legs has 1 label"),
    "number-label": internal("it measured probe_zoo_legs with the label values (4,), which are"),
    "list-labels": internal(
        "it measured probe_zoo_legs with the label values ['left'], which are not a tuple of texts"
    ),
    "label-text": internal("it measured probe_zoo_legs with the label values 'x', which are"),
    "tuple": internal("it measured (MetricSpec(probe_zoo_size), 1.0, ()), which is not a Measurement"),
    "rubbish": internal("it measured 'rubbish', which is not a Measurement"),
    "shy-measurement": internal(f"it measured {SHY}, which is not a Measurement"),
    "measurements-none": internal("it left None where a list of measurements belongs"),
    "measurements-number": internal("it left 3 where a list of measurements belongs"),
    "observed-none": internal("the executor left None as its observed values"),
    "observed-text": internal("the executor left 'moo' as its observed values"),
    "observed-user-dict": OK,
    "observed-shy": UNSEEN,
    "observed-deceiver": OK,
    "observed-raising": internal("the executor returned what cannot be judged: SystemExit(3)"),
    "detail-none": Verdict("error", "auth"),
    "detail-shy": Verdict("error", "auth", SHY),
    "detail-surrogates": Verdict("error", "auth", "a\ufffdb\x00"),
    "detail-huge": Verdict("error", "auth", "x" * 999 + "…"),
    "log-rubbish": internal("the executor replaced an attribute of its attempt"),
    "measure-text": internal("the executor raised TypeError("),
    "measure-rubbish": internal(
        "it measured Measurement(spec='abc', value=1.0, labels=()), which is not a Measurement"
    ),
    "attempt-measurements": internal("the executor left None as its measurements"),
    "attempt-observed": internal("the executor replaced an attribute of its attempt"),
    "attempt-log": internal("the executor replaced an attribute of its attempt"),
    "attempt-held": internal("the executor replaced an attribute of its attempt"),
    "raises": internal("the executor raised ValueError('no')"),
    "raises-shy": internal("the executor raised <ShyError that cannot be shown>"),
    "raises-much": internal("the executor raised ValueError('xxx"),
    "raises-failure": Verdict("error", "auth", "no entry"),
    "raises-failure-text": Verdict("error", "auth", "no entry"),
    "raises-failure-unknown": internal("None"),
    "raises-exit": internal("the executor raised SystemExit(3)"),
    "raises-interrupt": internal("the executor raised KeyboardInterrupt()"),
    "raises-generator-exit": internal("the executor raised GeneratorExit()"),
    "raises-cancelled": internal("the executor raised CancelledError by itself"),
    "raises-stop-iteration": internal("the executor raised RuntimeError("),
    "raises-stop-async": internal("the executor raised StopAsyncIteration("),
    "raises-group": internal("the executor raised <BaseExceptionGroup that cannot be shown>"),
    "timed-out": Verdict("error", "timeout", f"not done within the timeout of 300 ms: {SHY}"),
    "plain-execute": internal("the executor of type plain-execute must have an `async def execute`"),
    "unmakeable": internal("the executor of type unmakeable cannot be made: <ShyError that cannot be shown>"),
    "exiting": internal("the executor of type exiting cannot be made: SystemExit(3)"),
    "made-none": internal("the executor of type made-none has no execute"),
    "made-later": internal("the executor of type made-later has no execute"),
    "made-class": internal("the executor raised TypeError("),
    "no-arguments": internal("the executor of type no-arguments cannot be made: TypeError("),
    **dict.fromkeys(
        ("plain-aclose", "raising-aclose", "exiting-aclose", "hanging-aclose", "defiant-aclose", "shy-aclose"), OK
    ),
}
"""What each check of the zoo comes to; those that are not named are well, but for the sound they do not make."""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter with all faulty types that has been scraped twice."""
    with run_exporter(tmp_path_factory.mktemp("zoo"), CONFIG) as exporter:
        yield exporter


def test_every_animal_comes_to_a_verdict_of_its_own(tmp_path: Path) -> None:
    """`run` reports each check with a reason and one sentence, in valid JSON, and prints no traceback."""
    (tmp_path / "checks.yml").write_text(CONFIG, encoding="utf-8")
    outcome = run_command("run", "--config.file=checks.yml", "--output=json", "--log.level=error", directory=tmp_path)
    results = {result["check"]: result for result in json.loads(outcome.stdout)["results"]}
    assert outcome.status == 1
    assert "Traceback" not in outcome.stderr
    expected = {name: EXPECTED.get(name, UNSEEN) for name in results}
    found = {
        name: Verdict(result["status"], result["reason"], result["detail"][: len(expected[name].detail)])
        for name, result in results.items()
    }
    assert found == expected
    assert set(EXPECTED) <= set(found)


def test_a_table_of_the_zoo_is_whole(tmp_path: Path) -> None:
    """`run` prints one line per check, whatever its detail contains."""
    (tmp_path / "checks.yml").write_text(CONFIG, encoding="utf-8")
    outcome = run_command("run", "--config.file=checks.yml", "--log.level=error", directory=tmp_path)
    assert (outcome.status, "Traceback" in outcome.stderr) == (1, False)
    names = [line.split()[1] for line in outcome.stdout.splitlines()[1:-1]]
    assert names == ["neighbour", *ANIMALS, *OTHERS]


def test_every_page_about_the_zoo_is_whole(zoo: Exporter) -> None:
    """Scrapes can be parsed and have every check's series, and so do the pages for people; the neighbour is healthy."""
    zoo.get("/metrics")
    status, page = zoo.get("/metrics")
    samples = (sample for family in parsed(page) for sample in family.samples)
    success = {sample.labels["check"]: sample.value for sample in samples if sample.name == "probe_success"}
    assert (status, success) == (
        200,
        {name: float(EXPECTED.get(name, UNSEEN).status != "error") for name in ("neighbour", *ANIMALS, *OTHERS)},
    )
    assert 'probe_zoo_size{check="neighbour",check_type="zoo",target="sound"} 3.0\n' in page
    assert {name: zoo.get(f"/checks/{quote(name)}")[0] for name in success} == dict.fromkeys(success, 200)
    assert {name: zoo.get(f"/probe?check={quote(name)}")[0] for name in success} == dict.fromkeys(success, 200)
    paths = ("/", "/sd", "/config", "/-/healthy", "/-/ready", "/metrics?run=none")
    assert {path: zoo.get(path)[0] for path in paths} == dict.fromkeys(paths, 200)


@pytest.mark.parametrize(
    ("target", "reason", "shown"),
    [
        ("stop", "runner", "stopped the event loop"),
        ("cancel-all", "runner", "stopped the event loop"),
        ("cancel-others", "runner", "stopped the event loop"),
        ("close", "internal", "the executor raised RuntimeError("),
        ("exit-in-callback", "runner", "stopped the event loop"),
        ("exit-in-task", "runner", "stopped the event loop"),
    ],
)
def test_a_type_that_ends_the_loop_costs_its_batch_alone(tmp_path: Path, target: str, reason: str, shown: str) -> None:
    """Finished checks keep their results, and the next batch runs on a new loop; the process stays healthy."""
    config = (
        f"plugins: ['tests.servers.zoo:ZOO', 'tests.servers.zoo:LOOP']\nchecks:\n{NEIGHBOUR}"
        f"- {{name: bad, type: loop, target: {target}}}\n"
    )
    with run_exporter(tmp_path, config) as exporter:
        neighbours = []
        for _ in range(3):
            replaced = loops_replaced(exporter)
            status, page = exporter.get("/metrics")
            assert status == 200
            assert (
                f'probe_failure_info{{check="bad",check_type="loop",reason="{reason}",target="{target}"}} 1.0' in page
            )
            assert shown in exporter.get("/checks/bad")[1].replace("&#x27;", "'")
            neighbours.append('probe_success{check="neighbour",check_type="zoo",target="sound"} 1.0' in page)
            wait_until(lambda: exporter.get("/-/ready")[0] == exporter.get("/-/healthy")[0] == 200)
            if reason == "runner":  # a loop that is ending may still answer, and would take the next batch with it
                wait_until(lambda: exporter.get("/-/ready")[0] and loops_replaced(exporter) > replaced)  # noqa: B023
            _, alone = exporter.get("/metrics?check=neighbour")
            neighbours.append('probe_success{check="neighbour",check_type="zoo",target="sound"} 1.0' in alone)
        assert neighbours == [True] * 6


def loops_replaced(exporter: Exporter) -> float:
    page = exporter.get("/metrics?run=none")[1]
    samples = (sample for family in parsed(page) for sample in family.samples)
    return next(sample.value for sample in samples if sample.name == "nyxmon_exporter_event_loops_replaced_total")


BLOCKING = (
    "plugins: ['tests.servers.zoo:ZOO', 'tests.servers.zoo:LOOP', 'tests.servers.zoo:HANGING_ACLOSE']\n"
    f"checks:\n{NEIGHBOUR}"
)
BLOCKER = "- {{name: bad, type: loop, target: '{0}'}}\n"
CLOSING = "- {name: closing, type: hanging-aclose, target: sound}\n"
NEVER_DONE = "- {name: silent, type: tcp, target: '%s', expect: [{banner: x}]}\n"
DEFIANT = "plugins: ['tests.servers.zoo:ZOO', 'tests.servers.zoo:LITTER']\nchecks:\n" + NEIGHBOUR


def scrape_within(exporter: Exporter, timeout_seconds: float) -> tuple[str, float]:
    """Scrape with Prometheus' timeout; return the page and the seconds left."""
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": str(timeout_seconds)}
    with httpx.Client(trust_env=False, timeout=60) as client:
        client.get(f"http://{exporter.address}/sd")
        started = time.perf_counter()
        answer = client.get(f"http://{exporter.address}/metrics", headers=headers)
        left_seconds = timeout_seconds - (time.perf_counter() - started)
    assert answer.status_code == 200
    parsed(answer.text)
    return answer.text, left_seconds


def reasons_on(page: str) -> dict[str, str]:
    samples = (sample for family in parsed(page) for sample in family.samples)
    return {
        sample.labels["check"]: sample.labels["reason"] for sample in samples if sample.name == "probe_failure_info"
    }


@pytest.mark.parametrize("timeout_seconds", [1.0, 3.0])
@pytest.mark.parametrize(
    ("target", "reasons"), [("block:6", ["runner"]), ("block-when-cancelled:6", ["deadline", "runner"])]
)
def test_a_page_is_in_time_while_a_type_blocks_the_loop(
    tmp_path: Path, target: str, reasons: list[str], timeout_seconds: float
) -> None:
    """Finished checks keep their results; the exporter is not ready, names the blocking type, and recovers."""
    with run_exporter(tmp_path, BLOCKING + BLOCKER.format(target)) as exporter:
        page, left_seconds = scrape_within(exporter, timeout_seconds)
        assert left_seconds > 0.1
        assert [reasons_on(page)] in [[{"bad": reason}] for reason in reasons]
        status, said = exporter.get("/-/ready")
        assert status == 503
        assert said.startswith("not ready: the event loop that runs the checks has not answered for ")
        assert ": the check bad blocks it at zoo.py:" in said
        if len(reasons) == 1:
            assert "blocks the event loop at zoo.py:" in exporter.get("/checks/bad")[1]
        wait_until(lambda: exporter.get("/-/ready")[0] == exporter.get("/-/healthy")[0] == 200)
        assert reasons_on(exporter.get("/metrics?check=neighbour")[1]) == {}


def test_a_page_is_in_time_while_an_executor_of_a_batch_that_was_cut_off_does_not_close(tmp_path: Path) -> None:
    """Closing does not take longer than the time of the scrape, and counts as failed."""
    with serve(keep_silent) as silent:
        config = BLOCKING + CLOSING + NEVER_DONE % silent.target
        with run_exporter(tmp_path, config) as exporter:
            scrape_within(exporter, 1.0)
            page, left_seconds = scrape_within(exporter, 1.0)
            assert left_seconds > 0.1
            assert reasons_on(page) == {"silent": "deadline"}
    assert '\nnyxmon_batch_cleanup_errors_total{resource="hanging-aclose"} 2.0\n' in page


def test_a_page_is_in_time_while_a_type_ignores_its_cancellation(tmp_path: Path) -> None:
    """A check that is left behind does not delay the page, and is skipped as stuck afterwards."""
    config = DEFIANT + "- {name: bad, type: litter, target: defiant}\n"
    with run_exporter(tmp_path, config) as exporter:

        def reasons() -> dict[str, str]:
            page, left_seconds = scrape_within(exporter, 3.0)
            assert left_seconds > 0.1
            return reasons_on(page)

        assert reasons() == {"bad": "deadline"}
        # The runner may see only after the answer that the check does not end.
        assert at_last(reasons, {"bad": "stuck"}) == {"bad": "stuck"}


@pytest.mark.parametrize("litter", ["thread", "executor-thread", "child", "task", "defiant", "block", "atexit"])
def test_a_stop_waits_for_nothing_that_a_type_has_left(tmp_path: Path, litter: str) -> None:
    """SIGTERM ends the process with 0 within its grace, whatever still runs."""
    config = DEFIANT + f"- {{name: bad, type: litter, target: {litter}}}\n"
    with run_exporter(tmp_path, config) as exporter:
        scrape_within(exporter, 1.0)
        started = time.perf_counter()
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(20) == 0
        assert time.perf_counter() - started < 5.5
        assert "Traceback" not in exporter.process.log()


@pytest.mark.parametrize("litter", ["thread", "executor-thread", "child", "task", "defiant", "block", "atexit"])
def test_run_waits_for_nothing_that_a_type_has_left(tmp_path: Path, litter: str) -> None:
    """`run` ends when its results have been printed."""
    config = DEFIANT + f"- {{name: bad, type: litter, target: {litter}}}\n"
    (tmp_path / "checks.yml").write_text(config, encoding="utf-8")
    started = time.perf_counter()
    outcome = run_command("run", "--config.file=checks.yml", "--budget=1s", directory=tmp_path)
    assert time.perf_counter() - started < 20
    failed = litter in ("defiant", "block")
    assert (outcome.status, "Traceback" in outcome.stderr) == (int(failed), False)
    assert "2 checks in" in outcome.stdout
