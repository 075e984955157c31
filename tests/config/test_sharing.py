"""What the checks of one configuration share, so that ten thousand of them fit into the memory of a small machine."""

from __future__ import annotations

from exporter.config import Config, parse_config
from exporter.http.settings import HttpSettings
from exporter.runner.registry import ExecutorRegistry
from exporter.secrecy import SecretText

TYPES = ExecutorRegistry.with_builtins().check_types


def load(text: str, **environment: str) -> Config:
    return parse_config(text, "f.yml", TYPES, environment=environment)


def test_checks_with_the_same_settings_share_them() -> None:
    """It does not matter whether a setting is the check's own or a default."""
    one, same, other = load("""
defaults: {http: {method: POST}}
checks:
  - {name: one, type: http, target: "http://a.example/"}
  - {name: same, type: http, target: "http://b.example/", timeout: 3s, method: POST}
  - {name: other, type: http, target: "http://a.example/", method: PUT}
""").checks
    assert one.settings is same.settings
    assert [getattr(check.settings, "method", "") for check in (one, other)] == ["POST", "PUT"]


def test_checks_with_the_same_default_expectations_share_them() -> None:
    """Expectations of the check itself are not shared."""
    one, same, own = load("""
defaults: {http: {expect: [{body: {contains: ok}}]}}
checks:
  - {name: one, type: http, target: "http://a.example/"}
  - {name: same, type: http, target: "http://b.example/"}
  - {name: own, type: http, target: "http://b.example/", expect: [{body: {contains: own}}]}
""").checks
    labels = [[expectation.label for expectation in check.expectations] for check in (one, own)]
    assert one.expectations is same.expectations
    assert labels == [["body contains ok", "status in 2xx"], ["body contains own", "status in 2xx"]]


def test_more_settings_than_are_kept_are_still_right() -> None:
    """With hundreds of different settings in turn, each check has the ones that were written for it."""
    keys = (
        'type: http, target: "http://a.example/", headers: {X-Number: "{n}"}, expect: [{header: X-Number, eq: "{n}"}]'
    )
    numbers = ", ".join(f"'{number}'" for number in range(250))
    checks = load(f"checks: [{{name: '{{n}}-{{again}}', {keys}, each: {{again: [1, 2], n: [{numbers}]}}}}]").checks
    assert len(checks) == 500
    for check in checks:
        number = check.name.partition("-")[0]
        assert dict(getattr(check.settings, "headers", {})) == {"X-Number": number}
        assert check.expectations[0].label == f"header X-Number eq {number}"


def test_a_secret_is_not_shared_with_the_same_plain_text() -> None:
    """A value that is a reference in one check and plain text in another is secret only in the first."""
    config = load("""
checks:
  - {name: one, type: http, target: "http://a.example/", headers: {X-Key: "${env:KEY}"}}
  - {name: two, type: http, target: "http://a.example/", headers: {X-Key: "plain"}}
""", KEY="plain")  # fmt: skip
    first, second = (check.settings for check in config.checks)
    assert isinstance(first, HttpSettings)
    assert isinstance(second, HttpSettings)
    assert [type(settings.headers["X-Key"]) for settings in (first, second)] == [SecretText, str]
    assert config.rendered.count("plain") == 1
