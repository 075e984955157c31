"""References and secret files: their values, which are never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter.config import Config, load_config, parse_config
from exporter.config.files import Files
from exporter.config.problems import Problems
from exporter.config.secrets import Secrets, mask_credential, mask_url_password
from exporter.errors import ConfigError
from exporter.http.settings import HttpSettings
from exporter.runner.registry import ExecutorRegistry
from exporter.secrecy import SecretText

TYPES = ExecutorRegistry.with_builtins().check_types
CANARY = "s3cr3t-CANARY"
ENVIRONMENT = {"TOKEN": CANARY, "EMPTY": "", "PORT": "8", "FLAG": "true", "NUMBER": "5", "LONG": f"{CANARY} {CANARY}"}


def load(text: str) -> Config:
    return parse_config(text, "f.yml", TYPES, environment=ENVIRONMENT)


def http(keys: str) -> HttpSettings:
    [check] = load(f"checks: [{{name: a, type: http, target: 'http://a.example/', {keys}}}]").checks
    assert isinstance(check.settings, HttpSettings)
    return check.settings


def refusal_of(keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        http(keys)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${env:TOKEN}", CANARY),
        ("a ${env:TOKEN} b ${env:NUMBER}", f"a {CANARY} b 5"),
        ("${env:EMPTY}", ""),
        ("${env:EMPTY:-else}", "else"),
        ("${env:ABSENT:-}", ""),
        ("${env:ABSENT:-a:-b}", "a:-b"),
        ("$${env:TOKEN}", "${env:TOKEN}"),
        ("$$${env:TOKEN}", "$${env:TOKEN}"),
        ("$ {env:TOKEN} $env", "$ {env:TOKEN} $env"),
    ],
)
def test_a_reference_has_this_value(written: str, value: str) -> None:
    """Variables, defaults for those that are unset or empty, and the notation for a literal reference."""
    assert http(f"headers: {{X-A: '{written}'}}").headers == {"X-A": value}


def test_a_reference_may_stand_for_a_number_or_a_flag() -> None:
    """A reference is text; where a number or a flag is expected, it is converted."""
    settings = http("max_redirects: '${env:NUMBER}', follow_redirects: '${env:FLAG}', headers: {X-A: '${env:NUMBER}'}")
    assert (settings.max_redirects, settings.follow_redirects) == (5, True)
    assert settings.headers == {"X-A": "5"}


def test_a_value_that_was_quoted_stays_text() -> None:
    """Only references are converted: a quoted text is not a number."""
    fault = 'must be a whole number, not "5"; remove the quotes'
    assert refusal_of("max_redirects: '5'") == f"f.yml:1:76: checks[0].max_redirects: {fault}"


@pytest.mark.parametrize(
    "keys",
    [
        "timeout: '${env:TOKEN}'", "method: '${env:TOKEN}?'", "max_redirects: '${env:TOKEN}'",
        "source_ip: '${env:TOKEN}'", "compression: '${env:TOKEN}'", "tls_config: {ca_file: '${env:TOKEN}'}",
        "tls_config: {min_version: '${env:TOKEN}'}", "retry_on: ['${env:TOKEN}']", "expect: ['${env:TOKEN}']",
        "expect: [{status: '${env:TOKEN}'}]", "expect: [{json: '${env:TOKEN}', eq: 1}]",
        "expect: [{body: {matches: '(${env:TOKEN}'}}]", "expect: [{status: 200, severity: '${env:TOKEN}'}]",
        "labels: {a: '${env:TOKEN}'}", "headers: {Host: '${env:LONG}'}", "headers: '${env:TOKEN}'",
        f"basic_auth: {{username: a, password: [{CANARY}]}}", f"headers: {{Authorization: {{a: {CANARY}}}}}",
        f"bearer_token: {{a: {CANARY}}}", "bearer_token_file: '${env:TOKEN}'",
    ],
)  # fmt: skip
def test_no_error_shows_a_secret(keys: str) -> None:
    """The message about a wrong secret never contains it."""
    assert CANARY not in refusal_of(keys)


@pytest.mark.parametrize(
    "keys",
    [
        f'basic_auth: "me:{CANARY}"', f"basic_auth: {CANARY}", f"basic_auth: {{me:{CANARY}}}",
        f"basic_auth: {{me, {CANARY}}}", f"basic_auth: [me, {CANARY}]",
        f"basic_auth: {{username: [{CANARY}], password: a}}",
        f"digest_auth: {CANARY}", f"oauth2: {CANARY}", f"oauth2: {{client_secret: {{a: {CANARY}}}}}",
        f"oauth2: {{client_id: a, client_secret: b, token_url: 'http://me:{CANARY}@a.example/'}}",
        f"oauth2: {{client_id: a, client_secret: b, token_url: 'http://a.example/', scopes: {{x: [{CANARY}]}}}}",
        f"bearer_token: [{CANARY}]", f"bearer_token: !!int {CANARY}", f"bearer_token: !{CANARY} 5",
        f"bearer_token: {{{CANARY}: 1}}", f"bearer_token: 'Bearer {CANARY}'", f'bearer_token: "{CANARY}\\n"',
        f"bearer_token: '{CANARY} ${{x}}'", f"bearer_token: *{CANARY}",
        f"headers: 'Authorization: Bearer {CANARY}'", f"headers: ['Authorization: Bearer {CANARY}']",
        f"headers: {{'Authorization: Bearer {CANARY}': }}", f"headers: {{Authorization:{CANARY}}}",
        f"headers: {{Bearer {CANARY}: }}", f"headers: {{Authorization: [Bearer {CANARY}]}}",
        f'headers: {{Cookie: "{CANARY}\\n"}}', f"proxy_connect_headers: 'Proxy-Authorization: {CANARY}'",
        f"proxy: 'http://me:{CANARY}@proxy.example'", f"proxy: 'me:{CANARY}@proxy.example:3128'",
        f"proxy: 'http://{CANARY}@proxy.example'", f"proxy: 'http://me:a/{CANARY}@proxy.example'",
        f"proxy: {{url: 'http://me:{CANARY}@proxy.example'}}", f"proxy: {{url: 'ftp://me:{CANARY}@proxy.example'}}",
        f"proxy: {{url: 'http://proxy.example', username: me, password: [{CANARY}]}}",
        f"password: {CANARY}", f"api_key: {CANARY}", f"passwrd: {CANARY}", f"credentials: {{a: {CANARY}}}",
        f'tls_config: {{cert_file: a, key_file: "-----BEGIN PRIVATE KEY-----\\n{CANARY}"}}',
        f"source_ip: 'http://me:{CANARY}@a.example'", f"timeout: 'me:{CANARY}@a.example'",
    ],
)  # fmt: skip
def test_no_error_quotes_a_credential_that_was_written_out(keys: str) -> None:
    """Whatever the shape of a credential, the message says what is wrong with it without quoting it."""
    assert CANARY not in refusal_of(keys)


@pytest.mark.parametrize(
    "target",
    [
        f"http://me:{CANARY}@a.example/", f"http://{CANARY}@a.example/", f"me:{CANARY}@a.example",
        f"http://me:p/{CANARY}@a.example/", f"ftp://me:{CANARY}@a.example/", f"http://me:a#{CANARY}@a.example/",
    ],
)  # fmt: skip
def test_no_error_quotes_the_credentials_of_a_url(target: str) -> None:
    """This holds if its scheme is missing or wrong, or if a character of the password ends the user part too early."""
    for text in (f"checks: [{{name: a, type: http, target: '{target}'}}]", f"checks: ['{target}']"):
        with pytest.raises(ConfigError) as caught:
            load(text)
        assert CANARY not in str(caught.value)


def test_a_target_with_a_secret_that_is_wrong_is_not_shown() -> None:
    """The message shows the target like its label."""
    with pytest.raises(ConfigError) as caught:
        load("checks: [{name: a, type: http, target: 'htp://a.example/?key=${env:TOKEN}'}]")
    assert str(caught.value).startswith('f.yml:1:40: checks[0].target: "htp://a.example/?key=<secret>" has the scheme')


def test_a_secret_file_within_a_mapping_is_read(tmp_path: Path) -> None:
    """`password_file` stands for `password` wherever a model has one; only the last line end is removed."""
    (tmp_path / "password").write_text(" two\nlines \r\n")
    (tmp_path / "checks.yml").write_text("checks: [{name: a, type: http, target: 'http://a.example/', "
                                         "basic_auth: {username: me, password_file: password}}]")  # fmt: skip
    [check] = load_config(tmp_path / "checks.yml", TYPES).checks
    assert isinstance(check.settings, HttpSettings)
    assert check.settings.basic_auth is not None
    assert check.settings.basic_auth.password.get_secret_value() == " two\nlines "


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("absent", "cannot be read: No such file or directory"),
        (".", "cannot be read: it is not a regular file"),
        ("pipe", "cannot be read: it is not a regular file"),
        ("large", "is larger than 64 KiB"),
        ("binary", "is not UTF-8 (line 1, column 1)"),
    ],
)
def test_a_secret_file_that_cannot_be_read_is_rejected(tmp_path: Path, name: str, fault: str) -> None:
    """Pipes and devices do not block, large and binary files are not secrets, and none of their content is quoted."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 65537)
    (tmp_path / "binary").write_bytes(b"\xff" + CANARY.encode())
    (tmp_path / "checks.yml").write_text(
        f"checks: [{{name: a, type: http, target: 'http://a.example/', headers: {{A: '${{file:{name}}}'}}}}]"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "checks.yml", TYPES)
    assert [problem.message for problem in caught.value.problems] == [f"refers to the file {name}, which {fault}"]


