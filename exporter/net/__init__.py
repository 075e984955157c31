"""From a host name to a measured connection: resolving, connecting, TLS, certificate facts, HTTP."""

from exporter.net.failures import connection_failure
from exporter.net.network import ConnectionCounts, Network
from exporter.net.phases import ConnectionFacts

__all__ = ["ConnectionCounts", "ConnectionFacts", "Network", "connection_failure"]
