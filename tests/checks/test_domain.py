"""Type `domain` against RDAP and WHOIS servers that answer well, badly or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.domain import DOMAIN
from exporter.config import parse_config
from exporter.errors import ConfigError
from exporter.model import Reason, Result, ResultStatus
from tests.checks.running import measured, outcome, run_as_written, warm_runner
from tests.servers.http import drip, hold, raw, redirect, respond, run_http_server
from tests.servers.registries import (
    EXPIRES,
    EXPIRES_TIMESTAMP_SECONDS,
    WHOIS_ANSWER,
    rdap,
    rdap_domain,
    whois,
)
from tests.servers.tcp import close_when_spoken_to, closed_port, keep_silent, reset_when_spoken_to, serve

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from exporter.runner.runner import AsyncCheckRunner
    from tests.servers.http import Act
    from tests.servers.nginx import CertificateFiles
    from tests.servers.tcp import Behaviour

PATH = "/domain/shop.example"
WWW_IS_MISSING = (
    "the registry knows no domain www.shop.example; ask about the registered domain it belongs to, such as shop.example"
)
OK = (ResultStatus.OK, None, "")


@pytest.fixture(scope="module")
def runner() -> Iterator[AsyncCheckRunner]:
    """A runner that knows type `domain` and whose loop stays warm."""
    with warm_runner(DOMAIN) as runner:
        yield runner


@pytest.fixture
def run(runner: AsyncCheckRunner) -> Callable[..., Result]:
    """Run one check as a user writes it: its YAML keys besides name, type and target."""

    def run_one(keys: str, target: str = "shop.example", timeout: str = "20s") -> Result:
        return run_as_written(runner, DOMAIN, target, keys, timeout)

    return run_one


def by_rdap(run: Callable[..., Result], script: Mapping[str, Act], keys: str = "", **more: str) -> Result:
    with run_http_server(script) as server:
        return run(f'protocol: rdap, rdap_server: "{server.url("/")}", {keys}', **more)


def by_whois(run: Callable[..., Result], behave: Behaviour, keys: str = "", **more: str) -> Result:
    with serve(behave) as server:
        return run(f'protocol: whois, whois_server: "{server.target}", {keys}', **more)


def facts_in(result: Result) -> dict[str, float]:
    """What was measured about the domain, without zeros and durations."""
    return {
        name: value
        for name, value in measured(result).items()
        if name.startswith("probe_domain_") and "duration" not in name and value
    }


FACTS = {
    "probe_domain_expiry_timestamp_seconds": EXPIRES_TIMESTAMP_SECONDS,
    "probe_domain_registered": 1,
    "probe_domain_status{clientTransferProhibited}": 1,
    "probe_domain_status{ok}": 1,
    "probe_domain_registrar_info{Example Registrar}{292}": 1,
}


def test_rdap_and_whois_say_the_same(run: Callable[..., Result]) -> None:
    """Expiration, statuses and registrar are read from both."""
    results = [by_rdap(run, {PATH: rdap(rdap_domain())}), by_whois(run, whois(WHOIS_ANSWER))]
    assert [outcome(result) for result in results] == [OK, OK]
    assert [facts_in(result) for result in results] == [FACTS, FACTS]
    assert measured(results[0])["probe_domain_duration_seconds{rdap}"] > 0
    assert measured(results[1])["probe_domain_duration_seconds{whois}"] > 0


def test_each_subject_can_be_expected(run: Callable[..., Result]) -> None:
    """Statuses may be spelled as RDAP spells them, and the days may be written as a duration."""
    expect = (
        "expect: [{registered: true}, {expires_in: {gt: 30d}}, {registrar: {contains: Registrar}}, "
        "{domain_status: {all_of: [client transfer prohibited]}}]"
    )
    assert outcome(by_rdap(run, {PATH: rdap(rdap_domain())}, expect)) == OK


def test_a_name_in_another_script_is_asked_for_in_ascii(run: Callable[..., Result]) -> None:
    """The server sees the A-label."""
    script = {"/domain/xn--bcher-kva.example": rdap(rdap_domain(ldhName="xn--bcher-kva.example"))}
    assert outcome(by_rdap(run, script, target="Bücher.example.")) == OK


def test_an_expired_domain_and_one_on_hold_fail(run: Callable[..., Result]) -> None:
    """By default, a check expects neither."""
    events = [{"eventAction": "expiration", "eventDate": "2020-01-01T00:00:00Z"}]
    expired = by_rdap(run, {PATH: rdap(rdap_domain(events=events))})
    assert (expired.status, expired.reason) == (ResultStatus.ERROR, Reason.EXPECTATION)
    assert expired.detail.startswith("expected expires_in gt 0, observed -")
    held = by_rdap(run, {PATH: rdap(rdap_domain(status=["server hold"]))})
    assert "observed serverHold" in held.detail


def test_a_name_below_a_domain_is_explained(run: Callable[..., Result]) -> None:
    """A 404 is not the server's failure; the detail says which domain to ask about."""
    result = by_rdap(run, {}, target="www.shop.example")
    assert outcome(result) == (
        ResultStatus.ERROR,
        Reason.EXPECTATION,
        f"expected registered eq true, observed false ({WWW_IS_MISSING})",
    )


