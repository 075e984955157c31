"""Responses that break the grammar of HTTP in some detail, byte for byte, and how the exporter should treat each.

The tests of the versions of HTTP use them, and the comparison with other clients.
"""

from __future__ import annotations

from tests.servers.http import chunked
from tests.servers.http2 import data, head, trailers

OK = b"HTTP/1.1 200 OK\r\n"
SHORT = b"Content-Length: 2\r\n\r\nhi"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"2\r\nhi\r\n0\r\n\r\n"

MALFORMED: dict[str, bytes] = {
    "two Content-Lengths that differ": OK + b"Content-Length: 3\r\n" + SHORT,
    "a negative Content-Length": OK + b"Content-Length: -2\r\n\r\nhi",
    "a signed Content-Length": OK + b"Content-Length: +2\r\n\r\nhi",
    "an empty Content-Length": OK + b"Content-Length: \r\n\r\nhi",
    "a hexadecimal Content-Length": OK + b"Content-Length: 0x2\r\n\r\nhi",
    "a Content-Length beyond 64 bits": OK + b"Content-Length: 99999999999999999999999\r\n\r\nhi",
    "a Content-Length with a space in it": OK + b"Content-Length: 1 1\r\n\r\nhi",
    "a first header that begins with a tab": OK + b"\tX: a\r\n" + SHORT,
    "a NUL in a value": OK + b"X: a\x00b\r\n" + SHORT,
    "a NUL in a name": OK + b"X\x00: a\r\n" + SHORT,
    "a header without a colon": OK + b"X\r\n" + SHORT,
    "no status": b"HTTP/1.1\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 99 OK\r\n" + SHORT,
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n" + SHORT,
    "a negative status": b"HTTP/1.1 -01 OK\r\n" + SHORT,
    "a negative chunk": CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nhi\r\n0\r\n\r\n",
    "a chunk in another notation": CHUNKED + b"0x2\r\nhi\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"2\r\nhiX\r\n0\r\n\r\n",
    "a line feed within a chunk's extension": CHUNKED + b"2;a\n\r\nhi\r\n0\r\n\r\n",
    "an empty line after an informational response": b"HTTP/1.1 100 Continue\r\n\r\n\r\n" + OK + SHORT,
    "a body after an informational response": b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc" + OK + SHORT,
    "Content-Lengths in a list that differ": OK + b"Content-Length: 2, 3\r\n\r\nhi",
    "Content-Lengths of the same number, written differently": OK + b"Content-Length: 02\r\n" + SHORT,
    "a list of Content-Lengths with nothing after the comma": OK + b"Content-Length: 2,\r\n\r\nhi",
    "a Content-Length folded in two": OK + b"Content-Length: 1\r\n 2\r\n\r\nhi",
    "a Content-Length with a control character": OK + b"Content-Length: 2\x01\r\n\r\nhi",
    "a first header of blanks": OK + b" \r\n" + SHORT,
    "a header without a colon among others": OK + b"A: b\r\njunk here\r\n" + SHORT,
    "a second status line among the headers": OK + OK + SHORT,
    "a NUL at the end of a value": OK + b"X: a\x00\r\n" + SHORT,
    "a version without a minor one": b"HTTP/1 200 OK\r\n" + SHORT,
    "a version of two digits": b"HTTP/1.01 200 OK\r\n" + SHORT,
    "a tab before the status": b"HTTP/1.1\t200 OK\r\n" + SHORT,
    "a status grown together with its phrase": b"HTTP/1.1 200OK\r\n" + SHORT,
    "a status that is no number": b"HTTP/1.1 abc OK\r\n" + SHORT,
    "a chunk without a size": CHUNKED + b"\r\nhi\r\n0\r\n\r\n",
    "a space before the size of a chunk": CHUNKED + b" 2\r\nhi\r\n0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"2\r\nhi0\r\n\r\n",
    "a chunk that is shorter than it says": CHUNKED + b"3\r\nhi\r\n0\r\n\r\n",
    "a trailer without a colon": CHUNKED + b"2\r\nhi\r\n0\r\nX\r\n\r\n",
}
"""Refused as malformed: others refuse them too, or each reads them in a way of its own."""

