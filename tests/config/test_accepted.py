"""Configurations that are accepted, and the checks that they become."""

from __future__ import annotations

import time
from pathlib import Path

from exporter.checks.tcp import TcpSettings
from exporter.config import Config, Place, load_config, parse_config
from exporter.dns_query.settings import DnsSettings
from exporter.http.settings import HttpSettings
from exporter.mail.settings import SmtpSettings
from exporter.model import Check, Reason, Severity
from exporter.runner.registry import ExecutorRegistry

CONFIGS = Path(__file__).parent.parent / "configs"
TYPES = ExecutorRegistry.with_builtins().check_types


def load(name: str, **environment: str) -> Config:
    return load_config(CONFIGS / name, TYPES, environment=environment)


def by_name(config: Config) -> dict[str, Check]:
    return {check.name: check for check in config.checks}


def labels_of(check: Check) -> list[tuple[str, Severity]]:
    return [(expectation.label, expectation.severity) for expectation in check.expectations]


def test_the_everyday_file_becomes_these_checks() -> None:
    """Names, types, targets, defaults and `each` have the expected results."""
    config = load("good-everyday.yml", API_TOKEN="t0ken")
    assert [(check.name, check.check_type, check.target, check.timeout_seconds) for check in config.checks] == [
        ("shop", "http", "https://shop.example/", 3.0),
        ("queue", "json-http", "https://api.example/health", 5.0),
        ("smtp-port", "tcp", "mail.example:465", 5.0),
        ("dns-192.0.2.53", "dns", "www.example", 5.0),
        ("dns-198.51.100.53:5353", "dns", "www.example", 5.0),
    ]
    assert [dict(check.labels) for check in config.checks[:2]] == [{"team": "web"}, {"team": "web", "tier": "backend"}]
    assert config.checks[0].interval_seconds == 60.0


def test_expectations_are_labelled_as_they_read() -> None:
    """Each expectation has its own label, including the default ones of the type."""
    checks = by_name(load("good-everyday.yml", API_TOKEN="t0ken"))
    assert labels_of(checks["shop"]) == [
        ("status in 2xx", Severity.ERROR),
        ("body contains Into the basket", Severity.ERROR),
        ("header Content-Type matches ^text/html", Severity.ERROR),
        ("duration lt 800ms", Severity.WARNING),
        ("certificate_days_left gt 21", Severity.WARNING),
    ]
    assert labels_of(checks["queue"]) == [
        ("json $.status eq ok", Severity.ERROR),
        ("json $.queue.depth lt 100", Severity.WARNING),
        ("status in 2xx", Severity.ERROR),
    ]
    assert labels_of(checks["smtp-port"]) == []
    assert labels_of(checks["dns-192.0.2.53"]) == [
        ("answers any_of 203.0.113.10", Severity.ERROR),
        ("rcode eq NOERROR", Severity.ERROR),
    ]


def test_every_wish_is_expressible() -> None:
    """Statuses, locations, retries on statuses, addresses, name server, source, record type, SNI, certificate days."""
    checks = by_name(load("good-wishes.yml"))
    settings = {name: check.settings for name, check in checks.items()}
    assert labels_of(checks["expected-status"]) == [("status in 200, 301", Severity.ERROR)]
    assert labels_of(checks["expected-location"])[1] == ("location eq https://shop.example/new", Severity.ERROR)
    assert isinstance(settings["expected-location"], HttpSettings)
    assert not settings["expected-location"].follow_redirects
    retries = checks["retries"]
    assert (retries.retries, retries.retry_delay_seconds) == (3, 2.0)
    assert retries.retry_reasons == {Reason.TIMEOUT}
    assert [condition.label for condition in retries.retry_expectations] == ["status in 502, 503"]
    dns = settings["expected-ips"]
    assert isinstance(dns, DnsSettings)
    assert (dns.server, dns.source_ip, dns.record_type) == ("192.0.2.53:5353", "10.0.0.7", "AAAA")
    assert checks["expected-ips"].expectations[0].operand == ("2001:db8::1", "2001:db8::2")
    tcp = settings["certificate"]
    assert isinstance(tcp, TcpSettings)
    assert tcp.tls_config.server_name == "shop.example"


def test_the_wishes_about_mail_are_expressible() -> None:
    """Submission over STARTTLS with a login, and a mailbox without a recent message as a warning or an error."""
    text = """
checks:
  - name: submission
    type: smtp
    target: mail.example:587
    tls: starttls
    username: probe
    password: unguessable
    from: probe@mail.example
    to: postmaster@mail.example
  - name: reports-{severity}
    type: imap
    target: mail.example
    username: reports
    password: unguessable
    mailbox: Reports
    search: {subject: Backup finished, from: backup@}
    each: {severity: [warning, error]}
    expect:
      - newest_age: {le: 30m}
        severity: "{severity}"
"""
    checks = {check.name: check for check in parse_config(text, "checks.yml", TYPES).checks}
    smtp = checks["submission"].settings
    assert isinstance(smtp, SmtpSettings)
    assert (smtp.tls, smtp.username, smtp.sender) == ("starttls", "probe", "probe@mail.example")
    assert (smtp.deliver, checks["submission"].min_interval_seconds) == (False, 300.0)
    assert labels_of(checks["reports-warning"]) == [("newest_age le 30m", Severity.WARNING)]
    assert labels_of(checks["reports-error"]) == [("newest_age le 30m", Severity.ERROR)]
    assert checks["reports-error"].target == "mail.example:993"