@pytest.mark.parametrize("answer", ['No match for "SHOP.EXAMPLE".\r\n', "Domain: shop.example\r\nStatus: free\r\n"])
def test_a_free_name_can_be_expected(answer: str, run: Callable[..., Result]) -> None:
    """`registered: false` is met by RDAP's 404 and by what WHOIS servers say."""
    expect = "expect: [{registered: false}]"
    assert outcome(by_rdap(run, {}, expect)) == OK
    assert outcome(by_whois(run, whois(answer), expect)) == OK


def test_whois_is_asked_when_rdap_fails(run: Callable[..., Result]) -> None:
    """The check succeeds, and its log says why RDAP failed."""
    with run_http_server({PATH: respond(503)}) as broken, serve(whois(WHOIS_ANSWER)) as server:
        result = run(f'rdap_server: "{broken.url("/")}", whois_server: "{server.target}"')
    assert outcome(result) == OK
    assert facts_in(result) == FACTS
    assert [line.fields["why"] for line in result.log if line.message == "asking by WHOIS instead"] == [
        f"127.0.0.1:{broken.port} answered with status 503"
    ]


def test_a_silent_rdap_server_leaves_time_for_whois(run: Callable[..., Result]) -> None:
    """RDAP gets half of the time."""
    with serve(keep_silent) as silent, serve(whois(WHOIS_ANSWER)) as server:
        keys = f'rdap_server: "http://{silent.target}", whois_server: "{server.target}"'
        assert outcome(run(keys, timeout="4s")) == OK


def test_both_failures_are_named(run: Callable[..., Result]) -> None:
    """The reason is that of RDAP."""
    with run_http_server({PATH: respond(500)}) as broken, closed_port() as port:
        result = run(f'rdap_server: "{broken.url("/")}", whois_server: "127.0.0.1:{port}"')
    assert result.reason is Reason.STATUS
    assert "answered with status 500; by WHOIS: " in result.detail


@pytest.mark.parametrize("value", ["120", "Fri, 13 Aug 2126 04:00:00 GMT"])
def test_a_server_that_is_asked_too_often_says_so(value: str, run: Callable[..., Result]) -> None:
    """Status 429 has a metric, and its Retry-After is in the detail."""
    result = by_rdap(run, {PATH: respond(429, b"", [("Retry-After", value)])})
    assert result.reason is Reason.STATUS
    assert "is queried too often (status 429) and asks to wait " in result.detail
    assert facts_in(result) == {"probe_domain_rate_limited": 1}
    limited = by_whois(run, whois("Your IP address exceeded the maximum number of queries.\r\n"))
    assert (limited.reason, facts_in(limited)) == (Reason.PROTOCOL, {"probe_domain_rate_limited": 1})


def test_redirects_between_registries_are_followed(run: Callable[..., Result]) -> None:
    """A loop is a failure with reason redirect."""
    with run_http_server({PATH: rdap(rdap_domain())}) as other:
        assert outcome(by_rdap(run, {PATH: redirect(other.url(PATH))})) == OK
    looped = by_rdap(run, {PATH: redirect(PATH)})
    assert outcome(looped) == (ResultStatus.ERROR, Reason.REDIRECT, "more than 5 redirects")


def test_the_earliest_of_several_expirations_counts(run: Callable[..., Result]) -> None:
    """The log says that there were several."""
    events = [{"eventAction": "expiration", "eventDate": date} for date in ("2190-01-01T00:00:00Z", EXPIRES)]
    result = by_rdap(run, {PATH: rdap(rdap_domain(events=events))})
    assert facts_in(result) == FACTS
    assert [line.fields["what"] for line in result.log if line.message == "odd answer"] == [
        "2 expiration dates, of which the earliest counts"
    ]


