"""Scrape jobs for exporters with TLS, passwords and client certificates: promtool accepts them, Prometheus gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
import yaml

from tests.servers.exporter import run_command, run_exporter
from tests.servers.prometheus import promtool, run_prometheus

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.servers.nginx import CertificateFiles

CONFIG = "checks: [{name: nobody, type: tcp, target: '127.0.0.1:1', timeout: 1s}]\n"
USER = ("--basic-auth.username=prometheus", "--basic-auth.password-file=password")
TLS = ("--scheme=https", "--tls.ca-file=ca.pem")
CLIENT = ("--tls.cert-file=client.pem", "--tls.key-file=client-key.pem", "--tls.server-name=exporter.example")


@pytest.fixture
def folder(tmp_path: Path, ca: trustme.CA) -> Path:
    """A folder with checks.yml and Prometheus' credentials."""
    (tmp_path / "checks.yml").write_text(CONFIG, "utf-8")
    (tmp_path / "password").write_text("secret\n", "utf-8")
    issued = ca.issue_cert("prometheus.example")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "client-key.pem"))
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path


def generate(folder: Path, *flags: str) -> str:
    """The output of the command, which promtool accepts."""
    done = run_command("generate", "prometheus", "--config.file=checks.yml", *flags, directory=folder)
    assert (done.status, done.stderr) == (0, "")
    (folder / "prometheus.yml").write_text(done.stdout, "utf-8")
    promtool("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml", directory=folder)
    return done.stdout


def job_of(folder: Path, *flags: str) -> dict[str, Any]:
    (job,) = yaml.safe_load(generate(folder, *flags))["scrape_configs"]
    return dict(job)


BASIC_AUTH = {"basic_auth": {"username": "prometheus", "password_file": "password"}}
TLS_CONFIG = {
    "ca_file": "ca.pem",
    "cert_file": "client.pem",
    "key_file": "client-key.pem",
    "server_name": "exporter.example",
}
ACCESS_KEYS = ("scheme", "basic_auth", "tls_config")


@pytest.mark.parametrize("endpoint", ["metrics", "sd", "probe"])
@pytest.mark.parametrize(
    ("flags", "scheme", "keys"),
    [
        ((), "http", {}),
        (USER, "http", BASIC_AUTH),
        (("--scheme=https",), "https", {}),
        (
            (*TLS, "--tls.insecure-skip-verify"),
            "https",
            {"tls_config": {"ca_file": "ca.pem", "insecure_skip_verify": True}},
        ),
        ((*USER, *TLS, *CLIENT), "https", {**BASIC_AUTH, "tls_config": TLS_CONFIG}),
    ],
)
def test_a_job_has_the_credentials_of_prometheus(
    folder: Path, endpoint: str, flags: tuple[str, ...], scheme: str, keys: dict[str, Any]
) -> None:
    """The discovery has them as well, because it asks the same exporter."""
    job = job_of(folder, f"--endpoint={endpoint}", *flags)
    told = {key: job[key] for key in ACCESS_KEYS if key in job}
    assert told == ({"scheme": "https"} if scheme == "https" else {}) | keys
    assert job.get("http_sd_configs", []) == (
        [{"url": f"{scheme}://localhost:10115/sd", **keys}] if endpoint == "sd" else []
    )


def test_the_comment_has_the_command(folder: Path) -> None:
    """The comment has all flags, so that the file can be generated again."""
    flags = (*USER, *TLS, *CLIENT, "--tls.insecure-skip-verify")
    made_by = generate(folder, *flags).splitlines()[0]
    assert all(flag in made_by.split() for flag in flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (USER[:1], "--basic-auth.username and --basic-auth.password-file must be set together"),
        (USER[1:], "--basic-auth.username and --basic-auth.password-file must be set together"),
        ((*TLS, CLIENT[0]), "--tls.cert-file and --tls.key-file must be set together"),
        (TLS[1:], "flags that begin with --tls need --scheme=https"),
        (("--tls.insecure-skip-verify",), "flags that begin with --tls need --scheme=https"),
        (("--scheme=ftp",), "--scheme: 'ftp' is not one of http, https"),
    ],
)
def test_flags_that_do_not_fit_together_are_rejected(folder: Path, flags: tuple[str, ...], message: str) -> None:
    """Prometheus would reject the file, or ignore a part of it."""
    done = run_command("generate", "prometheus", "--config.file=checks.yml", *flags, directory=folder)
    assert (done.status, done.stderr) == (2, f"nyxmon-exporter: {message} (see --help)\n")


@pytest.mark.parametrize("endpoint", ["metrics", "sd"])
@pytest.mark.parametrize("kind", ["password", "certificate"])
def test_prometheus_scrapes_over_tls(
    folder: Path, certificate: CertificateFiles, ca_file: Path, kind: str, endpoint: str
) -> None:
    """It connects with a password, and with a verified client certificate; without both it is rejected."""
    web = [f"tls_server_config:\n  cert_file: {certificate.cert_file}\n  key_file: {certificate.key_file}\n"]
    if kind == "password":
        flags = USER
        web.append(f"basic_auth_users: {{prometheus: {bcrypt.hashpw(b'secret', bcrypt.gensalt(10)).decode()}}}\n")
    else:
        flags = CLIENT[:2]
        web.append(f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {ca_file}\n")
        web.append("  client_allowed_sans: [prometheus.example]\n")
    (folder / "web.yml").write_text("".join(web), "utf-8")
    flag = f"--web.config.file={folder / 'web.yml'}"
    with run_exporter(folder / "exporter", CONFIG, flag, is_protected=True) as exporter:
        address = f"--address={exporter.address}"
        rest = (address, f"--endpoint={endpoint}", "--scrape-interval=1s", *TLS)
        config = yaml.safe_load(generate(folder, *rest, *flags))
        (stranger,) = yaml.safe_load(generate(folder, address, "--scrape-interval=1s", *TLS))["scrape_configs"]
        config["scrape_configs"].append(stranger | {"job_name": "stranger"})
        with run_prometheus(folder, yaml.safe_dump(config)) as prometheus:
            assert [one.value for one in prometheus.wait_for('probe_success{check="nobody", job="nyxmon"}')] == [0.0]
            assert {one.value for one in prometheus.query('up{job="nyxmon"}')} == {1.0}
            assert [one.value for one in prometheus.wait_for('up{job="stranger"}')] == [0.0]