def test_words_that_yaml_1_1_would_twist_stay_text() -> None:
    """`on`, `no`, `22:22` and `017` are text, as in YAML 1.2."""
    text = """
checks:
  - name: on
    type: http
    target: http://shop.example/
    headers: {A: no, B: 22:22, C: 017}
"""
    [check] = parse_config(text, "checks.yml", TYPES).checks
    assert isinstance(check.settings, HttpSettings)
    assert (check.name, dict(check.settings.headers)) == ("on", {"A": "no", "B": "22:22", "C": "017"})


def test_secrets_are_used_and_never_shown() -> None:
    """References and secret keys reach the executor, but neither the label nor `/config`."""
    text = """
checks:
  - name: api
    type: http
    target: https://api.example/?token=${env:TOKEN}
    basic_auth: {username: me, password: "${env:PASSWORD:-geheim-default}"}
    headers: {X-Api-Key: geheim-literal, X-Price: "$${env:NOT_A_REFERENCE}"}
"""
    config = parse_config(text, "checks.yml", TYPES, environment={"TOKEN": "geheim-token"})
    [check] = config.checks
    assert isinstance(check.settings, HttpSettings)
    assert check.target == "https://api.example/?token=geheim-token"
    assert check.settings.basic_auth is not None
    assert check.settings.basic_auth.password.get_secret_value() == "geheim-default"
    assert check.settings.headers["X-Price"] == "${env:NOT_A_REFERENCE}"
    assert "geheim" not in check.shown_target
    assert "geheim-literal" not in config.rendered
    assert "geheim-token" not in config.rendered
    assert "${env:TOKEN}" in config.rendered


def test_secret_files_are_read_beside_the_configuration(tmp_path: Path) -> None:
    """`*_file` and `${file:}` are relative to the file that names them, and a final line break is ignored."""
    (tmp_path / "token").write_text("geheim\n")
    (tmp_path / "checks.yml").write_text("""
checks:
  - {name: a, type: http, target: "http://a.example/", bearer_token_file: token}
  - {name: b, type: http, target: "http://b.example/", headers: {X-Key: "key=${file:token}"}}
""")
    config = load_config(tmp_path / "checks.yml", TYPES)
    first, second = (check.settings for check in config.checks)
    assert isinstance(first, HttpSettings)
    assert isinstance(second, HttpSettings)
    assert first.bearer_token is not None
    assert first.bearer_token.get_secret_value() == "geheim"
    assert second.headers == {"X-Key": "key=geheim"}
    assert tmp_path / "token" in config.files


def test_included_files_add_their_checks_and_share_the_defaults(tmp_path: Path) -> None:
    """Patterns are relative to the including file; its defaults apply to included files, whose own override them."""
    (tmp_path / "checks.d").mkdir()
    (tmp_path / "checks.d" / "a.yml").write_text('checks: [{name: a, type: tcp, target: "a.example:1"}]\n')
    (tmp_path / "checks.d" / "b.yml").write_text(
        'defaults: {timeout: 7s}\nchecks: [{name: b, type: tcp, target: "b.example:1"}]\n'
    )
    (tmp_path / "checks.yml").write_text("include: [checks.d/*.yml]\ndefaults: {timeout: 3s}\n")
    config = load_config(tmp_path / "checks.yml", TYPES)
    assert [(check.name, check.timeout_seconds) for check in config.checks] == [("a", 3.0), ("b", 7.0)]


def test_five_thousand_checks_load_in_seconds() -> None:
    """A large installation need not be split because of loading times."""
    lines = (f"  - {{name: c{n}, type: http, target: 'http://host{n}.example/'}}" for n in range(5000))
    started = time.thread_time()
    config = parse_config("checks:\n" + "\n".join(lines), "checks.yml", TYPES)
    assert len(config.checks) == 5000
    assert time.thread_time() - started < 10.0


def test_each_check_has_its_place(tmp_path: Path) -> None:
    """The place is in the file as named or included; checks of one item share it, and disabled ones have one."""
    (tmp_path / "more.yml").write_text("checks:\n- {name: m, type: tcp, target: 'm:1'}\n", encoding="utf-8")
    text = (
        "include: [more.yml]\nchecks:\n  - type: tcp\n    name: a-{n}\n    target: 'a:1'\n    each: {n: [1, 2]}\n"
        "  - {name: 'off', type: tcp, target: 'b:1', enabled: false}\n"
    )
    file = str(tmp_path / "c.yml")
    assert parse_config(text, file, TYPES).places == {
        "a-1": Place(file, 3, 5),
        "a-2": Place(file, 3, 5),
        "off": Place(file, 7, 5),
        "m": Place(str(tmp_path / "more.yml"), 2, 3),
    }
