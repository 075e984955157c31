"""QUIC connections for HTTP/3."""
