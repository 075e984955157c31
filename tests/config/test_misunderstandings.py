"""What people write who know other tools or guess: rejected with an error that says what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.config import Config, load_config, parse_config
from exporter.errors import ConfigError
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ExecutorRegistry.with_builtins().check_types
HTTP = "name: it, type: http, target: 'http://a.example/'"
TCP = "name: it, type: tcp, target: 'a.example:1'"
SMTP = "name: it, type: smtp, target: 'a.example'"
IMAP = "name: it, type: imap, target: 'a.example'"
DNS = "name: it, type: dns, target: a.example"


def load(text: str) -> Config:
    return parse_config(text, "f.yml", TYPES, environment={"EMPTY": ""})


def faults_of(text: str) -> list[str]:
    """Path and message of every error."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def faults_of_check(keys: str) -> list[str]:
    return [fault.removeprefix("checks[0].") for fault in faults_of(f"checks: [{{{keys}}}]")]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (f"{HTTP}, url: x", "url: is not a valid key; write target"),
        (f"{DNS}, doh: true", "doh: is not a valid key; write transport: https"),
        (f"{HTTP}, check_revoked: true", "check_revoked: is not a valid key; write a check of type certificate"),
        (
            f"{TCP}, upside_down: true",
            "upside_down: is not a valid key; write expectations that the failure meets",
        ),
        (f"{DNS}, dns_over_quic: true", "dns_over_quic: is not a valid key; write transport: quic"),
        (
            f"{DNS}, nameservers: [a.example]",
            "nameservers: is not a valid key; write server for the first and compare for the others",
        ),
        (
            f"{DNS}, validate_authority_rrs: {{}}",
            "validate_authority_rrs: is not a valid key; write expect: [{authority_records: {matches: ..}}]",
        ),
        (f"{HTTP}, hostname: x", "hostname: is not a valid key; write target"),
        (f"{HTTP}, verify: false", "verify: is not a valid key; write tls_config: {insecure_skip_verify: true}"),
        (f"{TCP}, insecure: true", "insecure: is not a valid key; write tls_config: {insecure_skip_verify: true}"),
        (
            f"{TCP}, insecure_skip_verify: true",
            "insecure_skip_verify: is not a valid key; write tls_config: {insecure_skip_verify: true}",
        ),
        (
            f"{HTTP}, tls_config: {{verify: false}}",
            "tls_config.verify: is not a valid key; write insecure_skip_verify: true",
        ),
        (f"{HTTP}, user: me", "user: is not a valid key; write basic_auth: {username: .., password: ..}"),
        (f"{HTTP}, auth: me", "auth: is not a valid key; write basic_auth: {username: .., password: ..}"),
        (f"{HTTP}, token: me", "token: is not a valid key; write bearer_token"),
        (
            f"{TCP}, starttls: true",
            "starttls: must be one of smtp, imap, pop3, ftp, ldap, xmpp, postgresql, mysql, sieve, nntp, not true",
        ),
        (f"{SMTP}, starttls: true", "starttls: is not a valid key; write tls: starttls, tls or none"),
        (f"{IMAP}, tls_mode: starttls", "tls_mode: is not a valid key; write tls: starttls, tls or none"),
        (f"{IMAP}, use_ssl: true", "use_ssl: is not a valid key; write tls: tls"),
        (f"{IMAP}, folder: x", "folder: is not a valid key; write mailbox"),
        (
            f"{IMAP}, max_age_minutes: 30",
            "max_age_minutes: is not a valid key; write expect: [{newest_age: {lt: ..}, severity: ..}]",
        ),
        (f"{SMTP}, recipient: a@b.example", "recipient: is not a valid key; write to"),
        (f"{SMTP}, helo: a.example", "helo: is not a valid key; write hello"),
        (
            f"{HTTP}, module: http_2xx",
            (
                "module: is not a valid key; a module is part of blackbox.yml, which is another format; "
                "its keys become keys of the check"
            ),
        ),
        (
            f"{HTTP}, prober: http",
            "prober: is not a valid key; write type; a module of blackbox.yml becomes keys of the check",
        ),
        (f"{HTTP}, scrape_timeout: 5s", "scrape_timeout: is not a valid key; write timeout"),
        (f"{HTTP}, scrape_interval: 5s", "scrape_interval: is not a valid key; write interval"),
        (f"{HTTP}, expected_status: 200", "expected_status: is not a valid key; write expect: [{status: ..}]"),
        (f"{HTTP}, valid_status_codes: [200]", "valid_status_codes: is not a valid key; write expect: [{status: ..}]"),
        (
            f"{HTTP}, fail_if_body_matches_regexp: [x]",
            "fail_if_body_matches_regexp: is not a valid key; write expect: [{body: {not_matches: ..}}]",
        ),
        (f"{DNS}, query_type: A", "query_type: is not a valid key; write record_type"),
        (f"{DNS}, valid_rcodes: [NOERROR]", "valid_rcodes: is not a valid key; write expect: [{rcode: ..}]"),
        (f"{HTTP}, source_ip_address: 10.0.0.1", "source_ip_address: is not a valid key; write source_ip"),
        (f"{HTTP}, disabled: true", "disabled: is not a valid key; write enabled: false to switch the check off"),
        (
            f"{HTTP}, expect: [{{status_code: 200}}]",
            "expect[0].status_code: is neither a subject of type http nor an operator; write status",
        ),
        (
            f"{HTTP}, expect: [{{response_time: {{lt: 1s}}}}]",
            "expect[0].response_time: is neither a subject of type http nor an operator; write duration",
        ),
        (
            f"{HTTP}, expect: [{{body: {{regex: x}}}}]",
            "expect[0].body.regex: is not an operator for body; write matches",
        ),
        (
            f"{TCP}, expect: [{{serial_number: '01'}}]",
            "expect[0].serial_number: is neither a subject of type tcp nor an operator; write certificate_serial",
        ),
        (
            f"{HTTP}, expect: [{{body_size: {{'>=': 5}}}}]",
            "expect[0].body_size.>=: is not an operator for body_size; write ge",
        ),
        ("name: it, type: https, target: 'https://a.example/'", 'type: "https" is not a check type; write http'),
        ("name: it, type: json, target: 'https://a.example/'", 'type: "json" is not a check type; write json-http'),
        (
            "name: it, type: snmp, target: a.example",
            (
                'type: "snmp" is not a check type; there is no such type; types: certificate, dns, domain, exec, grpc, '
                "http, http-steps, icmp, imap, json-http, mail-roundtrip, ntp, pop3, smtp, ssh, tcp, udp, unix, "
                "websocket"
            ),
        ),
        (
            "name: it, type: redis, target: 'a.example:6379'",
            'type: "redis" is not a check type; write tcp, with dialogue or starttls',
        ),
        (
            "name: it, type: tcp, target: 'a.example:25', query_response: []",
            "query_response: is not a valid key; write dialogue",
        ),
        (
            "name: it, type: tcp, target: 'a.example:25', tls_mode: starttls",
            "tls_mode: is not a valid key; write starttls: smtp, or another protocol",
        ),
    ],
)
def test_words_of_other_tools_are_translated(keys: str, fault: str) -> None:
    """The message names the intended key instead of listing all keys."""
    assert faults_of_check(keys) == [fault]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (
            f"{DNS}, server: [192.0.2.1, 192.0.2.2]",
            "server: must be one value, not a list; each: {server: [..]} makes a check for each",
        ),
        (
            f"{DNS}, record_type: [A, AAAA]",
            "record_type: must be one value, not a list; each: {record_type: [..]} makes a check for each",
        ),
        (
            f"{HTTP}, method: [GET, HEAD]",
            "method: must be text, not a list; each: {method: [..]} makes a check for each",
        ),
        (
            f"{HTTP}, timeout: [1s]",
            "timeout: must be one value, not a list; each: {timeout: [..]} makes a check for each",
        ),
        (
            f"{HTTP}, follow_redirects: [true]",
            (
                "follow_redirects: must be true or false, not a list; "
                "each: {follow_redirects: [..]} makes a check for each"
            ),
        ),
        (
            f"{TCP}, source_ip: []",
            "source_ip: must be one value, not a list; each: {source_ip: [..]} makes a check for each",
        ),
        (f"{TCP}, tls_config: {{min_version: [TLS12]}}", "tls_config.min_version: must be one value, not a list"),
        (f"{HTTP}, labels: [a]", "labels: must be a mapping, not a list; write NAME: VALUE, without a dash"),
        (
            "name: it, type: tcp, target: ['a.example:1']",
            "target: must be text, not a list; targets: [..] makes a check for each",
        ),
        ("name: [it], type: tcp, target: 'a.example:1'", "name: must be text, not a list"),
    ],
)
def test_a_list_where_one_value_is_wanted_is_rejected_as_such(keys: str, fault: str) -> None:
    """Whatever the key, the message says that it has one value, and how to write several checks."""
    assert faults_of_check(keys) == [fault]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (
            "name: it, type: tcp, targets: ['${TOKEN}:1']",
            (
                "targets[0]: has ${TOKEN}, which is not a reference; write ${env:TOKEN} for the environment variable, "
                "or $${ where the text ${ is meant"
            ),
        ),
        (
            f"{HTTP}, headers: {{A: 'Bearer ${{TOKEN}}'}}",
            (
                "headers.A: has ${TOKEN}, which is not a reference; write ${env:TOKEN} for the environment variable, "
                "or $${ where the text ${ is meant"
            ),
        ),
        (
            f"{HTTP}, bearer_token: '${{TOKEN:-geheim}}'",
            (
                "bearer_token: has ${TOKEN}, which is not a reference; write ${env:TOKEN} for the environment "
                "variable, "
                "or $${ where the text ${ is meant"
            ),
        ),
        (
            "name: 'a ${TOKEN} {target}', type: tcp, targets: ['a.example:1']",
            (
                "name: has ${TOKEN}, which is not a reference; write ${env:TOKEN} for the environment variable, "
                "or $${ where the text ${ is meant"
            ),
        ),
        (
            "name: 'a ${host}', type: tcp, target: 'a.example:1', each: {host: [x]}",
            "name: has ${host}; write {host} for the value, ${env:host} for a variable",
        ),
        (
            "name: 'a {x}', type: http, target: 'http://a.example/', each: {x: [1]}, body: '${x}'",
            "body: has ${x}; write {x} for the value, ${env:x} for a variable",
        ),
        (
            "name: 'a {target}', type: tcp, target: 'a.example:1'",
            ("name: has {target}, which has no value; add each, targets or target_files"),
        ),
        (
            "name: it, type: http, target: 'http://{host}/'",
            ("target: has {host}, which has no value; add each, targets or target_files"),
        ),
        (
            f"{HTTP}, labels: {{team: '{{team}}'}}",
            ("labels.team: has {team}, which has no value; add each, targets or target_files"),
        ),
    ],
)
def test_what_only_looks_like_a_reference_or_a_placeholder_is_rejected(keys: str, fault: str) -> None:
    """The shell's notation for a variable, and an unfilled placeholder, never become a name or a value."""
    assert faults_of_check(keys) == [fault]


