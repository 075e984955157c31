"""What expectations can be about in an HTTP answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from exporter.expect import evaluate
from exporter.http.settings import MOST_REDIRECTS
from exporter.model import Expectation, Reason, SelectorKind, Subject, ValueKind, leaves
from exporter.net.connection_facts import ADDRESS_SUBJECTS
from exporter.net.tls.subjects import TLS_SUBJECTS, spelled_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _spelled_version(text: str) -> str:
    """Return `HTTP/2`, `2.0` and `h2` as `2`."""
    version = text.lower().removeprefix("http/").removeprefix("h")
    return version.removesuffix(".0") if version in ("2.0", "3.0") else version


STATUS = Subject(
    name="status",
    kind=ValueKind.STATUS,
    description="Status of the response, such as 200; 2xx and 200-299 are ranges",
    reason=Reason.STATUS,
)
HEADER = Subject(
    name="header",
    kind=ValueKind.TEXTS,
    selector=SelectorKind.HEADER_NAME,
    description="The values of a header field, named case-insensitively",
)
BODY = Subject(name="body", kind=ValueKind.TEXT, description="The body as text")
BODY_SIZE = Subject(
    name="body_size",
    kind=ValueKind.NUMBER,
    description="Size of the body in bytes, after decoding",
    bounds=(0, math.inf),
)
BODY_SHA256 = Subject(
    name="body_sha256",
    kind=ValueKind.TEXT,
    description="SHA-256 of the body after decoding, in hex, as sha256sum prints it",
    spelled=spelled_sha256,
)
JSON = Subject(
    name="json",
    kind=ValueKind.JSON,
    selector=SelectorKind.JSON_PATH,
    description="What a JSONPath finds in the body: the value of a single match, a list of several",
)
CEL = Subject(
    name="cel",
    kind=ValueKind.JSON,
    selector=SelectorKind.CEL,
    description="The value of a CEL expression about the body, which is the variable body; by default it must be true",
)
LOCATION = Subject(
    name="location", kind=ValueKind.TEXT, description="Where the last response redirects to, as in its Location"
)
REDIRECTS_FOLLOWED = Subject(
    name="redirects",
    kind=ValueKind.NUMBER,
    description="Redirects that were followed",
    bounds=(0, MOST_REDIRECTS),
)
HTTP_VERSION = Subject(
    name="http_version",
    kind=ValueKind.TEXT,
    description="HTTP version, such as 1.1 or 3",
    choices=("1.0", "1.1", "2", "3"),
    spelled=_spelled_version,
)
FINAL_URL = Subject(name="url", kind=ValueKind.TEXT, description="The URL of the last response")
WELL_FORMED = Subject(
    name="well_formed",
    kind=ValueKind.FLAG,
    description="Whether every response follows the HTTP grammar; false for violations that clients tolerate",
    reason=Reason.PROTOCOL,
)
SUBJECTS = (
    STATUS, HEADER, BODY, BODY_SIZE, BODY_SHA256, JSON, CEL, LOCATION, REDIRECTS_FOLLOWED, HTTP_VERSION, WELL_FORMED,
    FINAL_URL, *ADDRESS_SUBJECTS, *TLS_SUBJECTS,
)  # fmt: skip

DOCUMENT = Subject(name="document", kind=ValueKind.JSON, description="Why the body is not JSON")
IS_JSON = Expectation(label="is JSON", subject=DOCUMENT, operator="exists", operand=False)
BODY_CAPTURE = Subject(name="captured", kind=ValueKind.TEXT, description="What a value captures in the body")
HEADER_CAPTURE = Subject(name="captured_header", kind=ValueKind.TEXT, description="What a value captures in a header")
OF_BODY = (
    BODY.name, BODY_SIZE.name, BODY_SHA256.name, JSON.name, CEL.name, DOCUMENT.name, BODY_CAPTURE.name,
)  # fmt: skip
OF_HEADER = (HEADER.name, HEADER_CAPTURE.name)


def expected_status(own: Sequence[Expectation], *, follows_redirects: bool) -> tuple[Mapping[str, object], ...]:
    """Expect success, or a redirect if redirects are not followed and an expectation needs a Location.

    Args:
        own: What is expected otherwise.
        follows_redirects: Whether redirects are followed.
    """
    of_location = [one for one in own if all(part.subject is LOCATION for part in leaves([one]))]
    meets_all = all(one.ok for one in evaluate(of_location, {LOCATION.name: None}))
    return ({STATUS.name: "2xx" if follows_redirects or meets_all else "3xx"},)
