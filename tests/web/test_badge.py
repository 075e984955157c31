"""Badges: well-formed and readable images for any name and any state."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import httpx
import pytest

from exporter.web.badge import state_badge, unknown_badge
from exporter.web.pages.words import State
from tests.servers.exporter import run_exporter
from tests.servers.tcp import closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"><script>alert(1)</script>&\x1b[2J\ud800\u202e\uffff'


def texts(picture: str) -> list[str | None]:
    return [text.text for text in parsed(picture).iter(f"{SVG}text")]


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture.encode())


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("state", State)
def test_a_badge_names_check_and_state(state: State) -> None:
    """Its text alternative has the same content."""
    picture = parsed(state_badge("shop", state))
    title = picture.find(f"{SVG}title")
    assert title is not None
    assert (title.text, picture.get("aria-label"), picture.get("role")) == (f"shop: {state.label}",) * 2 + ("img",)
    assert texts(state_badge("shop", state)) == ["shop", state.label]


@pytest.mark.parametrize("picture", [unknown_badge("shop"), *(state_badge("shop", state) for state in State)])
def test_white_text_is_readable_on_every_background(picture: str) -> None:
    """The contrast is at least 4.5, as WCAG 2.2 requires for small text."""
    grounds = [rectangle.get("fill") for rectangle in parsed(picture).iter(f"{SVG}rect") if rectangle.get("fill")]
    assert len(grounds) == 2
    assert all(1.05 / (luminance(ground or "") + 0.05) >= 4.5 for ground in grounds)


def test_a_stale_state_has_no_colour() -> None:
    """Otherwise, a badge would stay green after checks have stopped running."""
    assert texts(state_badge("shop", State.OK, is_stale=True)) == ["shop", "ok, stale"]
    assert "#17703f" in state_badge("shop", State.OK)
    assert "#17703f" not in state_badge("shop", State.OK, is_stale=True)


def test_long_names_are_cut() -> None:
    """The image stays small; its title has the whole name."""
    picture = state_badge("long name " * 20, State.OK)
    assert texts(picture)[0] == "long name long name long name long name…"
    assert int(parsed(picture).get("width") or 0) < 400
    title = parsed(picture).find(f"{SVG}title")
    assert title is not None
    assert title.text == f"{'long name ' * 20}: ok"


@pytest.mark.parametrize("name", [HOSTILE, "", "日本語のチェック", "e\u0301" * 30, "👍🏽"])
def test_no_name_breaks_the_picture(name: str) -> None:
    """It is well-formed, and has only its own elements."""
    picture = parsed(state_badge(name, State.FAILING))
    tags = {element.tag.removeprefix(SVG) for element in picture.iter()}
    assert tags == {"svg", "title", "clipPath", "rect", "g", "text"}
    fitted = [int(text.get("textLength") or 0) for text in picture.iter(f"{SVG}text")]
    assert sum(fitted) + 24 == int(picture.get("width") or 0)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an exporter with a successful check, one that has not run, and a disabled one."""
    with socket.create_server(("127.0.0.1", 0)) as server, closed_port() as closed:
        port = server.getsockname()[1]
        config = f"""
checks:
  - {{name: a/b <i>.svg, type: tcp, target: "127.0.0.1:{port}"}}
  - {{name: new, type: tcp, target: "127.0.0.1:{closed}"}}
  - {{name: off, type: tcp, target: "127.0.0.1:{closed}", enabled: false}}
"""
        with run_exporter(tmp_path_factory.mktemp("badge"), config) as exporter:
            exporter.get("/metrics?check=a%2Fb%20%3Ci%3E.svg")
            yield f"http://{exporter.address}"


@pytest.mark.parametrize(
    ("path", "code", "shown"),
    [
        ("/badge/a%2Fb%20%3Ci%3E.svg.svg", 200, ["a/b <i>.svg", "ok"]),
        ("/badge/a/b%20%3Ci%3E.svg.svg?label=Shop", 200, ["Shop", "ok"]),
        ("/badge/new.svg", 200, ["new", "not run yet"]),
        ("/badge/off.svg?label=", 200, ["off", "disabled"]),
        ("/badge/%3Cnope%3E.svg", 404, ["<nope>", "no such check"]),
    ],
)
def test_the_badge_of_a_check(url: str, path: str, code: int, shown: list[str]) -> None:
    """Any name works; an unknown check is a 404 with an image, which browsers show."""
    answer = httpx.get(f"{url}{path}", trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (code, "image/svg+xml")
    assert texts(answer.text) == shown


def test_other_sites_may_embed_a_badge(url: str) -> None:
    """Only badges may be embedded, and no shared cache keeps them."""
    headers = httpx.get(f"{url}/badge/new.svg", trust_env=False).headers
    assert (headers["cache-control"], headers["cross-origin-resource-policy"]) == ("max-age=30", "cross-origin")
    other = httpx.get(f"{url}/status.json", trust_env=False).headers
    assert (other["cache-control"], other["cross-origin-resource-policy"]) == ("no-store", "same-origin")


def test_an_unknown_parameter_is_rejected(url: str) -> None:
    """As elsewhere, a mistake is not ignored."""
    answer = httpx.get(f"{url}/badge/new.svg?lable=x", trust_env=False)
    message = "unknown parameter 'lable'; did you mean label? parameters: label\n"
    assert (answer.status_code, answer.text) == (400, message)


def test_a_badge_needs_no_style_that_the_policy_forbids(url: str) -> None:
    """It looks the same when it is opened by itself, where the policy of the exporter applies."""
    answer = httpx.get(f"{url}/badge/new.svg", trust_env=False)
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    assert "style" not in answer.text
