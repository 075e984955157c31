"""The web configuration: TLS, users, headers and the rate limit of the web server, in exporter-toolkit's format.

Source: Prometheus' exporter-toolkit, docs/web-configuration.md.
"""

from __future__ import annotations

from exporter.web_config.load import SECTIONS, load_web_config
from exporter.web_config.model import RateLimit, TlsServer, WebConfig
from exporter.web_config.server_context import HTTP2

__all__ = ["HTTP2", "SECTIONS", "RateLimit", "TlsServer", "WebConfig", "load_web_config"]
