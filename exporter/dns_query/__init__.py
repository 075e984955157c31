"""DNS queries of checks: over UDP, TCP, TLS, HTTPS and QUIC, to one name server or to several for comparison."""
