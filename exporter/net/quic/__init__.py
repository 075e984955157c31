"""QUIC connections: measured, over UDP, for any protocol that uses them."""
