"""What probes of dns modules accept: response codes, and regular expressions about whole records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.checks.dns import DNS
from exporter.model import ResultStatus
from tests.blackbox.module_files import module_of
from tests.checks.running import warm_runner
from tests.servers.dns import run_dns_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from exporter.model import Result


@pytest.fixture
def is_accepted(tmp_path: Path) -> Iterator[Callable[[str], bool]]:
    """Probes a name server with the keys of a dns module and returns whether the probe succeeded."""

    def run(keys: str) -> bool:
        check = module_of(tmp_path, f"modules: {{m: {{prober: dns, dns: {{{keys}}}}}}}").check(server.server)
        results: list[Result] = []
        runner.run_all([check], results.append)
        return results[0].status is ResultStatus.OK

    with run_dns_server() as server, warm_runner(DNS) as runner:
        yield run


@pytest.mark.parametrize(
    ("keys", "accepted"),
    [
        ("query_name: www.test, query_type: A", True),
        ("query_name: www.test., query_type: A", True),
        ("query_name: nodata.test, query_type: A", True),
        ("query_name: nxdomain.test", False),
        ("query_name: nxdomain.test, valid_rcodes: [NXDOMAIN]", True),
        ("query_name: www.test, valid_rcodes: [NXDOMAIN]", False),
        ("query_name: servfail.test, valid_rcodes: [NOERROR, SERVFAIL]", True),
    ],
)
def test_the_response_code_decides(is_accepted: Callable[[str], bool], keys: str, accepted: bool) -> None:
    """An answer without records succeeds when its response code is valid."""
    assert is_accepted(keys) is accepted


@pytest.mark.parametrize(
    ("name", "validator", "accepted"),
    [
        ("two", r'fail_if_matches_regexp: ["192\\.0\\.2\\.12"]', False),
        ("two", r'fail_if_matches_regexp: ["192\\.0\\.2\\.13", "TXT"]', True),
        ("nodata", "fail_if_matches_regexp: ['.*']", True),
        ("two", r'fail_if_all_match_regexp: ["192\\.0\\.2\\.1[12]$"]', True),
        ("two", r'fail_if_all_match_regexp: ["192\\.0\\.2\\.11$"]', False),
        ("nodata", "fail_if_all_match_regexp: ['x']", True),
        ("two", r'fail_if_not_matches_regexp: ["^two\\.test\\.\t(300|120)\tIN\tA\t192\\."]', True),
        ("two", r'fail_if_not_matches_regexp: ["\t300\t"]', False),
        ("nodata", "fail_if_not_matches_regexp: ['.*']", False),
        ("two", r'fail_if_none_matches_regexp: ["x", "\t192\\.0\\.2\\.12$"]', True),
        ("two", "fail_if_none_matches_regexp: ['x', 'y']", False),
        ("nodata", "fail_if_none_matches_regexp: ['.*']", False),
    ],
)
def test_records_of_the_answer_section_are_validated(
    is_accepted: Callable[[str], bool], name: str, validator: str, accepted: bool
) -> None:
    """Regular expressions see whole records, tabs between their fields; a section without records has its own rules."""
    keys = f"query_name: {name}.test, query_type: A, validate_answer_rrs: {{{validator}}}"
    assert is_accepted(keys) is accepted


@pytest.mark.parametrize(
    ("keys", "accepted"),
    [
        (r'validate_authority_rrs: {fail_if_none_matches_regexp: ["^child\\.test\\.\t3600\tIN\tNS\tns2"]}', True),
        ("validate_authority_rrs: {fail_if_matches_regexp: [NS]}", False),
        (r'validate_additional_rrs: {fail_if_not_matches_regexp: ["\tIN\tA{1,4}\t"]}', True),
        (r'validate_additional_rrs: {fail_if_not_matches_regexp: ["\tIN\tA\t"]}', False),
    ],
)
def test_records_of_the_other_sections_are_validated(
    is_accepted: Callable[[str], bool], keys: str, accepted: bool
) -> None:
    """The authority and additional sections have validators of their own."""
    assert is_accepted(f"query_name: referral.test, {keys}") is accepted
