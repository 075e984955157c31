"""Expectations about the records of each section: their data in any notation, and whole records as texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.edns
import dns.message
import dns.rdatatype
import pytest

from exporter.checks.dns import DNS
from exporter.model import Reason
from exporter.net.dns.exchange import prepare_question
from exporter.net.dns.reader import DnsAnswer
from exporter.net.dns.sections import Section, read_section, read_section_at_once, record_line
from tests.checks.running import run_as_written, warm_runner
from tests.servers.dns import run_dns_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.model import Result


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[[str, str], Result]]:
    """Ask for a name with the YAML keys of a check."""
    with run_dns_server() as server, warm_runner(DNS) as runner:

        def run_one(target: str, keys: str) -> Result:
            return run_as_written(runner, DNS, target, f'server: "{server.server}", {keys}')

        yield run_one


@pytest.mark.parametrize(
    ("target", "holding", "failing"),
    [
        ("referral.test",
         ["{authority: [ns1.child.test, NS2.Child.Test.]}", "{authority: {contains: Child.TEST}}",
          "{authority: {matches: ^NS1}}", "{authority: {all_match: '^ns[12][.]child[.]test$'}}",
          "{additional: [192.0.2.53, '2001:DB8:0::53']}", "{additional: {any_of: [192.0.2.99, 192.0.2.53]}}",
          "{additional: {not_all_match: '^192'}}", "{authority: {none_of: [ns3.child.test]}}",
          "{authority_records: {all_match: '^child[.]\\t3600\\tIN\\tNS\\t'}}".replace("child[.]", "child[.]test[.]"),
          "{additional_records: {matches: '^ns1[.]child[.]test[.]\\t3600\\tIN\\tA\\t192[.]0[.]2[.]53$'}}",
          "{additional_records: [NS1.child.test 3600 IN A 192.0.2.53, ns2.child.test. 60 in aaaa 2001:DB8::53]}",
          '{authority_records: {contains: "NS\\tns2.child.test."}}',
          "{answer_records: {exists: false}}"],
         ["{authority: [ns1.child.test]}", "{authority: {all_match: ns1}}", "{additional: {none_of: [192.0.2.53]}}",
          "{additional: {all_match: '^192'}}", "{authority: {not_all_match: ns}}",
          "{authority_records: {matches: '\\tMX\\t'}}",
          "{additional_records: {any_of: [ns1.child.test 60 IN A 192.0.2.53]}}",
          "{answer_records: {all_match: .}}"]),
        ("mixed.test",
         ["{additional: {all_of: ['a bc', mail.test.]}}", "{additional: {any_of: ['\"a b\" \"c\"']}}",
          "{additional: {any_of: [10 MAIL.test]}}", "{authority: {any_of: [WWW.test]}}",
          "{authority: {any_of: [ns.test. hostmaster.test. 7 7200 3600 1209600 300]}}",
          "{additional_records: {any_of: ['test. 300 IN TXT \"a b\" \"c\"']}}",
          "{additional_records: {any_of: [test 300 IN MX 10 mail.test.]}}"],
         ["{authority: {any_of: [www.test]}}", "{additional: {any_of: ['A bc']}}",
          "{additional: {any_of: [5 mail.test]}}"]),
        ("two.test",
         ["{answer_records: {all_match: '^two[.]test[.]\\t\\d+\\tIN\\tA\\t192[.]0[.]2[.]1[12]$'}}",
          "{answers: {all_match: '^192'}}", "{answers: {not_all_match: '11$'}}"],
         ["{answers: {all_match: '11$'}}", "{answer_records: {not_all_match: 'IN'}}"]),
    ],
)  # fmt: skip
def test_records_of_every_section(
    run: Callable[[str, str], Result], target: str, holding: list[str], failing: list[str]
) -> None:
    """Names are compared without case and final dot, whole records in any spacing; patterns see every record."""
    result = run(target, f"expect: [{{rcode: NOERROR}}, {', '.join([*holding, *failing])}]")
    judged = {outcome.expectation.label: outcome.ok for outcome in result.expectations[1:]}
    assert list(judged.values()) == [True] * len(holding) + [False] * len(failing), judged


def test_large_answers_are_judged_apart(run: Callable[[str, str], Result]) -> None:
    """A large answer is judged in another process, which sees the same sections as for a small one."""
    met = "{answer_records: {all_match: '^long[.]test[.]\\t300\\tIN\\tTXT\\t(\"x{255}\" ?){3}'}},"
    met += "{answers: {matches: ^x+$}}"
    missed = "{authority: {any_of: [ns.test]}}, {answer_records: {matches: '\\tMX\\t'}}"
    result = run("long.test", f"record_type: TXT, transport: tcp, expect: [{{rcode: NOERROR}}, {met}, {missed}]")
    assert [outcome.ok for outcome in result.expectations] == [True, True, True, False, False]
    assert "judging apart" in [line.message for line in result.log]


def test_answers_to_any_are_compared_as_each_type_is(run: Callable[[str, str], Result]) -> None:
    """In an answer of all types, names are still compared without case and final dot, and texts exactly."""
    met = "{answers: {all_of: [NS.test., mail.test, '\"v=spf1 -all\"', v=spf1 -all]}}"
    result = run("test", f"record_type: ANY, expect: [{met}, {{answers: {{none_of: [V=SPF1 -all]}}}}]")
    assert [outcome.ok for outcome in result.expectations if not outcome.expectation.is_default] == [True, True]


@pytest.mark.parametrize("keys", ["expect: [{rcode: NOERROR}]", "expect: [{answer_count: 0}]"])
def test_an_empty_answer_can_be_expected(run: Callable[[str, str], Result], keys: str) -> None:
    """NOERROR without records passes if rcode or answer_count is expected, and fails otherwise."""
    assert run("nodata.test", keys).reason is None
    assert run("nodata.test", "expect: [{duration: {lt: 30s}}]").reason is Reason.EXPECTATION


def wire_answer(records: list[str], nsid: bytes | None = None) -> DnsAnswer:
    """An answer with these records in its answer section."""
    query = dns.message.make_query("www.test", "A", use_edns=0)
    response = dns.message.make_response(query)
    response.answer = [
        dns.rrset.from_text(owner, int(ttl), rdclass, kind, rdata)
        for owner, ttl, rdclass, kind, rdata in (record.split(" ", 4) for record in records)
    ]
    if nsid is not None:
        response.use_edns(
            0,
            options=[
                dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678"),
                dns.edns.GenericOption(dns.edns.OptionType.NSID, nsid),
            ],
        )
    question = prepare_question(
        dns.name.from_text("www.test"), dns.rdatatype.A, dns.rdataclass.IN,
        recursion_desired=True, edns_payload_bytes=None, dnssec_ok=False,
    )  # fmt: skip
    return DnsAnswer(response.to_wire(max_size=65535), question)


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ("WWW.Test. 300 IN A 192.0.2.1", "www.test.\t300\tIN\tA\t192.0.2.1"),
        ("www.test. 0 IN AAAA 2001:db8::1", "www.test.\t0\tIN\tAAAA\t2001:db8::1"),
        (". 5 IN NS A.Root.Test.", ".\t5\tIN\tNS\ta.root.test."),
        ("test. 300 IN MX 10 Mail.test.", "test.\t300\tIN\tMX\t10 mail.test."),
        ("test. 300 IN MX 0 .", "test.\t300\tIN\tMX\t0 ."),
        ("test. 300 IN SRV 0 5 5060 sip.test.", "test.\t300\tIN\tSRV\t0 5 5060 sip.test."),
        ('test. 300 IN TXT "one" "T\\"wo"', 'test.\t300\tIN\tTXT\t"one" "T\\"wo"'),
        ('test. 300 IN CAA 0 issue "ca.Example"', 'test.\t300\tIN\tCAA\t0 issue "ca.Example"'),
        ("test. 300 IN SOA Ns.test. h.test. 1 2 3 4 5", "test.\t300\tIN\tSOA\tns.test. h.test. 1 2 3 4 5"),
        ("version.bind. 0 CH TXT x", 'version.bind.\t0\tCH\tTXT\t"x"'),
        ("test. 300 IN TYPE65280 \\# 2 abcd", "test.\t300\tIN\tTYPE65280\t\\# 2 abcd"),
    ],
)
def test_whole_records_are_written_as_in_a_zone_file(record: str, line: str) -> None:
    """A record is its fields with tabs between them, names in lower case and with their final dot."""
    assert read_section_at_once(wire_answer([record]), Section.ANSWER, record_line) == [line]


async def test_long_sections_are_read_the_same_in_turns() -> None:
    """Reading a long section with turns for the event loop yields the same records."""
    answer = wire_answer([f"n{number}.test. 300 IN DS 1 8 2 {'AB' * 32}" for number in range(900)])
    assert await read_section(answer, Section.ANSWER, record_line) == read_section_at_once(
        answer, Section.ANSWER, record_line
    )


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        (b"ns1.fra", "ns1.fra"),
        (b"\x00\xff", "00ff"),
        (b"", ""),
        (b"x" * 500, "x" * 128),
        (b"a\nb", "610a62"),
        (None, None),
    ],
)
def test_what_a_server_calls_itself(identity: bytes | None, shown: str | None) -> None:
    """The NSID is a text if it is printable, else hex, and bounded."""
    assert wire_answer([], identity).nsid == shown
