"""Finds the server to query about a domain: RDAP servers by a bootstrap file (RFC 9224), WHOIS servers by a list.

The package contains selections of IANA's lists of both. `bootstrap_file` replaces the RDAP list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exporter.regular_files import read_regular, reading_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = Path(__file__).parent
_LIMIT_BYTES = 1 << 22
IANA_WHOIS_SERVER = "whois.iana.org"
"""Refers to the server of any top-level domain."""


class WhoisServer(NamedTuple):
    """A WHOIS server.

    Attributes:
        host: Its name.
        query: The query, with `{}` in place of the domain.
    """

    host: str
    query: str = "{}"


def read_bootstrap(octets: bytes) -> Mapping[str, tuple[str, ...]]:
    """Return base URLs by domain, from a bootstrap file; entries with other URLs than http and https are left out.

    Raises:
        ValueError: When it is not a bootstrap file; the message completes a sentence about the file.
    """
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON") from error
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, list):
        raise ValueError("is not an RDAP bootstrap file: it has no list of services")  # noqa: TRY004 - a faulty document
    found: dict[str, tuple[str, ...]] = {}
    for service in services:
        match service:
            case [[*names], [*urls]] if all(isinstance(text, str) for text in (*names, *urls)):
                usable = [url for url in urls if url.startswith(("https://", "http://"))]
                # RFC 9224 section 3: of several, those with TLS are preferred.
                ordered = tuple(sorted(usable, key=lambda url: not url.startswith("https://")))
                found |= {name.lower().strip("."): ordered for name in names if ordered}
            case _:
                raise ValueError("is not an RDAP bootstrap file: a service is not a list of names and one of URLs")
    return found


def bootstrap_of(path: str) -> Mapping[str, tuple[str, ...]]:
    """Read a bootstrap file.

    Raises:
        ValueError: When it cannot be read or is not one; the message completes a sentence about the file.
    """
    try:
        octets = read_regular(path, _LIMIT_BYTES)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {reading_failure(error)}") from error
    if len(octets) > _LIMIT_BYTES:
        raise ValueError(f"is larger than {_LIMIT_BYTES} bytes")
    return read_bootstrap(octets)


SHIPPED_BOOTSTRAP = bootstrap_of(str(_HERE / "rdap_servers.json"))
"""The base URLs that the package knows, by domain."""


def rdap_url(name: str, bootstrap: Mapping[str, tuple[str, ...]]) -> str:
    """Return the base URL of the server that knows a domain: the longest match of whole labels; empty for none."""
    labels = name.split(".")
    for start in range(1, len(labels)):
        if urls := bootstrap.get(".".join(labels[start:])):
            return urls[0]
    return ""


def _read_whois_servers() -> Mapping[str, WhoisServer]:
    document = json.loads((_HERE / "whois_servers.json").read_bytes())
    queries = document["queries"]
    return {
        domain: WhoisServer(host, queries.get(host, "{}"))
        for host, domains in document["servers"].items()
        for domain in domains
    }


_WHOIS_SERVERS = _read_whois_servers()
"""The WHOIS servers that the package knows, by top-level domain; read now, because event loops must not read files."""


def whois_server(name: str) -> WhoisServer:
    """Return the first server to query: that of the top-level domain, or IANA's, which refers to the right one."""
    return _WHOIS_SERVERS.get(name.rpartition(".")[2], WhoisServer(IANA_WHOIS_SERVER))


def whois_query(place: str, name: str) -> str:
    """Return the query for a domain to a server, which is a host or host:port."""
    known = next((one for one in _WHOIS_SERVERS.values() if one.host == place), WhoisServer(place))
    return known.query.format(name)