def test_braces_can_be_written_as_text() -> None:
    """Doubled braces stand for themselves; with `each`, they stand for single ones, and `$${x}` for the text `${x}`."""
    config = load("""
checks:
  - {name: "a {{x}}", type: http, target: "http://a.example/", labels: {l: "{{y}}"}, body: "$${x} {x}"}
  - {name: "b {x} {{y}}", type: http, target: "http://a.example/", body: "$${x} {{x}}", each: {x: [1]}}
""")
    assert [check.name for check in config.checks] == ["a {{x}}", "b 1 {y}"]
    assert [getattr(check.settings, "body", "") for check in config.checks] == ["${x} {x}", "${x} {x}"]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (
            "defaults: {expect: [{duration: {lt: 1s}}]}\nchecks: [{name: it, type: tcp, target: 'a.example:1'}]",
            [
                (
                    "defaults.expect: cannot be a default; what can be expected depends on the "
                    "type: write it under the name "
                    "of "
                    "one, such as http: {expect: [..]}"
                )
            ],
        ),
        (
            "defaults: {target: x, each: {a: [b]}}\nchecks: [{name: it, type: tcp, target: 'a.example:1'}]",
            [
                "defaults.target: cannot be a default; it belongs to a check",
                "defaults.each: cannot be a default; it belongs to a check",
            ],
        ),
        (
            "defaults: {verify: false}\nchecks: [{name: it, type: tcp, target: 'a.example:1'}]",
            ["defaults.verify: cannot be a default; write tls_config: {insecure_skip_verify: true}"],
        ),
        (
            "defaults: {labels: {team: '{team}'}}\nchecks: [{name: it, type: tcp, target: 'a.example:1'}]",
            ["defaults.labels: has a placeholder, which has no value in defaults; write the label into the checks"],
        ),
        (
            "modules: {http_2xx: {prober: http}}",
            [
                (
                    "modules: is not a valid key; this is a blackbox.yml; start with --blackbox.config.file to probe "
                    "its modules, or write checks, each with name, type and target (the README has a table)"
                )
            ],
        ),
        ("endpoints: []", ["endpoints: is not a valid key; write checks, each with name, type and target"]),
    ],
)
def test_files_of_other_formats_and_wrong_defaults_say_where_things_go(text: str, faults: list[str]) -> None:
    """The error says where the misplaced key or value belongs."""
    assert faults_of(text) == faults


