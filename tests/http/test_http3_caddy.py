"""HTTP/3 with Caddy: a server whose QUIC is another implementation than the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.http.response import decode_later
from tests.http.exchanging import ask
from tests.servers.caddy import run_caddy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles


async def test_an_answer_of_caddy(tmp_path: Path, certificate: CertificateFiles, ca_file: Path) -> None:
    """The response, the certificate and the phases are measured."""
    with run_caddy(tmp_path, {"localhost": certificate}) as caddy:
        outcome = await ask(caddy.url(), ca_file)
    exchange, facts = outcome.exchange, outcome.exchange.connection
    assert outcome.answer == (None, 200, "3", b"hello"), outcome.why
    assert exchange.header_values("server") == ("Caddy",)
    assert facts.tls is not None
    assert (facts.tls.version, facts.tls.verified, facts.tls.cipher[:4]) == ("TLS 1.3", True, "TLS_")
    assert min(facts.connect_seconds, facts.tls_seconds, exchange.processing_seconds) > 0


async def test_the_name_is_sent(
    tmp_path: Path, certificate: CertificateFiles, ca_file: Path, write_certificate: Callable[..., CertificateFiles]
) -> None:
    """A server with several certificates presents the one for the requested name."""
    other = write_certificate("other.test")
    with run_caddy(tmp_path, {"localhost": certificate, "other.test": other}) as caddy:
        outcome = await ask(caddy.url(host="other.test"), ca_file, settings={"connect_to": "127.0.0.1"})
    tls = outcome.exchange.connection.tls
    assert (outcome.answer[:2], tls and tls.presented[0].names) == ((None, 200), ("other.test",)), outcome.why


async def test_large_and_coded_answers(tmp_path: Path, certificate: CertificateFiles, ca_file: Path) -> None:
    """Bodies larger than any window arrive completely; announced and coded ones are recognised."""
    body = b"0123456789abcdef" * 150_000
    (tmp_path / "big.txt").write_bytes(body)
    with run_caddy(tmp_path, {"localhost": certificate}, f"root * {tmp_path}\nencode gzip\nfile_server") as caddy:
        plain = await ask(caddy.url("/big.txt"), ca_file, body_limit_bytes=len(body), patience_seconds=30)
        announced = await ask(caddy.url("/big.txt"), ca_file, method="HEAD")
        coded = await ask(caddy.url("/big.txt"), ca_file, headers={"Accept-Encoding": "gzip"}, body_limit_bytes=1 << 22)
        missing = await ask(caddy.url("/none"), ca_file)
    assert (plain.why, plain.exchange.body == body) == ("", True)
    assert (announced.why, announced.exchange.content_length, announced.exchange.body) == ("", len(body), b"")
    assert (coded.why, coded.exchange.header_values("content-encoding")) == ("", ("gzip",))
    await decode_later(coded.exchange)
    assert coded.exchange.body == body
    assert coded.exchange.wire_body_bytes < len(body)
    assert missing.exchange.status == 404


async def test_a_request_body_goes_through_windows(
    tmp_path: Path, certificate: CertificateFiles, ca_file: Path
) -> None:
    """A body larger than any window is sent whole."""
    site = 'respond "{http.request.body}"'
    body = b"0123456789abcdef" * 60_000
    with run_caddy(tmp_path, {"localhost": certificate}, site) as caddy:
        outcome = await ask(caddy.url(), ca_file, method="POST", content=body, patience_seconds=30)
    assert (outcome.why, outcome.exchange.body == body) == ("", True)


async def test_a_client_certificate_may_be_demanded(
    tmp_path: Path, certificate: CertificateFiles, ca_file: Path, write_certificate: Callable[..., CertificateFiles]
) -> None:
    """The configured one is presented; without one, the server's alert is reported, even after the handshake."""
    files = write_certificate("client.test")
    demand = f"client_auth {{\nmode require_and_verify\ntrusted_ca_cert_file {ca_file}\n}}"
    with run_caddy(
        tmp_path, {"localhost": certificate}, 'respond "{http.request.tls.client.subject}"', tls=demand
    ) as caddy:
        known = await ask(
            caddy.url(), ca_file, tls={"cert_file": str(files.cert_file), "key_file": str(files.key_file)}
        )
        unknown = await ask(caddy.url(), ca_file)
    assert known.answer[:2] == (None, 200), known.why
    assert unknown.why.startswith("tls: the server refused the handshake with the alert ")
