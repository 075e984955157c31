"""Changes of the web configuration and its certificates while the exporter serves, and warnings at its start."""

from __future__ import annotations

import shutil
import socket
import ssl
from typing import TYPE_CHECKING

import bcrypt
import httpx
import pytest
from cryptography import x509

from exporter.errors import ConfigError
from exporter.masking import Masks
from exporter.web.live_web_config import open_web_config
from tests.servers.exporter import Exporter, run_command, run_exporter
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from tests.servers.nginx import CertificateFiles

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
USERS = f"basic_auth_users: {{alice: {HASH}}}\n"
RELOADED = "nyxmon_exporter_web_config_last_reload_successful"
CHECKS = "checks: [{name: nobody, type: tcp, target: '127.0.0.1:1'}]\n"


@pytest.fixture
def web_file(tmp_path: Path, certificate: CertificateFiles) -> Path:
    """A web configuration with a certificate and a user; its directory has copies of both PEM files."""
    shutil.copy(certificate.cert_file, tmp_path / "cert.pem")
    shutil.copy(certificate.key_file, tmp_path / "key.pem")
    file = tmp_path / "web.yml"
    file.write_text(f"tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\n{USERS}", "utf-8")
    return file


def install(certificate: trustme.LeafCert, directory: Path) -> None:
    """Replace certificate and key, one after the other, each in one step."""
    for pem, name in ((certificate.cert_chain_pems[0], "cert.pem"), (certificate.private_key_pem, "key.pem")):
        pem.write_to_path(str(directory / "new.pem"))
        (directory / "new.pem").replace(directory / name)


