"""Checks of certificates against real servers, whose authorities have revoked them or not."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from exporter.checks.certificate import CERTIFICATE
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, ResultStatus
from exporter.net.tls.certificate_facts import certificate_facts
from exporter.revocation.lists import list_urls
from exporter.revocation.report import CRL_REVOKED
from tests.checks.running import measured, warm_runner
from tests.servers.authority import (
    INTERMEDIATE_SERIAL,
    LEAF_SERIAL,
    Authority,
    RevocableServer,
    make_authority,
    run_revocable_server,
)
from tests.servers.nginx import TLS_SERVER, run_nginx
from tests.servers.postgresql import run_postgresql
from tests.servers.process import free_port
from tests.servers.tcp import keep_silent, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.model import Result
    from exporter.runner.runner import AsyncCheckRunner

TYPES = {"certificate": CERTIFICATE}
OK, WARNING, ERROR = ResultStatus.OK, ResultStatus.WARNING, ResultStatus.ERROR


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner whose loop stays warm."""
    with warm_runner(CERTIFICATE) as runner:
        yield runner


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RevocableServer]:
    """A web server with a certificate whose authority publishes lists."""
    with run_revocable_server(tmp_path_factory.mktemp("shop")) as server:
        yield server


def run(runner: AsyncCheckRunner, target: str, ca_file: Path, **keys: object) -> Result:
    check = {"name": "it", "type": "certificate", "target": target, "tls_config": {"ca_file": str(ca_file)}, **keys}
    results: list[Result] = []
    config = parse_config(json.dumps({"checks": [check]}), "checks.yml", TYPES)
    runner.run_all(config.checks, results.append)
    return results[0]


def faults_of(result: Result) -> list[object]:
    """Why the revocation of certificates is uncertain, as logged."""
    return [line.fields["uncertain"] for line in result.log if "uncertain" in line.fields]


def certificate_lists(certificate: x509.Certificate) -> tuple[str, ...]:
    return list_urls(certificate.public_bytes(Encoding.DER))


def series(result: Result, name: str) -> list[float]:
    """The values of a family, by position in the chain."""
    return [value for key, value in measured(result).items() if key.startswith(name)]


def test_certificates_on_no_list_are_good(runner: AsyncCheckRunner, shop: RevocableServer) -> None:
    """Both lists are fetched, and it is known when the first of them expires."""
    shop.publish()
    result = run(runner, shop.target, shop.ca_file, expect=[{"list_expires_in": {"gt": "6d", "lt": "7d"}}])
    assert (result.status, result.detail) == (OK, "")
    assert series(result, "probe_ssl_crl_available{") == [1, 1]
    assert series(result, "probe_ssl_crl_revoked{") == [0, 0]
    assert series(result, "probe_ssl_crl_stale{") == [0, 0]
    assert series(result, "probe_ssl_crl_fetch_time_seconds")[0] > 0
    ends = series(result, "probe_ssl_crl_next_update_timestamp_seconds{")
    assert [round((end - time.time()) / 3600) for end in ends] == [167, 167]
    url = next(iter(certificate_lists(shop.authority.leaf.certificate)))
    facts = certificate_facts(shop.authority.leaf.certificate.public_bytes(Encoding.DER))
    labels = (facts.fingerprint_sha256, "CN=localhost", "CN=intermediate", "localhost", "abcdef", "0", url)
    assert next(one.labels for one in result.measurements if one.spec is CRL_REVOKED) == labels


def test_a_revoked_certificate_fails_the_check(runner: AsyncCheckRunner, shop: RevocableServer) -> None:
    """The detail names the certificate, since when it is revoked, and why."""
    shop.publish(shop.authority.intermediate.list_of(1, LEAF_SERIAL, 2))
    result = run(runner, shop.target, shop.ca_file)
    assert (result.status, result.reason) == (ERROR, Reason.CERTIFICATE)
    why = "CN=localhost since 2024-05-06T07:08:09Z, keyCompromise"
    assert result.detail == f"expected revoked eq false, observed true ({why})"
    assert series(result, "probe_ssl_crl_revoked{") == [1, 0]


