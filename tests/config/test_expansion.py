"""`each`, `targets`, `defaults` and `include`: the resulting checks, and the texts that stay unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.config import Config, load_config, parse_config
from exporter.dns_query.settings import DnsSettings
from exporter.errors import ConfigError
from exporter.http.settings import HttpSettings
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ExecutorRegistry.with_builtins().check_types


def load(text: str) -> Config:
    return parse_config(text, "f.yml", TYPES)


def test_targets_make_a_check_each() -> None:
    """`targets` is short for `each: {target: ..}`, and the target can be in the name."""
    config = load("checks: [{name: 'port {target}', type: tcp, targets: ['a.example:1', 'b.example:2']}]")
    assert [(check.name, check.target) for check in config.checks] == [
        ("port a.example:1", "a.example:1"),
        ("port b.example:2", "b.example:2"),
    ]


def test_every_combination_is_a_check() -> None:
    """Several keys of `each` are multiplied; the last one varies fastest."""
    config = load("checks: [{name: '{host}-{port}', type: tcp, target: '{host}:{port}', "
                  "each: {host: [a.example, b.example], port: [1, 2]}}]")  # fmt: skip
    assert [check.target for check in config.checks] == ["a.example:1", "a.example:2", "b.example:1", "b.example:2"]


def test_a_text_that_is_nothing_but_a_placeholder_becomes_the_value() -> None:
    """Numbers, lists and mappings of `each` keep their types; a key of the check is set without being named."""
    config = load("""
checks:
  - name: "{method}-{n}"
    type: http
    target: http://a.example/
    max_redirects: "{n}"
    headers: "{headers}"
    expect: [{status: "{codes}"}]
    each: {n: [3], method: [GET, HEAD], headers: [{X-A: "1"}], codes: [[200, 204]]}
""")
    settings = [check.settings for check in config.checks]
    assert [
        (one.method, one.max_redirects, dict(one.headers)) for one in settings if isinstance(one, HttpSettings)
    ] == [
        ("GET", 3, {"X-A": "1"}),
        ("HEAD", 3, {"X-A": "1"}),
    ]
    assert config.checks[0].expectations[0].operand == ((200, 200), (204, 204))


def test_braces_that_are_not_placeholders_are_left_alone() -> None:
    """Patterns and JSON keep their braces, doubled braces are text, and without `each` so are most braces."""
    config = load("""
checks:
  - name: a-{x}
    type: http
    target: http://a.example/
    body: '{"n": {"{{x}}": "{x}"}}'
    each: {x: [1.10]}
  - name: b-{{x}}
    type: http
    target: http://a.example/
    body: "{{x}}"
    expect: [{body: {matches: "[0-9]{3}"}}]
""")
    bodies = [check.settings.body for check in config.checks if isinstance(check.settings, HttpSettings)]
    assert bodies == ['{"n": {"{x}": "1.10"}}', "{{x}}"]
    assert [check.name for check in config.checks] == ["a-1.10", "b-{{x}}"]


def test_a_wrong_value_of_each_is_reported_at_its_place() -> None:
    """The error has the place of the value, not that of the placeholder."""
    with pytest.raises(ConfigError) as caught:
        load(
            "checks:\n- {name: 'a-{ip}', type: tcp, target: 'a.example:1', source_ip: '{ip}', each: {ip: [1.1.1.1, x]}}"
        )
    assert str(caught.value) == 'f.yml:2:94: checks[0].each.ip[1]: "x" is not an IP address'


def test_defaults_apply_to_the_checks_that_have_the_keys() -> None:
    """A check overrides the defaults of its type, which override the common ones; labels are merged."""
    config = load("""
defaults:
  timeout: 3s
  labels: {team: web, tier: one}
  method: HEAD
  resolver: 192.0.2.53
  dns: {timeout: 1s, labels: {tier: dns}, record_type: AAAA}
checks:
  - {name: a, type: http, target: "http://a.example/", method: POST, labels: {tier: two}}
  - {name: b, type: dns, target: b.example}
""")
    first, second = config.checks
    assert isinstance(first.settings, HttpSettings)
    assert isinstance(second.settings, DnsSettings)
    assert (first.timeout_seconds, first.settings.method, first.settings.resolver) == (3.0, "POST", "192.0.2.53")
    assert (second.timeout_seconds, second.settings.record_type) == (1.0, "AAAA")
    assert [dict(check.labels) for check in config.checks] == [
        {"team": "web", "tier": "two"},
        {"team": "web", "tier": "dns"},
    ]


def test_included_files_may_include_and_may_be_missing_from_a_pattern(tmp_path: Path) -> None:
    """Includes may be nested, `**` matches subfolders, and a pattern may match nothing yet."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    for name, target in (("d/one.yml", "one"), ("d/e/two.yml", "two")):
        (tmp_path / name).write_text(f"checks: [{{name: {target}, type: tcp, target: '{target}.example:1'}}]")
    (tmp_path / "more.yml").write_text("include: ['d/**/*.yml', 'nothing/*.yml']")
    (tmp_path / "checks.yml").write_text("include: [more.yml]")
    config = load_config(tmp_path / "checks.yml", TYPES)
    assert [check.name for check in config.checks] == ["two", "one"]
    watched = {str(file.relative_to(tmp_path)) for file in config.files}
    assert watched == {"checks.yml", "more.yml", "d", "d/e", "nothing", "d/one.yml", "d/e/two.yml"}


def test_a_circle_of_includes_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that closes the circle is named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yml").write_text("include: [b.yml]")
    (tmp_path / "b.yml").write_text("include: ['?.yml']")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "a.yml", TYPES)
    messages = [problem.message for problem in caught.value.problems]
    assert messages == [f"includes {tmp_path / 'a.yml'}, which is already being read"]


def test_plugins_belong_in_the_main_file(tmp_path: Path) -> None:
    """An included file cannot load code."""
    (tmp_path / "b.yml").write_text("plugins: [x]\nchecks: []")
    (tmp_path / "a.yml").write_text("include: [b.yml]")
    with pytest.raises(ConfigError, match="plugins: belongs in the main file"):
        load_config(tmp_path / "a.yml", TYPES)


def test_a_rejected_configuration_names_the_files_that_may_fix_it(tmp_path: Path) -> None:
    """Missing files are among them, so that their creation is noticed."""
    (tmp_path / "a.yml").write_text(
        "checks: [{name: a, type: http, target: 'http://a.example/', bearer_token_file: token}]"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "a.yml", TYPES)
    assert caught.value.files == (tmp_path / "a.yml", tmp_path / "token")