ODD: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "two Content-Lengths that agree": (OK + b"Content-Length: 2\r\n" + SHORT, ("Content-Length more than once",)),
    "three Content-Lengths that agree": (
        OK + b"Content-Length: 2\r\ncontent-length: 2 \r\n" + SHORT,
        ("Content-Length more than once",),
    ),
    "a list as Content-Length": (OK + b"Content-Length: 2, 2\r\n\r\nhi", ("Content-Length more than once",)),
    "a Content-Length before a transfer coding": (
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        ("Content-Length beside Transfer-Encoding",),
    ),
    "a Content-Length after a transfer coding": (
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + CHUNKS,
        ("Content-Length beside Transfer-Encoding",),
    ),
    "Content-Lengths that differ beside a transfer coding": (
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKS,
        ("Content-Length beside Transfer-Encoding",),
    ),
    "a Content-Length among the trailers": (
        CHUNKED + b"2\r\nhi\r\n0\r\nContent-Length: 2\r\n\r\n",
        ("Content-Length in the trailers",),
    ),
    "a space before the colon of a length": (
        OK + b"Content-Length : 2\r\n\r\nhi",
        ("whitespace before the colon of Content-Length",),
    ),
    "a tab before a colon": (OK + b"X\t: a\r\n" + SHORT, ("whitespace before the colon of X",)),
    "a folded header": (OK + b"X: a\r\n b\r\n" + SHORT, ("folded value in X",)),
    "a header folded twice, by a tab too": (OK + b"X: a\r\n\tb\r\n  c\r\n" + SHORT, ("folded value in X",)),
    "a header that begins on its second line": (OK + b"X:\r\n a\r\n" + SHORT, ("folded value in X",)),
    "a header folded into blanks": (OK + b"X: a\r\n \t\r\n" + SHORT, ("folded value in X",)),
    "a folded header at the end": (OK + b"Content-Length: 2\r\nX: a\r\n b\r\n\r\nhi", ("folded value in X",)),
    "a folded length": (OK + b"Content-Length:\r\n 2\r\n\r\nhi", ("folded value in Content-Length",)),
    "a folded transfer coding": (
        OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKS,
        ("folded value in Transfer-Encoding",),
    ),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", ("bare LF",)),
    "a bare line feed after the status line": (b"HTTP/1.1 200 OK\n" + SHORT, ("bare LF",)),
    "a bare line feed after a status without phrase": (b"HTTP/1.1 200\n" + SHORT, ("bare LF",)),
    "one bare line feed": (OK + b"X: a\n" + SHORT, ("bare LF",)),
    "a bare line feed as the empty line": (OK + b"Content-Length: 2\r\n\nhi", ("bare LF",)),
    "a bare line feed before the empty line": (OK + b"Content-Length: 2\n\r\nhi", ("bare LF",)),
    "a bare line feed before a folded line": (
        OK + b"X: a\n b\r\n" + SHORT,
        (
            "bare LF",
            "folded value in X",
        ),
    ),
    "a bare carriage return in a value": (OK + b"X: a\rb\r\n" + SHORT, ("bare CR",)),
    "two carriage returns at the end of a line": (OK + b"X: a\r\r\n" + SHORT, ("bare CR",)),
    "a bare carriage return in the reason phrase": (b"HTTP/1.1 200 O\rK\r\n" + SHORT, ("bare CR",)),
    "a control character in a value": (OK + b"X: a\x01b\r\n" + SHORT, ("control character in X",)),
    "a control character at the end of a value": (OK + b"X: a\x01\r\n" + SHORT, ("control character in X",)),
    "colours in a value": (OK + b"Server: \x1b[1mx\r\n" + SHORT, ("control character in Server",)),
    "a DEL in a value": (OK + b"X: a\x7f\r\n" + SHORT, ("control character in X",)),
    "a vertical tab and a form feed in a value": (OK + b"X: a\x0b\x0c\r\n" + SHORT, ("control character in X",)),
    "a header without a name": (OK + b": a\r\n" + SHORT, ("field without a name",)),
    "a space in a name": (OK + b"X Y: a\r\n" + SHORT, ("field name 'X Y'",)),
    "parentheses in a name": (OK + b"X(1): a\r\n" + SHORT, ("field name 'X(1)'",)),
    "brackets in a name": (OK + b"X[1]: a\r\n" + SHORT, ("field name 'X[1]'",)),
    "a control character in a name": (OK + b"X\x01: a\r\n" + SHORT, ("field name 'X\\x01'",)),
    "a letter beyond ASCII in a name": (OK + b"X\xe9: a\r\n" + SHORT, ("field name 'X\\xe9'",)),
    "a minor version that does not exist": (b"HTTP/1.2 200 OK\r\n" + SHORT, ("HTTP/1.2 in the status line",)),
    "HTTP/2.0 in a status line": (b"HTTP/2.0 200 OK\r\n" + SHORT, ("HTTP/2.0 in the status line",)),
    "HTTP/2 in a status line": (b"HTTP/2 200 OK\r\n" + SHORT, ("HTTP/2 in the status line",)),
    "a status line in lower case": (b"http/1.1 200 ok\r\n" + SHORT, ("http instead of HTTP in the status line",)),
    "two spaces before the status": (b"HTTP/1.1  200 OK\r\n" + SHORT, ("extra whitespace in the status line",)),
    "a tab after the status": (b"HTTP/1.1 200\tOK\r\n" + SHORT, ("extra whitespace in the status line",)),
    "chunks in HTTP/1.0": (
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        ("chunked, in HTTP/1.0",),
    ),
    "chunks with bare line feeds": (CHUNKED + b"2\nhi\n0\n\n", ("bare LF",)),
    "a bare line feed after the size of a chunk": (CHUNKED + b"2\nhi\r\n0\r\n\r\n", ("bare LF",)),
    "a bare line feed after the last chunk": (CHUNKED + b"2\r\nhi\r\n0\n\r\n", ("bare LF",)),
    "spaces after the sizes of chunks": (
        CHUNKED + b"2  \r\nhi\r\n0 \r\n\r\n",
        ("whitespace after a chunk size",),
    ),
    "a tab after the size of a chunk": (CHUNKED + b"2\t\r\nhi\r\n0\r\n\r\n", ("whitespace after a chunk size",)),
    "a space in the extension of a chunk": (CHUNKED + b"2; a=b\r\nhi\r\n0\r\n\r\n", ("chunk extension '; a=b'",)),
    "a chunk extension that is none": (CHUNKED + b"2;@(:\r\nhi\r\n0\r\n\r\n", ("chunk extension ';@(:'",)),
    "a folded trailer": (CHUNKED + b"2\r\nhi\r\n0\r\nX: a\r\n b\r\n\r\n", ("folded value in X",)),
    "a control character in a trailer": (CHUNKED + b"2\r\nhi\r\n0\r\nX: a\x01\r\n\r\n", ("control character in X",)),
    "a space before the colon of a trailer": (
        CHUNKED + b"2\r\nhi\r\n0\r\nX : a\r\n\r\n",
        ("whitespace before the colon of X",),
    ),
    "an informational response that closes": (
        b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + OK + SHORT,
        ("Connection: close in an informational response",),
    ),
    "an informational response with bare line feeds": (b"HTTP/1.1 100 Continue\n\n" + OK + SHORT, ("bare LF",)),
    "a folded header in an informational response": (
        b"HTTP/1.1 103 Early\r\nLink: a\r\n b\r\n\r\n" + OK + SHORT,
        ("folded value in Link",),
    ),
}
"""Taken by others and here, and what is odd about each; the body is `hi`."""