def test_a_secret_text_has_a_masked_repr() -> None:
    """Its repr, even within a container, is what may be shown."""
    text = Secrets(ENVIRONMENT, Files(), Problems()).expand("key=${env:TOKEN}", Path())
    assert isinstance(text, SecretText)
    assert (text, repr([text])) == (f"key={CANARY}", "['key=<secret>']")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Bearer ${file:/run/token}", "Bearer ${file:/run/token}"),
        ("Bearer abc", "Bearer <secret>"),
        ("abc", "<secret>"),
        ("", ""),
        ("a${env:X}b${env:Y}c", "<secret>${env:X}<secret>${env:Y}<secret>"),
        ("${env:X:-abc}", "${env:X:-<secret>}"),
        ("$${env:X}", "<secret>"),
    ],
)
def test_a_credential_is_shown_as_its_references(written: str, shown: str) -> None:
    """Only the scheme and the references of a credential are shown."""
    assert mask_credential(written) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://me:geheim@a.example/x", "https://me:<secret>@a.example/x"),
        ("http://:geheim@a.example", "http://:<secret>@a.example"),
        ("https://a.example/x:y@z", "https://a.example/x:y@z"),
        ("https://a.example:443/?q=a@b", "https://a.example:443/?q=a@b"),
    ],
)
def test_the_password_of_a_url_is_masked(written: str, shown: str) -> None:
    """Only the password between user name and host is masked."""
    assert mask_url_password(written) == shown


