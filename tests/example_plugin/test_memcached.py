"""How the package could test its check type: against a peer that answers as memcached does, without the exporter."""

from __future__ import annotations

import socket
import threading

from nyxmon_memcached import ITEMS_METRIC, MEMCACHED

from exporter import run_check
from exporter.plugin import Check, Reason, Result, ResultStatus


def answer_once(listener: socket.socket, answers: bytes) -> None:
    """Send the answers to the first connection, and read until it is closed."""
    connection, _ = listener.accept()
    with connection:
        connection.sendall(answers)
        while connection.recv(4096):
            pass


def ask(answers: bytes) -> Result:
    """Return the result of a check of a server with these answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_once, args=(listener, answers))
        thread.start()
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        result = run_check(Check(name="cache", check_type="memcached", target=target), MEMCACHED)
        thread.join()
    return result


def test_items_are_counted() -> None:
    """A healthy server's number of items is measured."""
    result = ask(b"VERSION 1.6.40\r\nSTAT curr_items 12\r\nEND\r\n")
    assert (result.status, result.reason) == (ResultStatus.OK, None)
    assert [value for spec, value, _ in result.measurements if spec is ITEMS_METRIC] == [12]


def test_garbage_is_a_fault_of_the_protocol() -> None:
    """A server of another kind fails the check with the reason `protocol`."""
    assert ask(b"220 mail.example ESMTP\r\n").reason is Reason.PROTOCOL
