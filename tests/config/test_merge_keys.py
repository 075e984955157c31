"""Anchors, aliases and merge keys: their meaning, the places of their errors, and their bounds."""

from __future__ import annotations

import time

import pytest

from exporter.config import Config, parse_config
from exporter.errors import ConfigError
from exporter.runner.registry import ExecutorRegistry

TYPES = ExecutorRegistry.with_builtins().check_types


def load(text: str) -> Config:
    return parse_config(text, "f.yml", TYPES)


def refusal_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return str(caught.value).splitlines()


def test_a_checks_own_keys_override_merged_ones() -> None:
    """A check's own keys win wherever `<<` is; of several mappings, the first wins."""
    config = load("""
x-base: &base {type: tcp, timeout: 1s, target: "base.example:1", labels: {team: web}}
x-slow: &slow {timeout: 9s, retry_delay: 2s}
checks:
  - {<<: *base, name: plain}
  - {timeout: 3s, name: own, <<: *base}
  - {<<: [*slow, *base], name: several}
  - {<<: {timeout: 4s, <<: *base}, name: nested}
""")
    assert [
        (check.name, check.target, check.timeout_seconds, check.retry_delay_seconds) for check in config.checks
    ] == [
        ("plain", "base.example:1", 1.0, 0.0),
        ("own", "base.example:1", 3.0, 0.0),
        ("several", "base.example:1", 9.0, 2.0),
        ("nested", "base.example:1", 4.0, 0.0),
    ]
    assert {dict(check.labels)["team"] for check in config.checks} == {"web"}


def test_merging_works_in_mappings_within_checks() -> None:
    """Headers, labels and TLS options can share a base as well; a quoted `<<` is an ordinary key."""
    config = load("""
x-headers: &headers {A: "1", B: "2"}
checks:
  - {name: a, type: http, target: "http://a.example/", headers: {<<: *headers, B: "3"}}
""")
    assert dict(getattr(config.checks[0].settings, "headers", {})) == {"A": "1", "B": "3"}
    assert refusal_of("checks: [{name: a, type: tcp, target: 'a.example:1', labels: {\"<<\": x}}]") == [
        (
            'f.yml:1:63: checks[0].labels.<<: "<<" is not a label name;'
            " it has letters, digits and _, and does not start with a digit"
        )
    ]


def test_a_mistake_in_a_base_is_reported_once_at_its_place() -> None:
    """This holds however many checks have it by a merge or an alias."""
    refusal = refusal_of("""
checks:
  - &base {name: a, type: tcp, target: "a.example:1", timeout: 5}
  - {<<: *base, name: b}
  - {<<: *base, name: c}
""")
    assert refusal == [
        "f.yml:3:64: checks[0].timeout: 5 is not a duration; write it with a unit, such as 500ms, 5s, 1m30s"
    ]


def test_a_merged_name_is_reported_where_it_was_merged() -> None:
    """The error is at the check that got the name by the merge."""
    refusal = refusal_of("""
checks:
  - &base {name: a, type: tcp, target: "a.example:1"}
  - <<: *base
    timeout: 5s
""")
    assert refusal == ['f.yml:4:5: checks[1].name: "a" is the name of the check at f.yml:3 too']


def test_many_checks_may_share_a_base() -> None:
    """Merges do not count towards the limit of a hundred aliases."""
    checks = "".join(f"- {{<<: *base, name: c{number}}}\n" for number in range(1000))
    config = load(f'x-base: &base {{type: tcp, target: "a.example:1"}}\nchecks:\n{checks}')
    assert len(config.checks) == 1000


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("checks: [&a {name: x, <<: *a}]", "f.yml:1:10: checks[0]: contains itself, by an alias"),
        (
            "x-a: &a {k: [" + "x," * 1000 + "]}\nx-b: [" + "{<<: *a}," * 1000 + "]\nchecks: []",
            "f.yml:2:6: has more than 200000 values, aliases written out; split it into several files",
        ),
        ("x-a: {<<: 5}\nchecks: []", "f.yml:1:7: x-a.<<: must be a mapping or a list of mappings, such as <<: *name"),
    ],
    ids=["recursion", "bomb", "scalar"],
)
def test_merging_is_bounded(text: str, refusal: str) -> None:
    """No document becomes endless or huge through merging."""
    started = time.thread_time()
    assert refusal_of(text)[0] == refusal
    assert time.thread_time() - started < 2.0