def test_the_effective_configuration_can_be_loaded_and_is_the_same() -> None:
    """`/config` shows a configuration with defaults applied and `each` expanded, which has the same checks."""
    config = load_config(Path(__file__).parent.parent / "configs" / "good-wishes.yml", TYPES)
    again = parse_config(config.rendered, "f.yml", TYPES)
    assert again.checks == config.checks
    assert again.rendered == config.rendered


def test_texts_that_look_like_something_else_are_shown_in_quotes() -> None:
    """Text that some YAML reader takes for a number or flag is still text when it is loaded again."""
    words = ["on", "22:22", "017", "1e3", "0o17", "0x1F", "null", "~", "", "5", "1.5", "true", "2024-01-01", "- a", "#"]
    headers = {f"X-{index}": word for index, word in enumerate(words)}
    text = f"checks: [{{name: a, type: http, target: 'http://a.example/', headers: {headers}}}]"
    [check] = load(load(text).rendered).checks
    assert isinstance(check.settings, HttpSettings)
    assert dict(check.settings.headers) == headers


def test_credentials_are_masked_in_what_is_shown() -> None:
    """Secret keys and headers with credentials are masked; other headers, labels and files are shown."""
    rendered = load(f"""
checks:
  - name: a
    type: http
    target: http://a.example/?key=${{env:TOKEN}}
    labels: {{token: shown}}
    headers: {{Cookie: {CANARY}, X-Auth-Token: {CANARY}, X-Plain: shown}}
    basic_auth: {{username: me, password: {CANARY}}}
""").rendered
    assert CANARY not in rendered
    assert rendered.count("<secret>") == 3
    assert rendered.count("shown") == 2
    assert "http://a.example/?key=${env:TOKEN}" in rendered


def test_a_secret_header_value_stays_marked() -> None:
    """This holds if it came with the defaults, or was filled in for each check."""
    text = """
    defaults: {http: {headers: {X-One: "${env:TOKEN}", X-Two: "a ${env:TOKEN} b", X-Four: plain}}}
    checks:
      - {name: a, type: http, target: "http://a.example/"}
      - {name: "b-{n}", type: http, target: "http://a.example/", headers: {X-Three: "{key}"},
         each: {n: ["1"], key: ["${env:TOKEN}"]}}
    """
    secret = []
    for check in load(text).checks:
        assert isinstance(check.settings, HttpSettings)
        secret += [name for name, value in check.settings.headers.items() if isinstance(value, SecretText)]
    assert secret == ["X-One", "X-Two", "X-Three"]