def test_a_revoked_authority_fails_the_check(runner: AsyncCheckRunner, shop: RevocableServer) -> None:
    """So does an intermediate authority, even if the list does not say why; an older list is no excuse."""
    upper = shop.authority.root.list_of(INTERMEDIATE_SERIAL, reason=None, lifetime=timedelta(minutes=1))
    shop.publish(intermediate=upper)
    result = run(runner, shop.target, shop.ca_file)
    assert (result.status, result.reason) == (ERROR, Reason.CERTIFICATE)
    assert "CN=intermediate since 2024-05-06T07:08:09Z)" in result.detail
    assert series(result, "probe_ssl_crl_revoked{") == [0, 1]
    assert series(result, "probe_ssl_crl_stale{") == [0, 1]


def test_a_revoked_certificate_can_be_expected(runner: AsyncCheckRunner, shop: RevocableServer) -> None:
    """Authorities keep test sites with such certificates."""
    shop.publish(shop.authority.intermediate.list_of(LEAF_SERIAL))
    assert run(runner, shop.target, shop.ca_file, expect=[{"revoked": True}]).status is OK


def scope(**fields: object) -> x509.IssuingDistributionPoint:
    flags = {
        "only_contains_user_certs": False, "only_contains_ca_certs": False, "only_some_reasons": None,
        "indirect_crl": False, "only_contains_attribute_certs": False,
    }  # fmt: skip
    return x509.IssuingDistributionPoint(**{"full_name": None, "relative_name": None, **flags, **fields})  # type: ignore[arg-type]


