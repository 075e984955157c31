"""Digest challenges and their answers, against the examples of RFC 7616 section 3.9."""

from __future__ import annotations

from time import perf_counter

import httpx
import pytest

from exporter.attempt import Attempt
from exporter.errors import CheckFailed
from exporter.http.challenges import Challenge, parse_challenges
from exporter.http.digest import DigestAuth, answerable
from exporter.http.request import new_request
from exporter.model import Reason

RFC_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"


@pytest.mark.parametrize(
    ("values", "challenges"),
    [
        ([], []),
        ([b""], []),
        ([b"Basic"], [("basic", {})]),
        ([b'Basic realm="a", charset="UTF-8"'], [("basic", {"realm": "a", "charset": "UTF-8"})]),
        ([b"NTLM, Negotiate"], [("ntlm", {}), ("negotiate", {})]),
        ([b"NTLM", b"Negotiate"], [("ntlm", {}), ("negotiate", {})]),
        ([b'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'],
         [("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}), ("basic", {"realm": "simple"})]),
        ([b'A b="c, D e=f", G h=i'], [("a", {"b": "c, D e=f"}), ("g", {"h": "i"})]),
        ([b'A b="c" G h=i'], [("a", {"b": "c"}), ("g", {"h": "i"})]),
        ([b",, A ,b=c,, ,D"], [("a", {"b": "c"}), ("d", {})]),
        ([b"A b=1, B=2"], [("a", {"b": "2"})]),
        ([b'A b = "c" , d=e'], [("a", {"b": "c", "d": "e"})]),
        ([b"A b"], [("a", {})]),
        ([b"A b, c=d"], [("a", {"c": "d"})]),
        ([b'A b="c'], [("a", {"b": "c"})]),
        ([b'A b="c\\'], [("a", {"b": "c"})]),
        ([b'A b="\\'], [("a", {"b": ""})]),
        ([b"A b=\xff"], [("a", {"b": "\xff"})]),
        ([b"b=c, d=e"], []),
        ([b'=,"=,'], []),
    ],
)  # fmt: skip
def test_challenges_are_parsed(values: list[bytes], challenges: list[tuple[str, dict[str, str]]]) -> None:
    """Challenges follow RFC 9110 section 11.6.1, and other fields are read as far as possible."""
    assert parse_challenges(values) == [Challenge(scheme, parameters) for scheme, parameters in challenges]


def answer_to(challenge: bytes, username: str, password: str, url: str, client_nonce: str) -> bytes:
    """The Authorization that answers a challenge."""
    flow = DigestAuth(username, password, Attempt())
    requests = flow.auth_flow(new_request("GET", url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.http.digest.secrets.token_hex", lambda _length: client_nonce)
        request = requests.send(httpx.Response(401, headers=[(b"WWW-Authenticate", challenge)], request=next(requests)))
    return next(value for name, value in request.headers.raw if name == b"Authorization")


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        (b"MD5", b"8ca523f5e9506fed4657c9700eebdbec"),
        (b"SHA-256", b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_the_rfc_are_answered_as_it_says(algorithm: bytes, response: bytes) -> None:
    """RFC 7616 section 3.9.1."""
    challenge = (
        b'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=%s, nonce="%s", '
        b'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' % (algorithm, RFC_NONCE.encode())
    )
    assert answer_to(
        challenge, "Mufasa", "Circle of Life", "http://www.example.org/dir/index.html",
        "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    ) == (
        b'Digest username="Mufasa", realm="http-auth@example.org", nonce="%s", uri="/dir/index.html", algorithm=%s, '
        b'response="%s", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", qop=auth, nc=00000001, '
        b'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"' % (RFC_NONCE.encode(), algorithm, response)
    )  # fmt: skip


def test_a_user_name_is_hashed_with_the_realm() -> None:
    """This is the example of RFC 7616 section 3.9.2 with the hashes of erratum 4897; the RFC's use another function."""
    challenge = (
        b'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9'
        b'HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    answer = answer_to(challenge, "Jäsøn Doe", "Secret, or not?", "http://api.example.org/doe.json",
        "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )  # fmt: skip
    assert answer.startswith(b'Digest username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"')
    assert b'response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"' in answer
    assert b"userhash=true" in answer


@pytest.mark.parametrize("name", ["realm", "nonce", "opaque", "qop"])
@pytest.mark.parametrize("octet", ["\0", "\n", "\x7f"])
def test_what_cannot_be_sent_back_is_not_answered(name: str, octet: str) -> None:
    """A control character within a parameter would break the head of the request."""
    challenge = Challenge("digest", {"realm": "r", "nonce": "n", "qop": "auth", name: f"auth,{octet}"})
    with pytest.raises(CheckFailed) as raised:
        answerable([challenge], Attempt())
    assert (raised.value.reason, raised.value.detail) == (
        Reason.AUTH,
        "the server's digest challenge cannot be answered: it has a control character",
    )


def test_a_hostile_field_is_read_in_no_time() -> None:
    """This holds for any head of 64 KiB."""
    started = perf_counter()
    for junk in (b" ", b",", b'"', b"=", b"a ", b'a="', b'\\"', b"a=,", b"a b=c,", b'Digest "\\'):
        parse_challenges([junk * (65536 // len(junk))])
    assert perf_counter() - started < 0.5
