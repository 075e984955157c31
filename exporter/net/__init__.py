"""From a host name to a measured connection: resolving, connecting, TLS, certificate facts, proxies."""

from exporter.net.connection_facts import ConnectionFacts
from exporter.net.errors import connection_failure
from exporter.net.network import Network

__all__ = ["ConnectionFacts", "Network", "connection_failure"]
