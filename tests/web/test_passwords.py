"""Passwords: right and wrong ones, unknown users, the cache, and the limit of waiting clients."""

from __future__ import annotations

import threading

import anyio
import bcrypt
import pytest

from exporter.web import passwords as module
from exporter.web.passwords import (
    MOST_REMEMBERED,
    MOST_WAITING,
    MOST_WAITING_PER_CLIENT,
    Credentials,
    Passwords,
    TooManyWaitingError,
)

CLIENT = "192.0.2.1"


def hash_of(password: bytes, cost: int = 4) -> str:
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(cost)).decode()


@pytest.fixture
def passwords() -> Passwords:
    return Passwords({"alice": hash_of(b"secret"), "Jürgen": hash_of("größer".encode())})


@pytest.mark.parametrize(
    ("user", "password", "is_right"),
    [
        ("alice", "secret", True),
        ("Jürgen", "größer", True),
        ("alice", "größer", False),
        ("alice", "", False),
        ("alice", "secret\0", False),
        ("ALICE", "secret", False),
        ("bob", "secret", False),
        ("", "", False),
    ],
)
async def test_a_password_is_right_for_its_user_alone(
    passwords: Passwords, user: str, password: str, is_right: bool
) -> None:
    """Only a right password is remembered."""
    credentials = Credentials(user.encode(), password.encode())
    assert await passwords.check(credentials, CLIENT) is is_right
    assert passwords.remembers(credentials) is is_right


@pytest.mark.parametrize("version", ["2", "2a", "2b", "2y"])
async def test_each_version_of_a_hash_is_understood(version: str) -> None:
    """Programs write different versions for the same algorithm."""
    passwords = Passwords({"alice": hash_of(b"secret").replace("$2b$", f"${version}$")})
    assert await passwords.check(Credentials(b"alice", b"secret"), CLIENT)


@pytest.mark.parametrize(("length", "is_right"), [(71, False), (72, True), (73, True), (5000, True)])
async def test_bcrypt_looks_at_72_bytes_of_a_password(length: int, is_right: bool) -> None:
    """Longer passwords were also cut when their hash was made."""
    passwords = Passwords({"alice": hash_of(b"x" * 100)})
    assert await passwords.check(Credentials(b"alice", b"x" * length), CLIENT) is is_right


async def test_without_users_every_password_is_rejected() -> None:
    """A hash is still computed."""
    assert not await Passwords({}).check(Credentials(b"alice", b"secret"), CLIENT)


def test_an_unknown_user_costs_as_much_as_some_known_one() -> None:
    """The name alone decides which one, so a repeated attempt reveals no more than the first one."""
    passwords = Passwords({"alice": hash_of(b"secret", 4), "bob": hash_of(b"secret", 5)})
    names = [str(number).encode() for number in range(100)]
    hashes = [passwords._hash_of_nobody(name) for name in names]
    assert {value[:7] for value in hashes} == {"$2b$04$", "$2b$05$"}
    assert hashes == [passwords._hash_of_nobody(name) for name in names]


async def test_a_remembered_password_needs_no_hash(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is accepted at once, however many others wait."""
    credentials = Credentials(b"alice", b"secret")
    assert await passwords.check(credentials, CLIENT)
    monkeypatch.setattr(module, "_is_equal", None)
    assert await passwords.check(credentials, CLIENT)


async def test_only_so_many_are_remembered() -> None:
    """The one that was not used for the longest time is forgotten."""
    password_hash = hash_of(b"secret")
    passwords = Passwords({str(number): password_hash for number in range(MOST_REMEMBERED + 1)})
    everybody = [Credentials(str(number).encode(), b"secret") for number in range(MOST_REMEMBERED + 1)]
    for credentials in everybody[:-1]:
        await passwords.check(credentials, CLIENT)
    assert passwords.remembers(everybody[0])
    await passwords.check(everybody[-1], CLIENT)
    assert [passwords.remembers(one) for one in (everybody[0], everybody[1], everybody[-1])] == [True, False, True]


def test_the_remembered_form_reveals_nothing_about_a_password() -> None:
    """It does not even reveal whether the password is the same as in another process."""
    users = {"alice": hash_of(b"secret")}
    credentials = Credentials(b"alice", b"secret")
    digests = [Passwords(users)._digest(credentials) for _ in range(2)]
    assert digests[0] != digests[1]


class Slow:
    """Replaces the hash function; takes as long as the test wants, and counts calls."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.at_once = self.most_at_once = self.calls = 0

    def __call__(self, password: bytes, password_hash: str) -> bool:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.release.wait(20)
        self.at_once -= 1
        return password == b"secret"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(module, "_is_equal", made)
    return made


async def test_a_flood_of_wrong_passwords_keeps_no_other_client_out(passwords: Passwords, slow: Slow) -> None:
    """A client has few places, so another one is served after them; hashes are computed one at a time."""
    refused: list[str] = []
    outcomes: dict[str, bool] = {}

    async def attempt(name: str, credentials: Credentials, client: str) -> None:
        try:
            outcomes[name] = await passwords.check(credentials, client)
        except TooManyWaitingError:
            refused.append(name)

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(attempt, f"wrong {number}", Credentials(b"alice", b"%d" % number), f"2001:db8::{number}")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(attempt, "right", Credentials(b"alice", b"secret"), CLIENT)
        await anyio.wait_all_tasks_blocked()
        slow.release.set()
    assert outcomes == {"wrong 0": False, "wrong 1": False, "right": True}
    assert len(refused) == 100 - MOST_WAITING_PER_CLIENT
    assert slow.most_at_once == 1


async def test_requests_with_the_same_password_share_a_hash(passwords: Passwords, slow: Slow) -> None:
    """Hundreds of scrapes right after a start wait for one hash; a request that is cancelled ends no other."""
    outcomes: list[bool] = []

    async def attempt() -> None:
        outcomes.append(await passwords.check(Credentials(b"alice", b"secret"), CLIENT))

    async with anyio.create_task_group() as tasks, anyio.create_task_group() as cancelled:
        cancelled.start_soon(attempt)
        await anyio.wait_all_tasks_blocked()
        for _ in range(200):
            tasks.start_soon(attempt)
        await anyio.wait_all_tasks_blocked()
        cancelled.cancel_scope.cancel()
        slow.release.set()
    assert (outcomes, slow.calls) == ([True] * 200, 1)


async def test_only_so_many_clients_may_wait(passwords: Passwords, slow: Slow) -> None:
    """The next client is rejected; afterwards, there is room again."""
    async with anyio.create_task_group() as tasks:
        for number in range(MOST_WAITING):
            tasks.start_soon(passwords.check, Credentials(b"bob", b"%d" % number), f"192.0.2.{number}")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(TooManyWaitingError):
            await passwords.check(Credentials(b"alice", b"secret"), "198.51.100.1")
        slow.release.set()
    assert await passwords.check(Credentials(b"alice", b"secret"), "198.51.100.1")
