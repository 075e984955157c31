"""The URL of a step: a reference against the target, into which captures are filled without a change of its host."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from exporter.dialogue.template import parse_template
from exporter.errors import CheckFailed
from exporter.http.redirects import is_same_origin
from exporter.http.url import parse_http_url, resolve_reference
from exporter.model import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from exporter.dialogue.template import Template

_WITH_HOST = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_HOST_AND_MORE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]+[/?#].*", re.DOTALL)
_UNSENT = re.compile(r"[\x00-\x20\x7f]")


def check_address(text: str) -> None:
    """Check the `url` of a step.

    Raises:
        ValueError: When it is neither an http URL nor a path, or when a capture would be part of the host.
    """
    template = parse_template(text)
    if any(character.isspace() for character in text):
        raise ValueError("has a space in url; in a URL it is written %20")
    start = template.texts[0]
    if template.names and _WITH_HOST.match(start) and not _HOST_AND_MORE.fullmatch(start):
        raise ValueError("has a capture in the host of url; write the host itself, and captures after it")
    filled = template.texts[0] + "".join("x" + rest for rest in template.texts[1:])
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", filled) or filled.startswith("//"):
        try:
            parse_http_url(filled)
        except ValueError as error:
            raise ValueError(f"has a url that {error}") from None


def address_of(template: Template, captured: Mapping[str, str], target: httpx.URL) -> httpx.URL:
    """Return the URL of a step.

    A capture that is the whole `url`, such as that of a Location, is a reference within the target's origin. Any other
    is one percent-encoded component, so that it cannot add a path or a query.

    Args:
        template: The `url`.
        captured: What was captured so far.
        target: The check's target.

    Raises:
        CheckFailed: With reason `protocol` when a capture would lead to another origin, or is not part of a URL.
    """
    is_whole = len(template.names) == 1 and not any(template.texts)
    encoded = captured if is_whole else {name: quote(text, safe="") for name, text in captured.items()}
    text = template.fill(encoded)
    if _UNSENT.search(text):
        raise CheckFailed(Reason.PROTOCOL, f"what was captured as {template.names[0]} is not a URL")
    try:
        url = resolve_reference(target, text.encode("utf-8", "replace")) if text else target
    except ValueError:
        raise CheckFailed(Reason.PROTOCOL, "its url does not lead to a URL that can be fetched") from None
    if is_whole and not is_same_origin(target, url):
        detail = f"what was captured as {template.names[0]} leads away from the target's scheme, host and port"
        raise CheckFailed(Reason.PROTOCOL, detail)
    if url.userinfo:
        raise CheckFailed(Reason.PROTOCOL, "its url has a user name or password in it")
    return url
