"""Masks: every form of a secret is found in any text, and nothing else is changed."""

from __future__ import annotations

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest

from exporter.masking import Masks, masked_result
from exporter.model import Reason, Result, ResultStatus

SECRET = 'pä$s "w/ord"+&\'<\\1>'
PLAIN = "s3cr3t-CANARY"


def masks(*secrets: str) -> Masks:
    made = Masks()
    made.learn(secrets)
    return made


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET).lower(),
        quote_plus(SECRET),
        "".join(f"%{octet:02X}" for octet in SECRET.encode()),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        html.escape(SECRET),
        html.escape(SECRET).replace("&#x27;", "&#39;"),
        html.escape(SECRET, quote=False),
        repr(SECRET)[1:-1],
        repr(SECRET.encode())[2:-1],
        SECRET.encode().decode("latin-1"),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        r"p\195\164$s \"w/ord\"+&'<\\1>",
    ],
)
def test_a_secret_is_masked_in_every_form(form: str) -> None:
    """Encoded and escaped as in targets, libraries and logs, within a text and as the whole text."""
    mask = masks(SECRET, "another one")
    assert [mask(form), mask(f"a {form} b"), mask(f"{form}{form}")] == ["<secret>", "a <secret> b", "<secret><secret>"]


@pytest.mark.parametrize("before", ["", "u:", "user:", "jörg:", "Bearer "])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_a_secret_is_masked_within_base64(before: str, after: str) -> None:
    """Wherever it is in the encoded text; at most the characters shared with its neighbours remain."""
    shown = masks(PLAIN)(base64.b64encode(f"{before}{PLAIN}{after}".encode()).decode())
    assert "<secret>" in shown
    around = base64.b64encode(before.encode()) + base64.b64encode(after.encode())
    assert len(shown.replace("<secret>", "")) <= len(around) + 4


@pytest.mark.parametrize(
    ("secrets", "text", "shown"),
    [
        ([], "anything", "anything"),
        ([PLAIN], "", ""),
        ([PLAIN], "nothing of it", "nothing of it"),
        ([PLAIN], "S3CR3T-canary", "<secret>"),
        (["abcd"], "xabcdx", "x<secret>x"),
        (["abc"], "xabcx", "xabcx"),
        (["abc"], "abc", "<secret>"),
        (["abc"], '"abc"', "<secret>"),
        (["8"], "8 of 18", "8 of 18"),
        ([""], "", ""),
        (["true"], "true", "true"),
        (["secret"], "a secret is shown as <secret>", "a <secret> is shown as <secret>"),
        (["abcdef", "cdefgh"], "abcdefgh", "<secret>"),
        (["abcd", "abcdefgh"], "abcdefgh abcd", "<secret> <secret>"),
        (["İabcdef"], "İİabcdef", "İ<secret>"),
        ([" padded \n"], "padded", "<secret>"),
        (["-----BEGIN-----\nfirst-line-of-it\nx\n"], "it is first-line-of-it.", "it is <secret>."),
        ([PLAIN], "body s3cr3t-C…", "body <secret>…"),
        ([PLAIN], 'observed "s3cr3t-C…"', 'observed "<secret>…"'),
        ([PLAIN], "s3cr3t-C", "s3cr3t-C"),
        ([PLAIN], "x" * 100 + "s3cr3t-C", "x" * 100 + "<secret>"),
    ],
)
def test_what_is_masked_and_what_is_not(secrets: list[str], text: str, shown: str) -> None:
    """Short and public values are left alone within texts, overlaps are one mask, and a cut secret counts."""
    assert masks(*secrets)(text) == shown


def test_old_secrets_stay_masked_and_are_bounded() -> None:
    """After a reload the history still has the old ones; of very many, the newest thousand are kept."""
    mask = masks("first-secret")
    mask.learn(["second-secret"])
    assert mask("first-secret second-secret") == "<secret> <secret>"
    mask.learn([f"secret-number-{number:04}" for number in range(999)])
    mask.learn(["third-secret"])
    shown = "first-secret <secret> <secret> <secret>"
    assert mask("first-secret second-secret secret-number-0000 third-secret") == shown


def test_many_secrets_cost_no_more_than_few() -> None:
    """Ten thousand secrets, and a long text of their prefixes, are handled quickly."""
    mask = masks(*(f"token-{number:05}-of-a-check" for number in range(10_000)))
    began = time.perf_counter()
    assert mask("tok token-04711-of-a-check " * 100) == "tok <secret> " * 100
    assert time.perf_counter() - began < 1


def test_a_healthy_result_is_not_touched() -> None:
    """It is the same object; results that are not ok have their detail masked."""
    well = Result(check_name="a", status=ResultStatus.OK)
    assert masked_result(well, masks(PLAIN)) is well
    failed = Result(check_name="a", status=ResultStatus.ERROR, reason=Reason.INTERNAL, detail=f"it is {PLAIN}")
    assert masked_result(failed, masks(PLAIN)).detail == "it is <secret>"
