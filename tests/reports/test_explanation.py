"""The explanation of a run in `run -v`, JUnit reports and pytest."""

from __future__ import annotations

from exporter.config import Place
from exporter.masking import Masks, unmasked
from exporter.model import LogLine, Measurement, phase_durations
from exporter.reports.explanation import explanation
from exporter.reports.finished import FinishedCheck
from exporter.runner.once import checks_from_yaml, run_check
from tests.reports.finishing import FINE, finished
from tests.servers.tcp import serve


def test_a_run_is_explained_by_its_expectations_phases_and_log() -> None:
    """It shows what was expected and observed, the duration of each phase, and the events in order."""
    with serve(lambda connection: connection.sendall(b"220 hello\r\n")) as server:
        text = (
            f"checks: [{{name: mail, type: tcp, target: '{server.target}', expect: [{{banner: {{matches: '^250'}}}},"
            " {duration: {lt: 1m}, severity: warning}]}]"
        )
        (check,) = checks_from_yaml(text)
        result = run_check(check)
    lines = explanation(FinishedCheck(check=check, result=result, place=Place("c.yml", 7, 3)), unmasked)
    assert lines[0].startswith("mail is failing: expectation: ")
    assert lines[1].startswith(f"  tcp {server.target}, ")
    assert lines[1].endswith(", 1 attempt, c.yml:7")
    assert lines[2] == "  missed: banner matches ^250 (error); observed 220 hello"
    assert lines[3].startswith("  met: duration lt 1m (warning); observed ")
    assert lines[4].startswith("  phases: ")
    assert "connect " in lines[4]
    assert [line[16:].split()[0] for line in lines[5:]] == ["resolved", "connected", "heard", "ended"]


def test_a_run_that_is_ok_has_no_reason() -> None:
    """The headline says only that."""
    assert explanation(FINE, unmasked) == ["fine is ok", "  tcp shop.example:443, 250 ms, 1 attempt"]


def test_what_a_target_says_stays_in_its_line_and_shows_no_secret() -> None:
    """Control characters are escaped and secrets masked in the target, the log and its fields."""
    masks = Masks()
    masks.learn(["geheim-1"])
    line = LogLine(0.001, "received geheim-1\n::error::x", {"banner": "\x1b[2J geheim-1"})
    shown = explanation(finished("a", target="x.example:1?key=geheim-1", log=(line,)), masks)
    assert shown[1:] == [
        "  tcp x.example:1?key=<secret>, 250 ms, 1 attempt",
        "        1.0 ms  received <secret>\\n::error::x banner=\\x1b[2J <secret>",
    ]


def test_durations_of_phases_and_log_fields_have_the_unit_that_fits() -> None:
    """The log has durations as floats of seconds, which only programs like to read."""
    line = LogLine(0.0017, "connected", {"to": "127.0.0.1:80", "seconds": 0.0002818879997903423, "ratio": 0.123456789})
    phases = phase_durations("tcp", ("resolve", "connect"))
    measured = (
        Measurement(phases, 0.00000656, labels=("resolve",)),
        Measurement(phases, 0.0123, labels=("connect",)),
    )
    shown = explanation(finished("a", seconds=1.2, log=(line,), measurements=measured), unmasked)
    assert shown[1:] == [
        "  tcp shop.example:443, 1.2 s, 1 attempt",
        "  phases: resolve 6.56 us, connect 12.3 ms",
        "        1.7 ms  connected to=127.0.0.1:80 seconds=282 us ratio=0.123457",
    ]
