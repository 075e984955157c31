"""SASL mechanisms: what is sent, and which mechanism is chosen."""

from __future__ import annotations

import base64

import pytest

from exporter.errors import CheckFailed
from exporter.mail.sasl import Credentials, choose_mechanism, initial_response, response_to
from exporter.model import Reason

TIM = Credentials("tim", "tanstaaftanstaaf")
CHALLENGE = base64.b64encode(b"<1896.697170952@postoffice.reston.mci.net>")


def test_the_examples_of_the_rfcs_hold() -> None:
    """PLAIN is sent as RFC 4616 has it, CRAM-MD5 as RFC 2195 has it."""
    assert initial_response("PLAIN", TIM) == base64.b64encode(b"\0tim\0tanstaaftanstaaf").decode()
    digest = base64.b64decode(response_to("CRAM-MD5", CHALLENGE, 0, TIM))
    assert digest == b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_login_answers_two_challenges() -> None:
    """LOGIN sends the user name and then the password, whatever the challenges say."""
    answers = [base64.b64decode(response_to("LOGIN", b"x", step, TIM)) for step in (0, 1)]
    assert (initial_response("LOGIN", TIM), answers) == (None, [b"tim", b"tanstaaftanstaaf"])


@pytest.mark.parametrize(
    ("offered", "over_tls", "in_clear"),
    [
        (("CRAM-MD5", "LOGIN", "PLAIN"), "PLAIN", "CRAM-MD5"),
        (("LOGIN", "PLAIN"), "PLAIN", "PLAIN"),
        (("LOGIN", "XOAUTH2"), "LOGIN", "LOGIN"),
        (("GSSAPI",), None, None),
        ((), None, None),
    ],
)
def test_the_best_offered_mechanism_is_chosen(
    offered: tuple[str, ...], over_tls: str | None, in_clear: str | None
) -> None:
    """Over TLS the simplest one, without TLS one that does not send the password if there is one."""
    found = choose_mechanism(offered, over_tls=True), choose_mechanism(offered, over_tls=False)
    assert found == (over_tls, in_clear)


@pytest.mark.parametrize(("mechanism", "step"), [("PLAIN", 1), ("LOGIN", 2), ("CRAM-MD5", 1)])
def test_further_challenges_are_not_answered(mechanism: str, step: int) -> None:
    """A server that goes on asking gets no answer."""
    with pytest.raises(CheckFailed, match="more challenges than") as caught:
        response_to(mechanism, CHALLENGE, step, TIM)  # type: ignore[arg-type]
    assert caught.value.reason is Reason.AUTH


def test_a_challenge_that_is_not_base64_is_rejected() -> None:
    """CRAM-MD5 needs the challenge, so nonsense is a violation of the protocol."""
    with pytest.raises(CheckFailed, match="is not base64") as caught:
        response_to("CRAM-MD5", b"!!!", 0, TIM)
    assert caught.value.reason is Reason.PROTOCOL


def test_credentials_are_not_shown() -> None:
    """A representation has neither user name nor password."""
    assert repr(TIM) == "Credentials(<secret>)"