FOREIGN = x509.UniformResourceIdentifier("http://lists.example/other.crl")
NOW = datetime.now(UTC)
UNUSABLE: dict[str, tuple[Callable[[Authority], bytes], str]] = {
    "garbage": (lambda _: b"<html>", "is not a revocation list"),
    "nothing": (lambda _: b"", "is not a revocation list"),
    "another authority": (lambda one: one.root.list_of(), "is from another authority"),
    "a forgery": (
        lambda one: one.intermediate.list_of(key=ec.generate_private_key(ec.SECP256R1())),
        "has a wrong signature",
    ),
    "the future": (
        lambda one: one.intermediate.list_of(begins=NOW.replace(year=2190)),
        f"is not valid before {NOW.replace(year=2190):%Y-%m-%dT%H:%M:%SZ}",
    ),
    "changes": (lambda one: one.intermediate.list_of(extensions=[x509.DeltaCRLIndicator(1)]), "has changes only"),
    "authorities": (
        lambda one: one.intermediate.list_of(extensions=[scope(only_contains_ca_certs=True)]),
        "is not for certificates of this kind",
    ),
    "indirect": (
        lambda one: one.intermediate.list_of(extensions=[scope(indirect_crl=True)]),
        "is not for certificates of this kind",
    ),
    "another part": (
        lambda one: one.intermediate.list_of(extensions=[scope(full_name=[FOREIGN])]),
        "covers other certificates of the authority",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_list_that_cannot_be_used_degrades_the_check(
    runner: AsyncCheckRunner, shop: RevocableServer, kind: str
) -> None:
    """What is not a valid list of the issuer for this certificate proves nothing, as anybody could have sent it."""
    make, fault = UNUSABLE[kind]
    shop.publish(make(shop.authority))
    result = run(runner, shop.target, shop.ca_file)
    assert (result.status, result.reason) == (WARNING, Reason.CERTIFICATE)
    [told] = faults_of(result)
    assert str(told).endswith(f"/leaf.crl {fault}")
    assert series(result, "probe_ssl_crl_available{") == [0, 1]


def test_an_expired_list_degrades_the_check(runner: AsyncCheckRunner, shop: RevocableServer) -> None:
    """An authority that issues no more lists may have revoked anything."""
    shop.publish(shop.authority.intermediate.list_of(lifetime=timedelta(minutes=1)))
    result = run(runner, shop.target, shop.ca_file, expect=[{"list_expires_in": {"lt": "0s"}, "severity": "warning"}])
    assert result.status is WARNING
    assert ["expired on" in str(fault) for fault in faults_of(result)] == [True]


def test_the_list_of_this_part_is_used_in_either_form(runner: AsyncCheckRunner, shop: RevocableServer) -> None:
    """A list may be one of several, for the certificates that name it, and be written as PEM."""
    [own] = map(x509.UniformResourceIdentifier, certificate_lists(shop.authority.leaf.certificate))
    part = scope(full_name=[own], only_contains_user_certs=True)
    der = shop.authority.intermediate.list_of(LEAF_SERIAL, extensions=[part])
    for content in (der, x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)):
        shop.publish(content)
        assert run(runner, shop.target, shop.ca_file).reason is Reason.CERTIFICATE


def test_a_missing_list_degrades_the_check(runner: AsyncCheckRunner, shop: RevocableServer) -> None:
    """The status of the response is logged."""
    shop.publish()
    (shop.lists / "leaf.crl").unlink()
    result = run(runner, shop.target, shop.ca_file)
    assert result.status is WARNING
    [fault] = faults_of(result)
    assert str(fault).endswith("/leaf.crl cannot be fetched: the server answered with status 404")
    assert run(runner, shop.target, shop.ca_file, expect=[{"uncertain": {"le": 1}}]).status is OK


def test_the_next_place_of_a_list_is_tried(runner: AsyncCheckRunner, tmp_path: Path) -> None:
    """Places that are not reached by HTTP are left out; an authority without a list is uncertain."""
    with run_nginx(tmp_path, f"server {{ listen {{port}}; root {tmp_path}; }}") as listing:
        places = ["ldap://directory.example/cn=list", f"http://127.0.0.1:{free_port()}/", listing.url("/leaf.crl")]
        authority = make_authority(places, [])
        (tmp_path / "leaf.crl").write_bytes(authority.intermediate.list_of(LEAF_SERIAL))
        with run_nginx(tmp_path / "tls", TLS_SERVER, certificate=authority.write(tmp_path)) as nginx:
            result = run(runner, f"localhost:{nginx.tls_port}", tmp_path / "ca.pem")
    assert (result.status, result.reason) == (ERROR, Reason.CERTIFICATE)
    assert faults_of(result) == ["it names no list"]


def test_a_silent_server_of_lists_leaves_time_for_the_others(runner: AsyncCheckRunner, tmp_path: Path) -> None:
    """Each list gets its share of the check's time, and the check is judged by the others."""
    with (
        serve(keep_silent) as silent,
        run_nginx(tmp_path, f"server {{ listen {{port}}; root {tmp_path}; }}") as listing,
    ):
        authority = make_authority([f"http://{silent.target}/leaf.crl"], [listing.url("/intermediate.crl")])
        (tmp_path / "intermediate.crl").write_bytes(authority.root.list_of(INTERMEDIATE_SERIAL))
        with run_nginx(tmp_path / "tls", TLS_SERVER, certificate=authority.write(tmp_path)) as nginx:
            result = run(runner, f"localhost:{nginx.tls_port}", tmp_path / "ca.pem", timeout="3s")
    assert (result.status, result.reason) == (ERROR, Reason.CERTIFICATE)
    assert faults_of(result) == [f"http://{silent.target}/leaf.crl did not answer in time"]


def test_a_database_server_is_checked_after_starttls(
    runner: AsyncCheckRunner, shop: RevocableServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The certificate is the one that it presents once it has changed to TLS."""
    shop.publish(shop.authority.intermediate.list_of(LEAF_SERIAL))
    with run_postgresql(tmp_path, shop.authority.write(tmp_path_factory.mktemp("files"))) as port:
        result = run(runner, f"localhost:{port}", shop.ca_file, starttls="postgresql")
    assert (result.status, result.reason) == (ERROR, Reason.CERTIFICATE)
    assert "CN=localhost since" in result.detail


def test_a_rejected_certificate_leads_nowhere(runner: AsyncCheckRunner, shop: RevocableServer, ca_file: Path) -> None:
    """Nothing is fetched from where a certificate says that nobody has verified."""
    result = run(runner, shop.target, ca_file)
    assert (result.status, result.reason) == (ERROR, Reason.CERTIFICATE)
    assert series(result, "probe_ssl_crl_available{") == []
    assert not any(line.message == "revocation" for line in result.log)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"tls_config": {"insecure_skip_verify": True}}, "only verified certificates can be checked for revocation"),
        ({"starttls": "smtp"}, "needs a port: host:port, or [address]:port for IPv6"),
    ],
)
def test_what_cannot_work_is_rejected(keys: dict[str, object], fault: str) -> None:
    """A certificate that is not verified, and STARTTLS without a port."""
    check = {"name": "it", "type": "certificate", "target": "shop.example", **keys}
    with pytest.raises(ConfigError) as caught:
        parse_config(json.dumps({"checks": [check]}), "checks.yml", TYPES)
    assert fault in str(caught.value)
