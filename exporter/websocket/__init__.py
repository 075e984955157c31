"""WebSocket: the opening handshake, and messages within limits. Does no I/O. Source: RFC 6455."""
