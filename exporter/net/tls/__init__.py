"""TLS connections: contexts, handshakes, verification, certificate facts.

pyOpenSSL shakes hands (`client_handshake`) and accepts any certificate. Before anything else is sent, the certificates
are passed to Python's `ssl`, which verifies them (`verification`). A verified chain is remembered while all its
certificates are valid, under one hash of authorities, name and certificates, within 16 MiB (`context`). While the event
loop has other work, the expensive steps of handshakes are taken in a thread (`handshake_thread`).

Verifying in the handshake was measured and not taken. Median client CPU of a TLS 1.3 handshake with a chain of two
certificates and the authorities of a Debian system, 380 rounds in turns on two shared cores:

| how certificates are verified | ms |
| --- | --- |
| not at all | 0.91 |
| `ssl`, remembered from an earlier handshake: nearly every handshake of an exporter | 0.82 |
| OpenSSL in the handshake (`VERIFY_PEER`), names by service-identity | 1.34 |
| the same with a callback that records code and depth | 1.37 |
| OpenSSL's `X509StoreContext` after the handshake, names by service-identity | 1.38 |
| `ssl`, for the first time: once per chain and name | 2.22 |

The first two are equal within the noise. The others also lose something: pyOpenSSL cannot set the security level that
certificates must have apart from that of the connection, which TLS 1.0 lowers; `X509StoreContext` has neither that
level nor a public way to set the purpose; and service-identity cannot read certificates that OpenSSL accepts but the
package cryptography does not.

Renegotiation (TLS 1.2) is declined, so a connection keeps the certificate that was verified.
"""