def serial_number(port: int) -> int:
    """The serial number of the certificate that the server presents now."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain) as connection,
    ):
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"").serial_number


def serial_of(certificate: trustme.LeafCert) -> int:
    return x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes()).serial_number


def get(exporter: Exporter, path: str = "/metrics?run=none", auth: tuple[str, str] | None = None) -> httpx.Response:
    """A page, over TLS without verification."""
    with httpx.Client(verify=False, trust_env=False, timeout=30) as client:
        return client.get(f"https://{exporter.address}{path}", auth=auth)


def test_a_rotated_certificate_is_served_without_a_restart(tmp_path: Path, web_file: Path, ca: trustme.CA) -> None:
    """A broken one leaves the old one in force and is logged once; the next valid one is used."""
    first, second = ca.issue_cert("127.0.0.1"), ca.issue_cert("127.0.0.1")
    install(first, tmp_path)
    with run_exporter(tmp_path, CHECKS, f"--web.config.file={web_file}", is_protected=True) as exporter:
        assert serial_number(exporter.port) == serial_of(first)

        (tmp_path / "key.pem").write_text("rubbish\n", "utf-8")
        refused = '\\"key.pem\\" cannot be used: it holds no key in PEM form'
        wait_until(lambda: refused in exporter.process.log())
        assert serial_number(exporter.port) == serial_of(first)
        assert f"\n{RELOADED} 0.0\n" in get(exporter, auth=("alice", "secret")).text

        install(second, tmp_path)
        wait_until(lambda: serial_number(exporter.port) == serial_of(second))
        page = get(exporter, auth=("alice", "secret")).text
        assert f"\n{RELOADED} 1.0\n" in page
        assert f"\n{RELOADED.replace('_web', '')} 1.0\n" in page
        assert exporter.process.log().count(refused) == 1


def test_a_change_of_the_file_takes_effect_without_a_restart(tmp_path: Path, web_file: Path) -> None:
    """Users, headers and limits are those of the file a second later."""
    with run_exporter(tmp_path, CHECKS, f"--web.config.file={web_file}", is_protected=True) as exporter:
        assert [get(exporter, auth=auth).status_code for auth in (None, ("alice", "secret"))] == [401, 200]
        text = web_file.read_text("utf-8")
        headers = "http_server_config: {headers: {X-Frame-Options: sameorigin}}\n"
        web_file.write_text(text.replace("alice", "bob") + headers, "utf-8")
        wait_until(lambda: get(exporter, auth=("bob", "secret")).status_code == 200)
        answer = get(exporter, auth=("alice", "secret"))
        assert (answer.status_code, answer.headers["X-Frame-Options"]) == (401, "sameorigin")


def test_the_exporter_is_not_opened_by_a_file_that_is_being_written(tmp_path: Path, web_file: Path) -> None:
    """An empty file is valid at the start, but does not remove TLS and passwords later."""
    with run_exporter(tmp_path, CHECKS, f"--web.config.file={web_file}", is_protected=True) as exporter:
        web_file.write_text("", "utf-8")
        wait_until(lambda: "restart the exporter" in exporter.process.log())
        assert get(exporter).status_code == 401


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("U", "", "basic_auth_users, so no client would need a password"),
        ("TU", "U", "tls_server_config, so everything would be sent in the clear"),
        ("TR", "T", "client_auth_type: RequireAndVerifyClientCert, so more clients could connect"),
        ("TR", "TA", "client_auth_type: RequireAndVerifyClientCert, so more clients could connect"),
        ("TA", "T", "client_auth_type: RequireAnyClientCert, so more clients could connect"),
        ("", "TU", None),
        ("T", "TR", None),
        ("TA", "TR", None),
        ("TU", "TU ", None),
    ],
)
def test_a_reload_never_removes_protection(
    tmp_path: Path, certificate: CertificateFiles, ca_file: Path, before: str, after: str, message: str | None
) -> None:
    """T is TLS, R and A with client certificates that are verified or any; U is a user."""
    tls = f"tls_server_config:\n  cert_file: {certificate.cert_file}\n  key_file: {certificate.key_file}\n"
    verified = f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {ca_file}\n"
    texts = {"T": tls, "U": USERS, "R": verified, "A": "  client_auth_type: RequireAnyClientCert\n", " ": "# new\n"}
    file = tmp_path / "web.yml"
    file.write_text("".join(texts[letter] for letter in before), "utf-8")
    live = open_web_config(file, Masks(), open_health=False)
    first = live.current
    file.write_text("".join(texts[letter] for letter in after), "utf-8")
    if message is None:
        assert live.reload_if_changed()
        assert live.current is not first
        return
    with pytest.raises(ConfigError) as caught:
        live.reload_if_changed()
    assert str(caught.value) == f"{file}: no longer has {message}; if that is intended, restart the exporter"
    assert live.current is first
    assert not live.last_reload_successful


def test_hashes_are_masked(tmp_path: Path) -> None:
    """They are secrets of the process like any others."""
    file = tmp_path / "web.yml"
    file.write_text(USERS, "utf-8")
    masks = Masks()
    open_web_config(file, masks, open_health=False)
    assert masks(f"the hash {HASH} leaked") == "the hash <secret> leaked"


def test_the_exporter_does_not_start_with_a_bad_file(tmp_path: Path) -> None:
    """All problems are reported, and the exit status is that of a wrong configuration."""
    file = tmp_path / "web.yml"
    file.write_text("basic_auth_users: {alice: secret}\ntls_server: {}\n", "utf-8")
    done = run_command("serve", f"--web.config.file={file}", "--web.listen-address=127.0.0.1:0")
    assert done.status == 2
    no_hash = 'the password of "alice" is not a bcrypt hash; nyxmon-exporter hash-password makes one'
    assert done.stderr.splitlines()[-2:] == [
        f"{file}:1:27: basic_auth_users: {no_hash}",
        f'{file}:2:1: tls_server: is not a valid key; did you mean "tls_server_config"?',
    ]


MODULES = "modules: {any: {prober: tcp}}\n"
EXPOSED = "anyone who can reach this server can make it connect to almost any target"


@pytest.mark.parametrize(
    ("sections", "address", "is_warned_about"),
    [
        (None, "0.0.0.0", True),
        (None, "127.0.0.1", False),
        ("", "0.0.0.0", True),
        ("T", "0.0.0.0", True),
        ("TA", "0.0.0.0", True),
        ("TI", "0.0.0.0", True),
        ("U", "0.0.0.0", False),
        ("TU", "0.0.0.0", False),
        ("TR", "0.0.0.0", False),
    ],
)
def test_an_open_server_with_modules_is_warned_about(
    tmp_path: Path,
    certificate: CertificateFiles,
    ca_file: Path,
    sections: str | None,
    address: str,
    is_warned_about: bool,
) -> None:
    """A password or a verified client certificate prevents the warning; an unverified certificate does not."""
    tls = f"tls_server_config:\n  cert_file: {certificate.cert_file}\n  key_file: {certificate.key_file}\n"
    authorities = f"  client_ca_file: {ca_file}\n"
    texts = {
        "T": tls,
        "U": USERS,
        "R": f"  client_auth_type: RequireAndVerifyClientCert\n{authorities}",
        "I": f"  client_auth_type: VerifyClientCertIfGiven\n{authorities}",
        "A": "  client_auth_type: RequireAnyClientCert\n",
    }
    flags = []
    if sections is not None:
        (tmp_path / "web.yml").write_text("".join(texts[letter] for letter in sections), "utf-8")
        flags = [f"--web.config.file={tmp_path / 'web.yml'}", "--web.open-health"]
    (tmp_path / "blackbox.yml").write_text(MODULES, "utf-8")
    flags.append(f"--blackbox.config.file={tmp_path / 'blackbox.yml'}")
    flags.append(f"--web.listen-address={address}:0")
    with run_exporter(tmp_path, None, *flags, is_protected=True) as exporter:
        assert (EXPOSED in exporter.process.log()) == is_warned_about


@pytest.mark.parametrize(("address", "is_warned_about"), [("0.0.0.0", True), ("[::]", True), ("127.0.0.1", False)])
def test_an_open_server_is_warned_about(tmp_path: Path, address: str, is_warned_about: bool) -> None:
    """Without modules, other clients can still read the pages and run the checks."""
    with run_exporter(tmp_path, None, f"--web.listen-address={address}:0", is_protected=True) as exporter:
        warning = "anyone who can reach this server can read its pages and run its checks"
        assert (warning in exporter.process.log()) == is_warned_about


def test_an_empty_file_opens_the_server(tmp_path: Path) -> None:
    """Every other exporter treats it in the same way."""
    (tmp_path / "web.yml").write_text("", "utf-8")
    assert open_web_config(tmp_path / "web.yml", Masks(), open_health=False).current.summary == (
        "plain HTTP, no passwords"
    )
