"""Expected answers: every way to write them, and operands that no answer can match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.dns import DNS
from exporter.config import parse_config
from exporter.errors import ConfigError
from tests.checks.running import warm_runner
from tests.servers.dns import ZONE, run_dns_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIGEST = "AB" * 32
SOA = "ns.example hostmaster.example 2024010203 7200 3600 1209600 300"
OWN_ZONE = {
    "mapped.test.": ["300 IN AAAA ::ffff:192.0.2.1", "300 IN AAAA 2001:db8::10"],
    "idn.test.": ["300 IN CNAME xn--strae-oqa.test."],
    "xn--strae-oqa.test.": ["300 IN A 192.0.2.10"],
    "mixed-case.test.": ["300 IN MX 10 MAIL.Test.", "300 IN MX 20 mail2.test."],
    "quoted.test.": ['300 IN TXT "v=spf1 " "-all"'],
    "signed.test.": [f"300 IN DS 1 8 2 {DIGEST}"],
}


@pytest.fixture(scope="module")
def holds() -> Iterator[Callable[[str, str, str], bool]]:
    """Return whether an expectation about the answers for a name and type holds."""
    ZONE.update(OWN_ZONE)
    with run_dns_server() as server, warm_runner(DNS) as runner:

        def judge(name: str, record_type: str, expectation: str) -> bool:
            keys = f'server: "{server.server}", record_type: {record_type}, expect: [{{answers: {expectation}}}]'
            text = f"checks: [{{name: it, type: dns, target: {name}, {keys}}}]"
            outcomes: list[bool] = []
            runner.run_all(
                parse_config(text, "c.yml", {"dns": DNS}).checks,
                lambda result: outcomes.append(result.expectations[0].ok),
            )
            return outcomes[0]

        yield judge
    for name in OWN_ZONE:
        del ZONE[name]


@pytest.mark.parametrize(
    ("name", "record_type", "holding", "failing"),
    [
        ("alias.test", "CNAME", ["www.test", "WWW.Test.", "{in: [www.test.]}", "{contains: WWW}", "{matches: ^WWW}"],
         ["www.tes", "{matches: ^ww$}", "{contains: x}", "{none_of: [WWW.TEST]}", "{ne: WWW.test.}"]),
        ("idn.test", "CNAME", ["straße.test", "STRAßE.Test.", "xn--strae-oqa.test"], ["strasse.test"]),
        ("test", "NS", ["NS.test", "[ns.test.]"], ["[ns.test, ns2.test]"]),
        ("mixed-case.test", "MX",
         ["[10 mail.test, 20 mail2.test]", "[mail.test, mail2.test]", "[mail.test., 20 MAIL2.test.]",
          "{any_of: [mail.test]}", "{any_of: [10 Mail.test]}", "{all_of: [mail.test, mail2.test]}",
          "{none_of: [30 mail.test]}", "{none_of: [mail3.test]}", "{in: [mail.test, mail2.test, mail3.test]}",
          "{contains: Mail2}", "{matches: '^10 Mail'}"],
         ["mail.test", "[20 mail.test, 20 mail2.test]", "{any_of: [20 mail.test]}", "{none_of: [mail.test]}"]),
        ("nomail.test", "MX", ["0 .", "."], ["10 ."]),
        ("_sip._tcp.test", "SRV", ["0 5 5060 SIP.test.", "sip.test"], ["0 5 5061 sip.test", "sip2.test"]),
        ("test", "SOA", ["NS.test. Hostmaster.test. 2024010203 7200 3600 1209600 300"],
         ["ns.test hostmaster.test 2024010204 7200 3600 1209600 300"]),
        ("10.2.0.192.in-addr.arpa", "PTR", ["www.test.", "{matches: test$}"], ["test"]),
        ("mapped.test", "AAAA", ["['::FFFF:c000:0201', '2001:0db8:0:0::10']", "{any_of: ['::ffff:192.0.2.1']}"],
         ["['::ffff:192.0.2.1']"]),
        ("www.test", "TXT", ["onetwo", "'\"onetwo\"'", "'\"one\" \"two\"'", "'\"o\\110etwo\"'", "{contains: net}"],
         ["one two", "ONETWO", "'\"one two\"'"]),
        ("quoted.test", "TXT", ["v=spf1 -all", "'\"v=spf1 -all\"'", "{matches: '^v=spf1 '}"],
         ["v=spf1", "V=SPF1 -all"]),
        ("test", "CAA", ["'0 issue \"letsencrypt.org\"'", "0 issue letsencrypt.org"], ["'0 issue \"x.org\"'"]),
        ("signed.test", "DS", [f"1 8 2 {DIGEST.lower()}", f"1 8 2 {DIGEST[:32]} {DIGEST[32:]}"],
         [f"1 8 2 {'AC' * 32}"]),
        ("two.test", "ANY", ["[192.0.2.11, 192.0.2.12]"], ["192.0.2.11"]),
    ],
)  # fmt: skip
def test_the_same_answer_may_be_written_in_many_ways(
    holds: Callable[[str, str, str], bool], name: str, record_type: str, holding: list[str], failing: list[str]
) -> None:
    """Case, final dots, scripts, spellings of addresses, preferences and quotes do not matter; everything else does."""
    judged = {text: holds(name, record_type, text) for text in (*holding, *failing)}
    assert judged == {**dict.fromkeys(holding, True), **dict.fromkeys(failing, False)}


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("expect: [{answers: www.test}]",
         'expect[0].answers: "www.test" is not an IPv4 address, and a record of type A holds nothing else'),
        ("expect: [{answers: '2001:db8::1'}]",
         'expect[0].answers: "2001:db8::1" is not an IPv4 address, and a record of type A holds nothing else'),
        ("record_type: AAAA, expect: [{answers: {any_of: ['2001:db8::1', 192.0.2.1]}}]",
         'expect[0].answers.any_of: "192.0.2.1" is not an IPv6 address, and a record of type AAAA holds nothing else'),
        ("record_type: MX, expect: [{answers: ten mail.test}]",
         'expect[0].answers: "ten mail.test" is not the data of a record of type MX, such as 10 mail.example'),
        ("record_type: MX, expect: [{answers: 70000 mail.test}]",
         'expect[0].answers: "70000 mail.test" is not the data of a record of type MX, such as 10 mail.example'),
        ("record_type: SOA, expect: [{answers: ns.test}]",
         f'expect[0].answers: "ns.test" is not the data of a record of type SOA, such as {SOA}'),
        ("record_type: CNAME, expect: [{answers: a b}]",
         'expect[0].answers: "a b" is not the data of a record of type CNAME'),
        ("record_type: NS, expect: [{answers: a..b}]",
         'expect[0].answers: "a..b" is not the data of a record of type NS'),
        ("record_type: CAA, expect: [{answers: letsencrypt.org}]",
         'expect[0].answers: "letsencrypt.org" is not the data of a record of type CAA, such as 0 issue "ca.example"'),
        ("expect: [{serial: {gt: 5}}]",
         "expect[0].serial.gt: 5 can never be met: records of type A have no serial, only SOA has"),
        ("expect: [{certificate_days_left: {gt: 5}}]",
         "expect[0].certificate_days_left.gt: 5 can never be met with transport: udp, only with tls, https and quic"),
        ("expect: [{nsid: {eq: ns1}}]", 'expect[0].nsid.eq: "ns1" can never be met without nsid: true'),
        ("expect: [{answer_records: www.test}]",
         'expect[0].answer_records: "www.test" is not a record such as www.example. 300 IN A 192.0.2.1'),
        ("expect: [{answer_records: x A 300 IN 192.0.2.1}]",
         'expect[0].answer_records: "x A 300 IN 192.0.2.1" is not a record such as www.example. 300 IN A 192.0.2.1'),
        ("expect: [{authority_records: x 300 IN A 192.0.2}]",
         'expect[0].authority_records: "x 300 IN A 192.0.2" is not a record such as www.example. 300 IN A 192.0.2.1'),
        ("retry_on: [{answers: {eq: x.test}}]",
         'retry_on[0].answers.eq: "x.test" is not an IPv4 address, and a record of type A holds nothing else'),
    ],
)  # fmt: skip
def test_what_no_answer_can_be_is_rejected(keys: str, problem: str) -> None:
    """An expectation that no answer of the type asked for can meet is rejected when the configuration is loaded."""
    with pytest.raises(ConfigError) as raised:
        parse_config(f"checks: [{{name: it, type: dns, target: www.test, {keys}}}]", "c.yml", {"dns": DNS})
    assert str(raised.value).partition("checks[0].")[2] == problem


@pytest.mark.parametrize(
    "keys",
    [
        "expect: [{serial: {exists: false}}]",
        "expect: [{answers: {exists: true}}]",
        "expect: [{answers: {matches: example}}]",
        "record_type: ANY, expect: [{answers: {any_of: [192.0.2.1, 10 mail.test]}}, {serial: {gt: 1}}]",
        "transport: tls, expect: [{certificate_days_left: {gt: 5}}]",
        "record_type: TYPE65280, expect: [{answers: '\\# 1 ff'}]",
    ],
)
def test_what_an_answer_can_be_is_accepted(keys: str) -> None:
    """An operand that depends on the answer is judged once the answer is there."""
    assert parse_config(f"checks: [{{name: it, type: dns, target: www.test, {keys}}}]", "c.yml", {"dns": DNS}).checks