def test_a_registry_without_dates_leaves_the_expiration_out(run: Callable[..., Result]) -> None:
    """It fails by default, and `missing_ok` accepts it."""
    script = {PATH: rdap(rdap_domain(events=[]))}
    assert by_rdap(run, script).detail == "expected expires_in gt 0, observed nothing"
    assert outcome(by_rdap(run, script, "expect: [{expires_in: {gt: 9}, missing_ok: true}]")) == OK


BAD_RDAP = {
    "garbage": (raw(b"\x00\xff nonsense\r\n\r\n"), Reason.PROTOCOL),
    "not JSON": (respond(200, b"<html>"), Reason.DECODE),
    "deep": (respond(200, b"[" * 100_000), Reason.DECODE),
    "a list": (respond(200, b"[]"), Reason.PROTOCOL),
    "an error": (rdap(b'{"errorCode": 200, "title": "odd"}'), Reason.PROTOCOL),
    "another domain": (rdap(rdap_domain(ldhName="other.example")), Reason.PROTOCOL),
    "a date": (rdap(rdap_domain(events=[{"eventAction": "expiration", "eventDate": "soon"}])), Reason.DECODE),
    "huge": (rdap(rdap_domain(remarks="x" * 600_000)), Reason.TOO_LARGE),
    "forbidden": (respond(403), Reason.STATUS),
}


@pytest.mark.parametrize("fault", BAD_RDAP)
def test_bad_rdap_answers_have_their_reasons(fault: str, run: Callable[..., Result]) -> None:
    """Whatever a server answers, the check fails with one sentence."""
    act, reason = BAD_RDAP[fault]
    result = by_rdap(run, {PATH: act}, "expect: [{registered: true}]")
    assert (result.status, result.reason, "\n" in result.detail) == (ResultStatus.ERROR, reason, False)


def test_members_of_wrong_kinds_are_left_out(run: Callable[..., Result]) -> None:
    """Only what is usable counts."""
    odd = rdap_domain(status=[1, None, "associated"], entities=[7, {"roles": ["registrar"], "vcardArray": ["vcard"]}])
    result = by_rdap(run, {PATH: rdap(odd)})
    assert facts_in(result) == {
        "probe_domain_expiry_timestamp_seconds": EXPIRES_TIMESTAMP_SECONDS,
        "probe_domain_registered": 1,
    }


def test_slow_servers_are_waited_for_and_silent_ones_are_not(run: Callable[..., Result]) -> None:
    """Bytes may arrive one at a time; silence ends at the timeout with the phase named."""
    body = rdap_domain(entities=[])
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert by_rdap(run, {PATH: drip(head, body, 0.001)}).status is ResultStatus.OK
    assert by_whois(run, whois(WHOIS_ANSWER, pause_seconds=0.001)).status is ResultStatus.OK
    for result, phase in (
        (by_rdap(run, {PATH: hold()}, timeout="500ms"), "rdap"),
        (by_whois(run, keep_silent, timeout="500ms"), "whois"),
    ):
        assert result.reason is Reason.TIMEOUT
        assert f"in the phase {phase}" in result.detail


def test_a_certificate_that_is_not_trusted_fails(
    run: Callable[..., Result], certificate: CertificateFiles, ca_file: Path
) -> None:
    """TLS is verified, with the authorities that the check names."""
    import ssl  # noqa: PLC0415 - for this test alone

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_file, certificate.key_file)
    with run_http_server({PATH: rdap(rdap_domain())}, context=context) as server:
        keys = f'protocol: rdap, rdap_server: "{server.url("/")}"'
        assert run(keys).reason is Reason.CERTIFICATE
        assert outcome(run(f'{keys}, tls_config: {{ca_file: "{ca_file}"}}')) == OK


def test_referrals_are_followed(run: Callable[..., Result]) -> None:
    """A server such as IANA's refers to another one, which gets the same query."""
    asked: list[bytes] = []
    with serve(whois(WHOIS_ANSWER, asked)) as registry:
        answer = (
            f"% IANA WHOIS server\r\nrefer:        {registry.target}\r\ndomain:       EXAMPLE\r\nstatus: ACTIVE\r\n"
        )
        assert outcome(by_whois(run, whois(answer, asked))) == OK
    assert asked == [b"shop.example\r\n"] * 2


