"""TLS connections: contexts, handshakes, verification, certificate facts."""
