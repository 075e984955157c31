"""Comments in the imported file: secrets, headers and targets that a person must review."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.migration.importing import STATIC, USUAL, imported, job, loaded

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "# This secret stood in the module: move it to a file or a variable, and write ${file:..} or ${env:..} here."
SECRETS = {
    "password": ("basic_auth: {username: me, password: hush}", "    password: hush\n"),
    "header": ("headers: {X-Api-Key: hush}", "    X-Api-Key: hush\n"),
    "secret header": ("http_headers: {X-Token: {secrets: [hush]}}", "    X-Token: hush\n"),
    "oauth2": (
        "oauth2: {client_id: me, client_secret: hush, token_url: 'http://t.test/'}",
        "    client_secret: hush\n",
    ),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_has_a_comment_above_it(kind: str, tmp_path: Path) -> None:
    """Only a key with a secret written in the module has a comment, which says where the secret belongs."""
    option, line = SECRETS[kind]
    text = imported(tmp_path, f"  m: {{prober: http, http: {{{option}}}}}\n", job(STATIC))
    assert (text.count(SECRET), f"      {SECRET}\n  {line}" in text) == (1, True), text
    assert len(loaded(tmp_path, text).checks) == 1


def test_the_passwords_of_urls_have_comments_and_stay_with_their_targets(tmp_path: Path) -> None:
    """Targets with different users become checks with different users."""
    targets = 'static_configs: [{targets: ["http://a:one@a.test/", "http://b:two@b.test/"]}]'
    text = imported(tmp_path, "  m: {prober: http}\n", job(targets))
    users = [(check.target, check.settings.basic_auth.username) for check in loaded(tmp_path, text).checks]
    assert (users, text.count(SECRET)) == ([("http://a.test/", "a"), ("http://b.test/", "b")], 2)


def test_headers_of_one_value_are_carried_over(tmp_path: Path) -> None:
    """A header of `http_headers` with one value is a header of the check."""
    text = imported(tmp_path, "  m: {prober: http, http: {http_headers: {X-One: {values: [a]}}}}\n", job(STATIC))
    assert ("      X-One: a\n" in text, text.count("#")) == (True, 0), text


def test_a_repeated_header_has_a_comment(tmp_path: Path) -> None:
    """A header that a module sends several times is sent once, and a comment says so."""
    text = imported(tmp_path, "  m: {prober: http, http: {http_headers: {X-Two: {values: [a, b]}}}}\n", job(STATIC))
    remark = "  # The module m sends the header X-Two several times; a check sends it once, with the first value.\n"
    assert (remark in text, "      X-Two: a\n" in text) == (True, True), text


def test_a_certificate_within_a_module_is_not_carried_over(tmp_path: Path) -> None:
    """A certificate whose text stands in a module has no path that a check could name."""
    import trustme  # noqa: PLC0415 - no other test needs an authority

    text = json.dumps(trustme.CA().cert_pem.bytes().decode())
    text = imported(tmp_path, f"  m: {{prober: http, http: {{tls_config: {{ca: {text}}}}}}}\n", job(STATIC))
    assert "no equivalent for the text of ca_file, which stands in the module; write it to a file." in text


@pytest.fixture
def files(tmp_path: Path) -> str:
    (tmp_path / "sd").mkdir()
    groups = [
        {"targets": ["http://a.test/", "http://b.test/"], "labels": {"team": "web"}},
        {"targets": ["http://c.test/"], "labels": {"__meta_from": "cmdb"}},
    ]
    (tmp_path / "sd" / "web.json").write_text(json.dumps(groups))
    return "file_sd_configs: [{files: [sd/*.json]}]"


def test_targets_stay_in_the_files_that_list_them(files: str, tmp_path: Path) -> None:
    """With the usual relabelling a job names its files, and the checks have the labels of the files."""
    text = imported(tmp_path, "  m: {prober: http}\n", job(files))
    checks = loaded(tmp_path, text).checks
    assert ("    target_files:\n    - ../sd/*.json\n" in text, "#" in text) == (True, False), text
    assert [(check.name, check.target, dict(check.labels)) for check in checks] == [
        ("web http://a.test/", "http://a.test/", {"team": "web"}),
        ("web http://b.test/", "http://b.test/", {"team": "web"}),
        ("web http://c.test/", "http://c.test/", {}),
    ]


def test_targets_beside_files_are_written_out(files: str, tmp_path: Path) -> None:
    """A job with both kinds of targets becomes two entries."""
    text = imported(tmp_path, "  m: {prober: http}\n", job(f"{files}\n    {STATIC.replace('a.test', 'd.test')}"))
    targets = sorted(check.target for check in loaded(tmp_path, text).checks)
    assert (targets, "target_files" in text) == ([f"http://{name}.test/" for name in "abcd"], True), text


OTHERWISE = {
    "relabelling": (
        "http://a.test/",
        {},
        "      - {source_labels: [__address__], regex: http.*, action: keep}\n" + USUAL,
        "http",
        "the relabelling does more than pass them on",
    ),
    "scheme": ("a.test", {}, USUAL, "http", "a.test is written http://a.test in a check"),
    "label": ("http://a.test/", {"job": "other"}, USUAL, "http", "checks cannot have the labels job"),
    "parameter": (
        "http://a.test/",
        {"__param_hostname": "b.test"},
        USUAL,
        "http",
        "checks cannot have the labels __param_hostname",
    ),
    "dns": ("127.0.0.1", {}, USUAL, "dns", "a module of the prober dns takes them as servers"),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_targets_are_written_out_when_their_files_mean_something_else(case: str, tmp_path: Path) -> None:
    """A comment says that the targets are those at the time of the import, and why."""
    target, labels, rules, prober, why = OTHERWISE[case]
    (tmp_path / "web.json").write_text(json.dumps([{"targets": [target], "labels": labels}]))
    block = "http: {}" if prober == "http" else "dns: {query_name: a.test}"
    text = imported(
        tmp_path, f"  m: {{prober: {prober}, {block}}}\n", job("file_sd_configs: [{files: [web.json]}]", rules)
    )
    remark = (
        f"  # The job web: the targets of web.json were written out when this file was made, because {why}; "
        "later changes of those files have no effect here.\n"
    )
    assert (remark in text, "target_files:" in text) == (True, False), text
    assert len(loaded(tmp_path, text).checks) == 1


@pytest.mark.parametrize(
    ("keys", "remarks"),
    [
        ("proxy_url: 'http://proxy.test:3128'", 1),
        ("proxy_from_environment: true", 1),
        ("proxy_url: 'http://proxy.test:3128', skip_resolve_phase_with_proxy: true", 0),
        ("skip_resolve_phase_with_proxy: true", 0),
    ],
)
def test_a_proxy_that_is_asked_for_addresses_has_a_comment(tmp_path: Path, keys: str, remarks: int) -> None:
    """Both a check and a module with a proxy leave the name lookup to it, which causes no comment."""
    text = imported(tmp_path, f"  m: {{prober: http, http: {{{keys}}}}}\n", job(STATIC))
    remark = "  # The module m asks its proxy for addresses; a check asks it for names.\n"
    assert text.count(remark) == remarks, text