def test_referrals_in_a_circle_are_rejected(run: Callable[..., Result]) -> None:
    """A server that refers to itself, or to what is not a server, breaks the protocol."""

    def refer_to_itself(connection: socket.socket) -> None:
        host, port = connection.getsockname()
        whois(f"refer: {host}:{port}\r\n")(connection)

    with serve(refer_to_itself) as server:
        result = run(f'protocol: whois, whois_server: "{server.target}"')
    assert (result.reason, result.detail) == (
        Reason.PROTOCOL,
        f"{server.target} refers to {server.target}, which was asked before",
    )
    assert by_whois(run, whois("refer: not a host\r\n")).reason is Reason.PROTOCOL


BAD_WHOIS = {
    "nothing": (close_when_spoken_to, Reason.PROTOCOL),
    "reset": (reset_when_spoken_to, Reason.CONNECTION_RESET),
    "garbage": (whois("\x00\x01 nonsense\r\n" * 50), Reason.PROTOCOL),
    "endless line": (whois("x" * 100_000), Reason.TOO_LARGE),
    "another domain": (whois(WHOIS_ANSWER.replace("SHOP", "OTHER")), Reason.PROTOCOL),
    "a date": (whois(WHOIS_ANSWER.replace(EXPIRES, "soon")), Reason.DECODE),
}


@pytest.mark.parametrize("fault", BAD_WHOIS)
def test_bad_whois_answers_have_their_reasons(fault: str, run: Callable[..., Result]) -> None:
    """Whatever a server answers, the check fails with one sentence."""
    behave, reason = BAD_WHOIS[fault]
    result = by_whois(run, behave)
    assert (result.status, result.reason, "\n" in result.detail) == (ResultStatus.ERROR, reason, False)


def test_a_date_that_cannot_be_read_is_logged_with_its_line(run: Callable[..., Result]) -> None:
    """The log of the run shows the line."""
    result = by_whois(run, whois(WHOIS_ANSWER.replace(EXPIRES, "soon")))
    assert [line.fields for line in result.log if line.message == "a date cannot be read"] == [
        {"line": "Registry Expiry Date: soon"}
    ]


def test_a_bootstrap_file_chooses_the_server(run: Callable[..., Result], tmp_path: Path) -> None:
    """The longest match of whole labels wins."""
    file = tmp_path / "dns.json"
    with run_http_server({PATH: rdap(rdap_domain())}) as server:
        file.write_text(
            f'{{"services": [[["example"], ["{server.url("/")}"]], [["op.example"], ["http://no.test/"]]]}}'
        )
        assert outcome(run(f'protocol: rdap, bootstrap_file: "{file}"')) == OK


@pytest.mark.parametrize(
    ("keys", "target", "fault"),
    [
        ("", "example", "has one label"),
        ("", "192.0.2.1", "is an IP address"),
        ("protocol: rdap", "shop.example", "belongs to no RDAP server of the bootstrap file"),
        ("connect_to: 192.0.2.1", "shop.example", "has connect_to, but several servers may be queried"),
        (
            "protocol: whois, rdap_server: 'https://rdap.example'",
            "shop.example",
            "has protocol whois and an RDAP server",
        ),
        ("protocol: rdap, whois_server: whois.example", "shop.example", "has protocol rdap and a whois_server"),
        ("expect: [{domain_status: odd}]", "shop.example", "is not a status of a domain"),
    ],
)
def test_settings_that_cannot_work_are_rejected(keys: str, target: str, fault: str) -> None:
    """The configuration names what is wrong."""
    with pytest.raises(ConfigError, match=fault):
        parse_config(f"checks: [{{name: it, type: domain, target: '{target}', {keys}}}]", "f.yml", {"domain": DOMAIN})


def test_a_faulty_bootstrap_file_is_rejected(tmp_path: Path) -> None:
    """The file is read when the configuration is loaded."""
    file = tmp_path / "dns.json"
    file.write_text('{"services": [1]}')
    text = f'checks: [{{name: it, type: domain, target: a.example, bootstrap_file: "{file}"}}]'
    with pytest.raises(ConfigError, match="is not an RDAP bootstrap file"):
        parse_config(text, "f.yml", {"domain": DOMAIN})