@pytest.mark.parametrize(
    ("keys", "faults"),
    [
        (
            (
                "name: 'a {x}', type: http, target: 'http://{x}/', timeout: 5, mthod: GET, "
                "each: {x: [], timeout: [7], name: [a]}"
            ),
            [
                "timeout: 5 is not a duration; write it with a unit, such as 500ms, 5s, 1m30s",
                'mthod: is not a valid key; did you mean "method"?',
                "each.x: must be a list of at least one value",
                "each.timeout[0]: 7 is not a duration; write it with a unit, such as 500ms, 5s, 1m30s",
                'each.name: "name" cannot be a key of each',
            ],
        ),
        (
            "type: http, targets: x, expect: [{status: 99}]",
            [
                "name: is required",
                "targets: must be a list of at least one value",
                "expect[0].status: 99 is not a status; write 200, 2xx, 200-299 or a list of them",
            ],
        ),
        (
            "name: 'a {x}', type: htp, timeout: 5, retries: many, each: {x: [1]}",
            [
                'type: "htp" is not a check type; did you mean "http"?',
                "timeout: 5 is not a duration; write it with a unit, such as 500ms, 5s, 1m30s",
                'retries: must be a whole number, not "many"',
            ],
        ),
    ],
)
def test_mistakes_are_reported_together_with_those_of_each(keys: str, faults: list[str]) -> None:
    """A check that cannot be expanded, or has no known type, is validated nevertheless."""
    assert faults_of_check(keys) == faults


