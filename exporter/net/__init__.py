"""From a host name to a measured connection: resolving, connecting, TLS, certificate facts, proxies."""

from exporter.addresses import Endpoint
from exporter.net.connect_options import ConnectOptions, connect_options
from exporter.net.connection_facts import ConnectionFacts
from exporter.net.errors import connection_failure
from exporter.net.network import Network

__all__ = ["ConnectOptions", "ConnectionFacts", "Endpoint", "Network", "connect_options", "connection_failure"]
