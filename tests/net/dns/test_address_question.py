"""The question for the addresses of a name, compared with dnspython's."""

from __future__ import annotations

import dns.message
import pytest

from exporter.net.dns.stub import address_question


@pytest.mark.parametrize("name", ["a", "www.example", "www.example.", "_x.a-b.test", ".".join(["a" * 49] * 5), "1.2"])
@pytest.mark.parametrize(("version", "record_type"), [(4, "A"), (6, "AAAA")])
def test_the_question_is_as_dnspython_writes_it(name: str, version: int, record_type: str) -> None:
    """Every octet but the id is the same."""
    question = address_question(name, version)
    assert question is not None
    assert question.wire == dns.message.make_query(name, record_type, id=0).to_wire()[2:]


@pytest.mark.parametrize("name", ["", ".", "a..b", ".a", "a" * 64, ".".join(["a" * 50] * 5)])
def test_what_is_not_a_name_cannot_be_asked_for(name: str) -> None:
    """Empty and long labels, and long names, raise an error (RFC 1035 section 2.3.4)."""
    assert address_question(name, 4) is None