@pytest.mark.parametrize("content", ["", "\n", " \r\n\t\n"], ids=["empty", "line", "blank"])
@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("bearer_token_file: token", 'bearer_token_file: "token" is empty'),
        ("basic_auth: {username: a, password_file: token}", 'basic_auth.password_file: "token" is empty'),
        ("headers: {X-Key: '${file:token}'}", "headers.X-Key: refers to the file token, which is empty"),
    ],
)
def test_an_empty_secret_file_is_rejected(tmp_path: Path, content: str, keys: str, fault: str) -> None:
    """A file that has not been written yet is not a secret."""
    (tmp_path / "token").write_text(content)
    (tmp_path / "checks.yml").write_text(f"checks: [{{{HTTP}, {keys}}}]")
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "checks.yml", TYPES)
    assert [f"{one.path}: {one.message}" for one in caught.value.problems] == [f"checks[0].{fault}"]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("bearer_token: ''", "bearer_token: <secret> must not be empty"),
        ("bearer_token: '${env:EMPTY}'", "bearer_token: <secret> must not be empty"),
        (
            "bearer_token: Bearer geheim",
            "bearer_token: <secret> begins with Bearer, which is sent in front of it anyway; leave it out",
        ),
        (
            "basic_auth: {username: a, password: 12345}",
            "basic_auth.password: must be text, not a number; put it in quotes",
        ),
        ("bearer_token: 0x1F", "bearer_token: must be text, not a number; put it in quotes"),
        ("bearer_token: true", "bearer_token: must be text, not true or false; put it in quotes"),
    ],
)
def test_an_invalid_secret_is_rejected(keys: str, fault: str) -> None:
    """An empty value, one that begins with a scheme, and one that YAML reads as a number are reported but not shown."""
    assert faults_of_check(f"{HTTP}, {keys}") == [fault]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (
            "timeout: 30s, retries: 5",
            (
                "cannot fit into a scrape: 6 attempts of 30 s take up to 180 s, but no scrape lasts longer than 120 s; "
                "write fewer retries or a shorter timeout"
            ),
        ),
        (
            "retries: 5, interval: 30s",
            (
                "cannot fit into a scrape: 6 attempts of 10 s take up to 60 s, but the interval of 30 s is shorter; "
                "write fewer retries or a shorter timeout"
            ),
        ),
        (
            "timeout: 1s, retries: 2, retry_delay: 1m",
            (
                "cannot fit into a scrape: 3 attempts of 1 s and pauses of 60 s take up to 123 s, but no scrape lasts "
                "longer "
                "than 120 s; write fewer retries or a shorter timeout"
            ),
        ),
    ],
)
def test_retries_that_no_scrape_has_time_for_are_rejected(keys: str, fault: str) -> None:
    """A scrape ends with its interval, and after two minutes at most."""
    assert faults_of_check(f"{TCP}, {keys}") == [f"retries: {fault}"]