REFUSED: dict[str, tuple[bytes, str]] = {
    "gzip as transfer coding": (
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "the transfer coding 'gzip, chunked' is not chunked",
    ),
    "chunked not as the last coding": (
        OK + b"Transfer-Encoding: chunked, gzip\r\n\r\nhi",
        "the transfer coding 'chunked, gzip' is not chunked",
    ),
    "chunked twice": (
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "the transfer coding 'chunked, chunked' is not chunked",
    ),
    "a disguise of chunked": (
        OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "the transfer coding 'xchunked' is not chunked",
    ),
    "the status 000": (
        b"HTTP/1.1 000 OK\r\n" + SHORT,
        "the response has the status 000, which does not exist",
    ),
    "an unasked switch of protocols": (
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\x00",
        "the server switched protocols without having been asked to",
    ),
    "another protocol": (
        b"SSH-2.0-OpenSSH_9.2\r\n",
        "the response does not begin with HTTP/1.1 but with b'SSH-2.0-OpenSSH_9.2\\r\\n'",
    ),
    "a relative of HTTP": (
        b"RTSP/1.0 200 OK\r\n\r\n",
        "the response does not begin with HTTP/1.1 but with b'RTSP/1.0 200 OK\\r\\n\\r\\n'",
    ),
    "HTTP/0.9": (b"<p>hello", "the response does not begin with HTTP/1.1 but with b'<p>hello'"),
    "an absurd status line": (
        "HTTP/9.9 999 é\r\n\r\n".encode("latin-1"),
        "the response does not begin with HTTP/1.1 but with b'HTTP/9.9 999 \\xe9\\r\\n\\r\\n'",
    ),
    "an empty line first": (
        b"\r\nHTTP/1.1 200 OK\r\n",
        "the response does not begin with HTTP/1.1 but with b'\\r\\nHTTP/1.1 200 OK\\r\\n'",
    ),
    "an end before the body's": (
        OK + b"Content-Length: 10\r\n\r\nhi",
        "the server closed the connection after 2 of 10 bytes of the body, before its end",
    ),
    "an end before the last chunk": (
        chunked(b"hi", end=b""),
        "the server closed the connection after 2 bytes of the body, before its end",
    ),
    "an end within the head": (OK + b"X: a", "the server closed the connection within the response's head"),
    "an end after an informational response": (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        "the server closed the connection within the response's head",
    ),
}
"""Refused for another reason than their grammar, with what is said about it."""

