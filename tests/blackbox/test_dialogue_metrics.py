"""What pages say about dialogues: `probe_failed_due_to_bytes`, `probe_failed_due_to_regex` and `probe_expect_info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.tcp import TCP
from tests.blackbox.module_files import module_of, shown
from tests.checks.running import warm_runner
from tests.servers.tcp import close, closed_port, keep_silent, say, say_and_close, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.model import Result

GREETING = b"* OK [CAPABILITY IMAP4rev1] mail.test ready\r\n* BYE\r\n"
LABELS = 'labels: [{name: host, value: "${2}"}, {name: version, value: "IMAP $1"}, {name: fixed, value: yes}]'
STEP = f'{{expect: "^. OK .CAPABILITY IMAP([a-z0-9]+). (?P<host>[^ ]+)", {LABELS}}}'
INFO = 'probe_expect_info{fixed="yes",host="mail.test",version="IMAP 4rev1"}'
BYTES, REGEX = "probe_failed_due_to_bytes", "probe_failed_due_to_regex"


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Callable[..., dict[str, float]]]:
    """Probes a target with the steps of a module, and returns what its page shows about the dialogue."""

    def run(target: str, steps: str) -> dict[str, float]:
        module = module_of(
            tmp_path, f"modules: {{m: {{prober: tcp, timeout: 2s, tcp: {{query_response: [{steps}]}}}}}}"
        )
        results: list[Result] = []
        runner.run_all([module.check(target)], results.append)
        names = ("probe_success", BYTES, REGEX, "probe_expect_info")
        return {
            series: value for series, value in shown(module, results[0]).items() if series.partition("{")[0] in names
        }

    with warm_runner(TCP) as runner:
        yield run


@pytest.mark.parametrize(
    ("said", "steps", "success", "failed_due_to_bytes"),
    [
        (b"SSH", "{expect_bytes: SSH}", 1, 0),
        (b"SSH-2.0", "{expect_bytes: SSH}, {expect_bytes: '-2.0'}", 1, 0),
        (b"\x00\xff", "{expect_bytes: !!binary AP8=}", 1, 0),
        (b"HTTP", "{expect_bytes: SSH}", 0, 1),
        (b"SSX", "{expect_bytes: SSH}", 0, 1),
        (b"SS", "{expect_bytes: SSH}", 0, 1),
    ],
)
def test_bytes_other_than_expected_are_the_cause(
    probe: Callable[..., dict[str, float]], said: bytes, steps: str, success: int, failed_due_to_bytes: int
) -> None:
    """Bytes are compared exactly; a connection that ends too early counts as other bytes."""
    with serve(say_and_close(said)) as server:
        found = probe(server.target, steps)
    assert found == {"probe_success": success, BYTES: failed_due_to_bytes, REGEX: 0}


def test_a_silent_peer_is_not_a_mismatch_of_bytes(probe: Callable[..., dict[str, float]]) -> None:
    """A timeout is a failure of its own; the metric exists because there was a connection."""
    with serve(keep_silent) as server:
        assert probe(server.target, "{expect_bytes: SSH}") == {"probe_success": 0, BYTES: 0, REGEX: 0}


def test_without_a_connection_there_is_no_metric_about_bytes(probe: Callable[..., dict[str, float]]) -> None:
    """It appears once the peer is connected; the metric about regular expressions always exists."""
    with closed_port() as port:
        assert probe(f"127.0.0.1:{port}", "{expect_bytes: SSH}") == {"probe_success": 0, REGEX: 0}


def test_labels_get_what_the_step_captured(probe: Callable[..., dict[str, float]]) -> None:
    """Numbers and names refer to groups, with or without braces; other text stays as it is."""
    with serve(say(GREETING)) as server:
        assert probe(server.target, STEP) == {"probe_success": 1, BYTES: 0, REGEX: 0, INFO: 1}


def test_labels_of_a_step_that_matched_stay_when_a_later_step_fails(probe: Callable[..., dict[str, float]]) -> None:
    """The findings of a step are shown however the dialogue continues."""
    with serve(say_and_close(GREETING)) as server:
        found = probe(server.target, f"{STEP}, {{expect: never}}")
    assert found == {"probe_success": 0, BYTES: 0, REGEX: 1, INFO: 1}


@pytest.mark.parametrize("behave", [close, say_and_close(b"500 no\r\n")])
def test_without_a_match_there_are_no_labels(probe: Callable[..., dict[str, float]], behave: object) -> None:
    """Without a match, the series is absent."""
    with serve(behave) as server:  # type: ignore[arg-type]  # one of the behaviours above
        assert probe(server.target, STEP) == {"probe_success": 0, BYTES: 0, REGEX: 1}


def test_each_step_that_matched_has_its_labels(probe: Callable[..., dict[str, float]]) -> None:
    """Several steps may set labels, even with different names."""
    second = '{expect: "^. BYE", labels: [{name: end, value: "$0"}]}'
    with serve(say(GREETING)) as server:
        found = probe(server.target, f"{STEP}, {second}")
    assert found == {"probe_success": 1, BYTES: 0, REGEX: 0, INFO: 1, 'probe_expect_info{end="* BYE"}': 1}
