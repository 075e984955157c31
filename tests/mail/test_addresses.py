"""Mail addresses and EHLO names: what is accepted, and that nothing accepted can end a command."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.mail.addresses import parse_hello_name, parse_mail_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("probe@mail.example", "probe@mail.example"),
        ("a.b+c=d@Mail.Example", "a.b+c=d@Mail.Example"),
        ("o'hara@straße.example", "o'hara@xn--strae-oqa.example"),
        ("probe@192.0.2.1", "probe@[192.0.2.1]"),
        ("probe@[192.0.2.1]", "probe@[192.0.2.1]"),
        ("probe@[IPv6:2001:db8::1]", "probe@[IPv6:2001:db8::1]"),
        ("probe@mail.example.", "probe@mail.example"),
    ],
)
def test_addresses_are_sent_in_ascii(text: str, address: str) -> None:
    """An address keeps its local part; its domain becomes ASCII or an address literal."""
    assert parse_mail_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "probe",
        "@mail.example",
        "probe@",
        "probe@mail.example\r\nDATA",
        "probe@mail.example\n",
        "pro\r\nbe@mail.example",
        "probe@mail.example> SIZE=1",
        "probe> NOTIFY=NEVER@mail.example",
        '"a b"@mail.example',
        "a..b@mail.example",
        ".a@mail.example",
        "a b@mail.example",
        "<a@mail.example>",
        "a@b@mail.example",
        "größe@mail.example",
        "a@[192.0.2.1",
        "a@[not-an-address]",
        "a" * 65 + "@mail.example",
        "a@" + "b" * 60 + ("." + "c" * 60) * 4,
        "a\0@mail.example",
    ],
)
def test_anything_else_is_rejected(text: str) -> None:
    """Line breaks, brackets, blanks, quotes and parameters never get into an address."""
    with pytest.raises(ValueError, match=r"."):
        parse_mail_address(text)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_no_accepted_address_has_a_special_character(text: str) -> None:
    """Whatever is accepted is one word of printable ASCII without brackets."""
    for parse in (parse_mail_address, parse_hello_name):
        try:
            accepted = parse(text)
        except ValueError:
            continue
        assert accepted.isascii()
        assert accepted.isprintable()
        assert not set(accepted) & set(' <>"\\')


def test_hello_names_are_host_names_or_literals() -> None:
    """A name for EHLO is a host name in ASCII or an address literal."""
    assert parse_hello_name("probe.example.") == "probe.example"
    assert parse_hello_name("192.0.2.1") == "[192.0.2.1]"
    assert parse_hello_name("2001:db8::1") == "[IPv6:2001:db8::1]"
    with pytest.raises(ValueError, match="is not"):
        parse_hello_name("probe example")