def test_retries_that_need_a_long_scrape_are_warned_about() -> None:
    """They are allowed, as a scrape may have a long timeout; with an interval, there is no warning."""
    config = load(f"checks: [{{{TCP}, retries: 5}}, {{{TCP.replace('it', 'b')}, retries: 5, interval: 2m}}]")
    assert [str(warning) for warning in config.warnings] == [
        (
            "f.yml:1:64: checks[0].retries: 6 attempts of 10 s take up to 60 s, but a scrape lasts 10 s unless "
            "scrape_timeout says otherwise"
        )
    ]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (f"{HTTP}, headers: [{{A: b}}]", "headers: must be a mapping, not a list; write NAME: VALUE, without a dash"),
        (f"{HTTP}, headers: 'A: b'", "headers: must be a mapping, not text; write NAME: VALUE"),
        (f"{HTTP}, follow_redirects: on", 'follow_redirects: must be true or false, not "on"; write true'),
        (f"{HTTP}, follow_redirects: 'false'", 'follow_redirects: must be true or false, not "false"; write false'),
        (f"{HTTP}, enabled: 0", "enabled: must be true or false, not 0; write false"),
        (f"{HTTP}, retries: 1_0", 'retries: must be a whole number, not "1_0"; write 10'),
        (f"{HTTP}, retries: 007", 'retries: must be a whole number, not "007"; write 7'),
        (f"{HTTP}, retries: '2'", 'retries: must be a whole number, not "2"; remove the quotes'),
        (f"{HTTP}, retries: 12:30", 'retries: must be a whole number, not "12:30"'),
        (f"{HTTP}, retries: {'9' * 30}_", f'retries: must be a whole number, not "{"9" * 30}_"'),
        ("name: ' it', type: tcp, target: 'a.example:1'", 'name: " it" begins or ends with a space; remove it'),
    ],
)
def test_a_value_that_is_nearly_right_is_corrected(keys: str, fault: str) -> None:
    """Words of YAML 1.1, quotes around numbers, and lists in place of mappings are rejected with what to write."""
    assert faults_of_check(keys) == [fault]


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("http://256.1.1.1/", "has the host '256.1.1.1', which is not an IP address: 256 is more than 255"),
        (
            "http://010.1.1.1/",
            (
                "has the host '010.1.1.1', which is not an IP address: 010 has a leading zero, which may mean octal; "
                "write 10"
            ),
        ),
        ("http://[::g]/", "has the host '[::g]', which is not an IPv6 address, which brackets are for"),
        ("http://[192.0.2.1]/", "has the host '[192.0.2.1]', which is not an IPv6 address, which brackets are for"),
        ("http://http://a.example/", "has two schemes; write http://a.example/"),
        ("http://a.example/#x", "has a fragment, which no server receives; remove everything from # on"),
    ],
)
def test_a_url_that_cannot_be_fetched_as_written_is_rejected(target: str, fault: str) -> None:
    """The message is about the part that is wrong, in the exporter's own words."""
    assert faults_of_check(f"name: it, type: http, target: '{target}'") == [f'target: "{target}" {fault}']


