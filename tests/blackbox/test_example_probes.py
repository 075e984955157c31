"""The modules that users start from, against real servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.blackbox import load_modules
from exporter.checks.icmp import ICMP
from exporter.checks.tcp import TCP
from exporter.checks.websocket import WEBSOCKET
from exporter.model import ResultStatus
from tests.blackbox.module_files import module_file
from tests.checks.running import measured, warm_runner
from tests.servers.dovecot import run_dovecot
from tests.servers.sshd import run_sshd
from tests.servers.websocket import run_websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.model import Result
    from tests.servers.nginx import CertificateFiles

EXAMPLES = Path(__file__).parent.parent / "configs" / "blackbox" / "good-examples.yml"


@pytest.fixture
def probe() -> Iterator[Callable[..., Result]]:
    """Probes a target with a module of the examples, or of another file."""

    def run(module_name: str, target: str, *, file: Path = EXAMPLES, hostname: str | None = None) -> Result:
        module = load_modules(file).get(module_name)
        assert module is not None
        results: list[Result] = []
        runner.run_all([module.check(target, hostname)], results.append)
        return results[0]

    with warm_runner(TCP, ICMP, WEBSOCKET) as runner:
        yield run


def test_imap_changes_to_tls(
    probe: Callable[..., Result], certificate: CertificateFiles, ca_file: Path, tmp_path: Path
) -> None:
    """The IMAP example upgrades by STARTTLS and reads what the server sends only over TLS."""
    text = EXAMPLES.read_text().replace("  imap_starttls:", "  plain:", 1)
    steps = text.partition("  plain:\n")[2].partition("  smtp_starttls:")[0]
    trusting = steps.replace("    tcp:\n", f"    tcp:\n      tls_config: {{ca_file: {ca_file}}}\n")
    file = module_file(tmp_path, f"modules:\n  imap:\n{trusting}  untrusting:\n{steps}")
    with run_dovecot(certificate) as server:
        target = f"127.0.0.1:{server.imap_port}"
        trusted, untrusted = probe("imap", target, file=file), probe("untrusting", target, file=file)
    assert (trusted.status, untrusted.status) == (ResultStatus.OK, ResultStatus.ERROR)
    assert measured(trusted)["probe_ssl_earliest_cert_expiry"] > 0


def test_the_version_of_an_ssh_server_becomes_labels(probe: Callable[..., Result], tmp_path: Path) -> None:
    """The captures of the regular expression are the labels of `probe_expect_info`."""
    with run_sshd(tmp_path / "ssh") as sshd:
        result = probe("ssh_banner_extract", f"127.0.0.1:{sshd.port}")
    assert result.status is ResultStatus.OK
    (labels,) = (name for name in measured(result) if name.startswith("probe_expect_info"))
    assert "{ssh_version}{OpenSSH_" in labels


def test_messages_are_exchanged(probe: Callable[..., Result], tmp_path: Path) -> None:
    """A WebSocket module sends its messages as they are, without a line feed."""
    file = module_file(
        tmp_path,
        "modules: {m: {prober: websocket, websocket: {query_response: [{send: ping}, {expect: ^ping$}]}}}",
    )
    with run_websocket() as server:
        assert probe("m", f"ws://127.0.0.1:{server.port}/", file=file).status is ResultStatus.OK


def test_loopback_is_pinged(probe: Callable[..., Result]) -> None:
    """The module of the examples pings over IPv4 from its source address, with the system's ttl."""
    result = probe("icmp_example", "127.0.0.1")
    assert result.status is ResultStatus.OK
