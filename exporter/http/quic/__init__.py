"""QUIC under HTTP/3: connections over a socket of our own."""