def test_fragments_are_rejected_in_all_types_with_urls() -> None:
    """They never reach a server."""
    fault = "has a fragment, which no server receives; remove everything from # on"
    steps = "name: it, type: http-steps, target: 'http://a.example/#x', steps: [{name: a, url: /}]"
    assert faults_of_check(steps) == [f'target: "http://a.example/#x" {fault}']
    websocket = "name: it, type: websocket, target: 'ws://a.example/#x'"
    assert faults_of_check(websocket) == [f'target: "ws://a.example/#x" {fault}']


@pytest.mark.parametrize("operator", ["matches", "not_matches", "contains"])
def test_empty_text_to_look_for_is_rejected(operator: str) -> None:
    """Every text contains it, so the expectation would say nothing."""
    assert faults_of_check(f"{HTTP}, expect: [{{body: {{{operator}: ''}}}}]") == [
        f'expect[0].body.{operator}: "" is found in every text; write exists: true or exists: false'
    ]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (f"{HTTP}, expect: [{{json: ''}}]", 'expect[0].json: "" must be a JSONPath, with the operators beside it'),
        (
            "name: it, type: http-steps, target: 'http://a.example/', steps: [{name: a, url: /, timeout: 1s}]",
            (
                "steps[0]: is not a valid key; valid keys: basic_auth, bearer_token, body, capture, expect, "
                "follow_redirects, form, headers, json, method, name, url, values"
            ),
        ),
    ],
)
def test_one_mistake_causes_one_error(keys: str, fault: str) -> None:
    """What only follows from another mistake is not reported."""
    assert faults_of_check(keys) == [fault]


@pytest.mark.parametrize("key", ["targets: [a.example:1, a.example:1]", "target: '{x}:1', each: {x: [a, a]}"])
def test_a_value_that_is_listed_twice_is_reported_as_such(key: str) -> None:
    """A placeholder in the name cannot tell equal values apart."""
    name = "{target}" if "targets" in key else "{x}"
    [fault] = faults_of_check(f"name: 'it {name}', type: tcp, {key}")
    assert fault.endswith("[1]: is listed twice, first in line 1")


def test_a_timeout_longer_than_any_scrape_causes_a_warning() -> None:
    """The command `run` may wait that long."""
    config = load(f"checks: [{{{TCP}, timeout: 121s}}, {{{TCP.replace('it', 'b')}, timeout: 2m}}]")
    assert [str(warning) for warning in config.warnings] == [
        (
            "f.yml:1:64: checks[0].timeout: is longer than any scrape, which takes at most 120 s; "
            "only the command run waits so long"
        )
    ]
