"""The first bytes of an SSH server: banners, algorithms, and every kind of fault."""

from __future__ import annotations

import pytest

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.ssh.hello import Algorithms, ServerHello

LISTS = (
    "curve25519-sha256,ext-info-s,kex-strict-s-v00@openssh.com", "ssh-ed25519,rsa-sha2-512", "aes256-ctr,3des-cbc",
    "aes256-ctr", "hmac-sha2-256", "hmac-sha2-512", "none", "none", "", "",
)  # fmt: skip
BANNER = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"


def packet(payload: bytes, padding: int = 6) -> bytes:
    return (len(payload) + padding + 1).to_bytes(4, "big") + bytes((padding,)) + payload + bytes(padding)


def kexinit(lists: tuple[str, ...] = LISTS) -> bytes:
    names = b"".join(len(text).to_bytes(4, "big") + text.encode() for text in lists)
    return packet(b"\x14" + bytes(16) + names + bytes(5))


def heard(*pieces: bytes) -> ServerHello:
    hello = ServerHello()
    for piece in pieces:
        hello.feed(piece)
    return hello


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_banner_and_algorithms_are_read(size: int) -> None:
    """Lines before the banner and ignorable packets are skipped, and markers left out, however the bytes are cut."""
    whole = b"Welcome\r\nto this host\n" + BANNER + packet(b"\x02" + bytes(9)) + kexinit() + b"encrypted"
    hello = heard(*(whole[start : start + size] for start in range(0, len(whole), size)))
    assert (hello.banner, hello.software) == ("SSH-2.0-OpenSSH_9.2p1 Debian-2", "OpenSSH_9.2p1")
    assert hello.algorithms == Algorithms(
        key_exchanges=("curve25519-sha256",),
        host_keys=("ssh-ed25519", "rsa-sha2-512"),
        ciphers=("aes256-ctr", "3des-cbc"),
        macs=("hmac-sha2-256", "hmac-sha2-512"),
    )


def test_a_banner_may_be_old_and_odd() -> None:
    """Version 1.99 also means 2.0, and control characters are escaped."""
    hello = heard(b"SSH-1.99-x-y\x1b[1m \n")
    assert (hello.banner, hello.software) == ("SSH-1.99-x-y\\x1b[1m ", "x-y\\x1b[1m")


@pytest.mark.parametrize(
    ("received", "detail"),
    [
        (b"SSH-1.5-old\n", "the server does not speak SSH 2.0: it says 'SSH-1.5-old'"),
        (b"SSH-2.0-\n", "the server does not speak SSH 2.0: it says 'SSH-2.0-'"),
        (b"SSH-2.0-" + b"x" * 300, "the server does not speak SSH: it says 'SSH-2.0-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"),
        (b"y" * 9000, "the server does not speak SSH: it says 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'"),
        (b"HTTP/1.1 400 Bad Request\r\n" * 60, "the server does not speak SSH: it says 'HTTP/1.1 400 Bad Request'"),
        (BANNER + b"\xff" * 9,
         "the server breaks the SSH protocol: a packet of 4294967295 bytes with 255 bytes of padding came"),
        (BANNER + b"\0\0\0\x05\x09" + bytes(9),
         "the server breaks the SSH protocol: a packet of 5 bytes with 9 bytes of padding came"),
        (BANNER + packet(b"\x1e" + bytes(9)),
         "the server breaks the SSH protocol: a message of type 30 came instead of the algorithms"),
        (BANNER + packet(b"\x02" + bytes(9)) * 30,
         "the server breaks the SSH protocol: a message of type 2 came instead of the algorithms"),
        (BANNER + packet(b"\x14" + bytes(20)), "the server breaks the SSH protocol: a packet ends within a field"),
        (BANNER + packet(b"\x01\0\0\0\x0b\0\0\0\x08too many\0\0\0\0"), "the server disconnects: too many"),
    ],
)  # fmt: skip
def test_what_is_not_ssh_is_rejected(received: bytes, detail: str) -> None:
    """Other protocols, endless lines and broken packets fail with reason protocol."""
    with pytest.raises(CheckFailed) as caught:
        heard(received)
    assert (caught.value.reason, caught.value.detail) == (Reason.PROTOCOL, detail)
