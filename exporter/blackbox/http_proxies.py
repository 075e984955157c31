"""Reads which proxy a client goes through."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from exporter.blackbox.recipe import settings_of
from exporter.net.proxy.settings import ProxyConfig

if TYPE_CHECKING:
    from exporter.config.block import Block

PROXY_KEYS = ("proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header")


def read_proxies(block: Block) -> dict[str, object]:
    """Return the settings of proxies."""
    from_environment = block.flag("proxy_from_environment", default=False)
    has_proxy = bool(block.text("proxy_url"))
    for key in ("proxy_url", "no_proxy"):
        if from_environment and block.text(key):
            block.refuse(key, "cannot be used with proxy_from_environment; write one of them", on_key=True)
    if block.text("no_proxy") and not has_proxy and not from_environment:
        block.refuse("no_proxy", "needs proxy_url as well", on_key=True)
    if "proxy_connect_header" in block and not has_proxy and not from_environment:
        block.refuse(
            "proxy_connect_header", "needs a proxy, which proxy_url or proxy_from_environment names", on_key=True
        )
    values: dict[str, object] = {
        "proxy_from_environment": from_environment,
        "no_proxy": tuple(entry.strip() for entry in block.text("no_proxy").split(",") if entry.strip()),
        "proxy_connect_headers": {
            name: ", ".join(item.text for item in node.value if not isinstance(item.value, dict | list))
            if isinstance(node.value, list)
            else node.text
            for name, node in block.mapping("proxy_connect_header").items()
        },
    }
    if has_proxy and not from_environment:
        values["proxy"] = _proxy(block)
    return values


def _proxy(block: Block) -> ProxyConfig | None:
    """Return the proxy of a URL, whose user name and password are settings of their own here."""
    text = block.text("proxy_url")
    try:
        parts = urlsplit(text)
        place = parts.netloc.rpartition("@")[2]
        username, password = parts.username, parts.password
    except ValueError:
        block.refuse("proxy_url", "is not a URL")
        return None
    values: dict[str, object] = {"url": urlunsplit(parts._replace(netloc=place))}
    if username is not None:
        values |= {"username": unquote(username), "password": unquote(password or "")}
    return settings_of(ProxyConfig, values, block, {"url": "proxy_url"})
