"""Dates, statuses and lines as registries write them, and the shipped lists of servers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.dates import read_date
from exporter.domain.facts import UnreadableDateError
from exporter.domain.servers import SHIPPED_BOOTSTRAP, rdap_url, whois_query, whois_server
from exporter.domain.statuses import EPP_STATUSES, epp_status
from exporter.domain.whois import read_whois_answer

DAY = datetime(2126, 8, 13, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2126-08-13", 0),
        ("2126-08-13T04:00:00Z", 4),
        ("2126-08-13T04:00:00.0Z", 4),
        ("2126-08-13 04:00:00+02", 2),
        ("2126-08-13T04:00:00-0300", 7),
        ("2126-08-13 12:00:00 (UTC+8)", 4),
        ("2126/08/13", 0),
        ("2126. 08. 13.", 0),
        ("2126.08.13 04:00:00", 4),
        ("2126-Aug-13.", 0),
        ("21260813", 0),
        ("13-Aug-2126", 0),
        ("13.08.2126 04:00:00", 4),
        ("13/08/2126 04:00:00 EET", 4),
        ("13-08-2126", 0),
        ("August 13 2126", 0),
        ("Tue, 13 Aug 2126 04:00:00 GMT", 4),
        ("Tue Aug 13 04:00:00 UTC 2126", 4),
    ],
)
def test_dates_in_common_formats_are_read(text: str, hours: int) -> None:
    """Each format in use names the same day."""
    assert read_date(text) == DAY + hours * 3600


@pytest.mark.parametrize(
    "text", ["", "soon", "08/13/2126", "2126-13-01", "1969-01-01", "2126-08-13T25:00:00Z", "1" * 99]
)
def test_what_is_not_a_date_is_not_read(text: str) -> None:
    """Nothing is guessed."""
    assert read_date(text) is None


@given(st.text())
def test_no_text_breaks_the_readers(text: str) -> None:
    """Dates and whole answers may hold anything."""
    read_date(text)
    try:
        read_whois_answer(f"{text}\nexpires: {text}", "shop.example")
    except UnreadableDateError as error:
        refused = error.line
    else:
        refused = ""
    assert refused.isprintable()


def test_every_status_is_known_in_the_spelling_of_rdap() -> None:
    """RDAP separates the words (RFC 8056)."""
    spelled = ["".join(f" {char.lower()}" if char.isupper() else char for char in status) for status in EPP_STATUSES]
    assert [epp_status(text) for text in spelled] == list(EPP_STATUSES)
    assert (len(set(EPP_STATUSES)), epp_status("active"), epp_status("associated")) == (23, "ok", None)


@pytest.mark.parametrize(
    "answer",
    [
        "[Domain Name]      SHOP.EXAMPLE\n[Expires on]       2126/08/13\n[Status]    Active\n",
        "domain: shop.example\nexpires............: 13.8.2126 00:00:00\nstatus: ok\n",
        "    Domain name:\n        shop.example\n\n    Expiry date:  13-Aug-2126\n",
        "domain:        SHOP.EXAMPLE\nstate:  REGISTERED, DELEGATED\npaid-till:     2126-08-13T00:00:00Z\n",
        "Domain Name: shop.example\n   Record expires on 2126-08-13 00:00:00 (UTC)\n",
        "Domain: shop.example\nRegistry Expiry Date: 2126-08-13\nRegistrar Registration Expiration Date: 2100-01-01\n",
    ],
)
def test_expirations_in_common_forms_of_lines_are_found(answer: str) -> None:
    """Keys are compared without dots, brackets and case; the registry's date comes before the registrar's."""
    facts = read_whois_answer(answer, "shop.example").facts
    assert facts is not None
    assert facts.expires_timestamp_seconds == DAY


def test_shipped_servers_are_found_by_the_longest_match() -> None:
    """RDAP servers use https; unlisted top-level domains are looked up at IANA's WHOIS server."""
    shipped = SHIPPED_BOOTSTRAP
    assert {url.partition("/")[0] for urls in shipped.values() for url in urls} == {"https:"}
    assert rdap_url("shop.com", shipped) == "https://rdap.verisign.com/com/v1/"
    assert rdap_url("shop.example", shipped) == ""
    assert rdap_url("a.co.uk", {"uk": ("https://one.test/",), "co.uk": ("https://two.test/",)}) == "https://two.test/"
    assert (whois_server("shop.de").host, whois_server("shop.example").host) == ("whois.denic.de", "whois.iana.org")
    assert whois_query("whois.denic.de", "shop.de") == "-T dn,ace shop.de"
