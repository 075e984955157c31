"""Where clients find the exporter: its external URL, the path before all routes, and links that work in browsers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    Link = Callable[[str], str]
    """Turns the path of a page, with its query, into an address for a browser."""


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """The address of the exporter; the default is one without a path. Lives as long as the process.

    A proxy may remove a path from requests before it passes them on, so there are two paths: routes begin with
    `route_prefix`, links with the path of `external_url`. Source: Prometheus, `--web.external-url` and
    `--web.route-prefix`.

    Attributes:
        external_url: URL under which clients reach the exporter, without a slash at its end; empty means at the
            address that each client uses, so that links begin with `route_prefix`.
        route_prefix: Path before all routes, without a slash at its end; empty for none.
    """

    external_url: str = ""
    route_prefix: str = ""

    def route(self, path: str) -> str:
        """Return the path at which the server answers requests for a page.

        Args:
            path: The path of the page without prefix, such as `/metrics`.
        """
        return f"{self.route_prefix}{path}"

    def link(self, path: str) -> str:
        """Return the address of a page as a path, so that it works with any scheme and host; see `Link`.

        Args:
            path: The path of the page without prefix, such as `/checks/shop`; its query may follow.
        """
        before = urlsplit(self.external_url).path if self.external_url else self.route_prefix
        return f"{before}{path}"


def unprefixed(path: str) -> str:
    """Return a path as it is: the links of an exporter without a prefix."""
    return path


def check_path(name: str) -> str:
    """Return the path of the page of a check, quoted so that any name survives the way through a browser.

    A browser takes dots alone for steps within a path, however they are quoted (WHATWG URL, "double-dot").
    """
    if name in (".", ".."):
        return f"/checks/?{urlencode({'name': name})}"
    return f"/checks/{quote(name, safe='', errors='replace')}"
