"""Reads what an SSH server sends before encryption starts: its identification and the algorithms it offers.

Sources: RFC 4253 sections 4.2 (identification), 6 (packets) and 7.1 (key exchange initialization). Does no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from exporter.errors import CheckFailed
from exporter.model import Reason
from exporter.net.field_lines import printable, shown
from exporter.quantities import counted

_LINE_LIMIT_BYTES = 255  # section 4.2
_MAX_LINES_BEFORE = 50
_BEFORE_LIMIT_BYTES = 8192
_PACKET_LIMIT_BYTES = 35_000  # section 6.1
_MAX_PACKETS = 20
_KEXINIT, _IGNORABLE = 20, frozenset((2, 3, 4))  # IGNORE, UNIMPLEMENTED, DEBUG: RFC 4250 section 4.1.2
_DISCONNECT = 1
_COOKIE_BYTES = 16
_MAX_NAMES = 200


@dataclass(frozen=True, slots=True)
class Algorithms:
    """What a server offers, in its order of preference; for both directions together.

    Attributes:
        key_exchanges: Names of key exchange methods, without markers of extensions.
        host_keys: Names of host key algorithms.
        ciphers: Names of ciphers.
        macs: Names of message authentication codes.
    """

    key_exchanges: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]


class ServerHello:
    """Reads the beginning of what a server sends; lives as long as the connection.

    Attributes:
        banner: The identification line, such as `SSH-2.0-OpenSSH_9.2p1 Debian-2`; empty before it has arrived.
        algorithms: What the server offers; None until it has sent them.
    """

    def __init__(self) -> None:
        self.banner = ""
        self.algorithms: Algorithms | None = None
        self._unread = bytearray()
        self._lines_before = 0
        self._bytes_before = 0
        self._packets = 0

    @property
    def software(self) -> str:
        """The software in the banner, such as `OpenSSH_9.2p1`; what follows a blank is a comment."""
        return self.banner.split("-", 2)[2].partition(" ")[0]

    def feed(self, data: bytes) -> None:
        """Read received data; what comes after the algorithms is ignored.

        Raises:
            CheckFailed: With reason `protocol` when it is not SSH 2, or goes on too long.
        """
        if self.algorithms is not None:
            return
        self._unread += data
        while not self.banner:
            if (end := self._unread.find(b"\n")) < 0:
                self._check_line(self._unread)
                return
            line = bytes(self._unread[:end]).removesuffix(b"\r")
            del self._unread[: end + 1]
            self._take_line(line)
        while self._take_packet():
            pass

    def _check_line(self, line: bytes | bytearray) -> None:
        begins_like_ssh = line[:4] == b"SSH-"[: len(line)]
        limit_bytes = _LINE_LIMIT_BYTES if begins_like_ssh else _BEFORE_LIMIT_BYTES - self._bytes_before
        if len(line) > limit_bytes:
            raise CheckFailed(Reason.PROTOCOL, f"the server does not speak SSH: it says '{shown(bytes(line))}'")

    def _take_line(self, line: bytes) -> None:
        self._check_line(line)
        if not line.startswith(b"SSH-"):  # section 4.2 allows other lines before it
            self._lines_before += 1
            self._bytes_before += len(line)
            if self._lines_before > _MAX_LINES_BEFORE:
                raise CheckFailed(Reason.PROTOCOL, f"the server does not speak SSH: it says '{shown(line)}'")
            return
        version, _, software = line[4:].partition(b"-")
        if version not in (b"2.0", b"1.99") or not software:
            raise CheckFailed(Reason.PROTOCOL, f"the server does not speak SSH 2.0: it says '{shown(line)}'")
        self.banner = printable(line.decode("utf-8", "replace"))

    def _take_packet(self) -> bool:
        """Read one packet; return whether another one may follow that matters."""
        if len(self._unread) < 5:
            return False
        length, padding = int.from_bytes(self._unread[:4], "big"), self._unread[4]
        if not padding + 2 <= length <= _PACKET_LIMIT_BYTES:
            raise _malformed(f"a packet of {counted(length, 'byte')} with {counted(padding, 'byte')} of padding came")
        if len(self._unread) < 4 + length:
            return False
        payload = bytes(self._unread[5 : 4 + length - padding])
        del self._unread[: 4 + length]
        self._packets += 1
        if payload[0] == _KEXINIT:
            self.algorithms = _read_algorithms(payload)
        elif payload[0] == _DISCONNECT:
            text, _ = _read_text(payload, 5)
            raise CheckFailed(Reason.PROTOCOL, f"the server disconnects: {printable(text)[:200]}")
        elif payload[0] not in _IGNORABLE or self._packets > _MAX_PACKETS:
            raise _malformed(f"a message of type {payload[0]} came instead of the algorithms")
        return self.algorithms is None


def _read_algorithms(payload: bytes) -> Algorithms:
    lists, place = [], 1 + _COOKIE_BYTES
    for _ in range(6):
        text, place = _read_text(payload, place)
        lists.append([printable(name) for name in text.split(",")[:_MAX_NAMES] if name])
    kex, host_keys, *directions = lists
    ciphers, macs = directions[0] + directions[1], directions[2] + directions[3]
    return Algorithms(
        # ext-info-s and kex-strict-s-v00@openssh.com are not methods but markers.
        key_exchanges=tuple(name for name in kex if not name.startswith(("ext-info-", "kex-strict-"))),
        host_keys=tuple(host_keys),
        ciphers=tuple(dict.fromkeys(ciphers)),
        macs=tuple(dict.fromkeys(macs)),
    )


def _read_text(payload: bytes, place: int) -> tuple[str, int]:
    """Return a string of RFC 4251 section 5 and the place after it."""
    length = int.from_bytes(payload[place : place + 4], "big")
    end = place + 4 + length
    if len(payload) < place + 4 or end > len(payload):
        raise _malformed("a packet ends within a field")
    return payload[place + 4 : end].decode("utf-8", "replace"), end


def _malformed(why: str) -> CheckFailed:
    return CheckFailed(Reason.PROTOCOL, f"the server breaks the SSH protocol: {why}")