UNUSUAL: dict[str, tuple[bytes, tuple[int, str, bytes]]] = {
    "blanks around a length": (OK + b"Content-Length: \t2 \t\r\n\r\nhi", (200, "1.1", b"hi")),
    "blanks around a transfer coding": (OK + b"Transfer-Encoding:  chunked \r\n\r\n" + CHUNKS, (200, "1.1", b"hi")),
    "blanks at the end of the status line": (b"HTTP/1.1 200 OK  \r\n" + SHORT, (200, "1.1", b"hi")),
    "no blank after a colon": (OK + b"X:a\r\n" + SHORT, (200, "1.1", b"hi")),
    "a status beyond 599": (b"HTTP/1.1 999 Denied\r\n" + SHORT, (999, "1.1", b"hi")),
    "no reason phrase": (b"HTTP/1.1 200\r\n" + SHORT, (200, "1.1", b"hi")),
    "a reason phrase of any bytes": (b"HTTP/1.1 200 \xe9\x00\xff\r\n" + SHORT, (200, "1.1", b"hi")),
    "HTTP/1.0 with a length": (b"HTTP/1.0 200 OK\r\n" + SHORT, (200, "1.0", b"hi")),
    "a body until the end": (OK + b"\r\nhello", (200, "1.1", b"hello")),
    "an empty body until the end": (OK + b"\r\n", (200, "1.1", b"")),
    "chunks with extensions and trailers": (
        CHUNKED + b"2;a=b\r\nhi\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
        (200, "1.1", b"hi!"),
    ),
    "more than was announced": (OK + SHORT + b"HTTP/1.1 500 No\r\n\r\n", (200, "1.1", b"hi")),
    "more than was announced, at the end of a connection": (
        OK + b"Connection: close\r\n" + SHORT + b"junk",
        (200, "1.1", b"hi"),
    ),
    "informational responses first": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK + SHORT,
        (200, "1.1", b"hi"),
    ),
    "a quoted chunk extension": (CHUNKED + b'2;a="b \\" c";d\r\nhi\r\n0\r\n\r\n', (200, "1.1", b"hi")),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", (204, "1.1", b"")),
    "304 with the length of what was not sent": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        (304, "1.1", b""),
    ),
    "an offer to switch protocols": (
        OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\n" + SHORT,
        (200, "1.1", b"hi"),
    ),
    "an identity as content coding": (OK + b"Content-Encoding: identity\r\n" + SHORT, (200, "1.1", b"hi")),
}
"""Unusual, and well-formed all the same."""

HTTP2_ODD: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "blanks before a value": (head(fields=[("x", " a")]) + data(b"hi"), ("whitespace around the value of x",)),
    "blanks after a value": (
        head(fields=[("location", "/final  ")]) + data(b"hi"),
        ("whitespace around the value of location",),
    ),
    "tabs around a value": (head(fields=[("x", "\ta\t")]) + data(b"hi"), ("whitespace around the value of x",)),
    "nothing but a blank": (head(fields=[("x", " ")]) + data(b"hi"), ("whitespace around the value of x",)),
    "a blank after a length": (
        head(fields=[("content-length", "2 ")]) + data(b"hi"),
        ("whitespace around the value of content-length",),
    ),
    "a blank in an informational response": (
        head("103", [("link", " a")]) + head() + data(b"hi"),
        ("whitespace around the value of link",),
    ),
    "a blank in the trailers": (
        head() + data(b"hi", end=False) + trailers([("x", "a ")]),
        ("whitespace around the value of x",),
    ),
}
"""The same over HTTP/2."""

HTTP2_MALFORMED: dict[str, bytes] = {
    "a blank around the status": head("200 ") + data(b"hi"),
    "a name in upper case": head(fields=[("X", "a")]) + data(b"hi"),
    "a blank after a name": head(fields=[("x ", "a")]) + data(b"hi"),
    "a line break in a value": head(fields=[("x", "a\r\n b")]) + data(b"hi"),
    "a NUL in a value": head(fields=[("x", "a\0b")]) + data(b"hi"),
    "a length that is not the body's": head(fields=[("content-length", "3")]) + data(b"hi"),
    "a pseudo-header field that does not exist": head(fields=[(":x", "a")]) + data(b"hi"),
    "a status of four digits": head("2000") + data(b"hi"),
}
"""Refused over HTTP/2, by others too."""

CLOSINGS: dict[str, tuple[bytes, str]] = {
    "a body until the end": (OK + b"\r\nhi", "refused"),
    "an empty body until the end": (OK + b"\r\n", "refused"),
    "a body until the end in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhi", "refused"),
    "a body of known length": (OK + SHORT, "taken"),
    "a body in chunks": (CHUNKED + CHUNKS, "taken"),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", "taken"),
}
"""Sent over TLS, and what is to be made of them where no close_notify ends it (RFC 9112 section 9.8)."""
