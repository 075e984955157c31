"""Provides the event loop that batches run on, and replaces it when it has died or stays blocked.

A check type can stop the loop, cancel the portal or block it. A leased portal stays in its provider even then, so that
every later use would fail: it is therefore abandoned, and a new provider replaces it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from anyio.from_thread import BlockingPortalProvider

from exporter.runner.watch import culprit_text, find_blocker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.model import Batch
    from exporter.runner.pacing import Pulse
    from exporter.runner.stuck import Leftovers
    from exporter.runner.watch import Blocker

logger = logging.getLogger(__name__)

BLOCKED_LIMIT_SECONDS = 30.0
"""A loop that has not answered for this long is replaced; most calls that block it end sooner."""

_ANSWERS_WITHIN_SECONDS = 1.0
_SURELY_ANSWERS_WITHIN_SECONDS = 0.2
_RELEASE_LIMIT_SECONDS = 0.3
_MOST_BLOCKED_LOOPS = 4
"""Each replaced loop leaves a thread that never ends. Beyond this number `/-/healthy` keeps failing, so that a
supervisor can restart the exporter."""


class Work(Protocol):
    """Work that runs on a loop."""

    pulse: Pulse
    leftovers: Leftovers

    async def run(self) -> Batch:
        """Do the work and return its report."""


class LoopCall:
    """Work that runs on a loop while the thread that requested it waits.

    Attributes:
        work: The work.
        outcome: Its report; fails with CancelledError or RuntimeError when the loop died.
        provider: The provider of its loop.
        closed: Set when the lease of the loop has been returned.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.outcome: Future[Batch] = Future()
        self.provider: BlockingPortalProvider | None = None
        self.closed = threading.Event()


class Loops:
    """The event loop of a runner; lives as long as the runner, shared by threads.

    Attributes:
        replaced: Number of loops given up so far.
    """

    def __init__(
        self,
        provider: BlockingPortalProvider,
        on_abandoned: Callable[[Blocker, asyncio.AbstractEventLoop], object],
        blocked_limit_seconds: float = BLOCKED_LIMIT_SECONDS,
    ) -> None:
        """Use a provider's loop.

        Args:
            provider: Provides the loop; replacements get the same backend and options.
            on_abandoned: Called with the check that blocks a loop, and the loop, when the loop is given up.
            blocked_limit_seconds: How long a loop may go without answering before it is given up.
        """
        self.replaced = 0
        self._provider = provider
        self._on_abandoned = on_abandoned
        self._blocked_limit_seconds = blocked_limit_seconds
        self._lock = threading.RLock()
        self._is_held = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0
        self._silent_since: float | None = None
        self._blocked_loops = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop used last; None before the first use."""
        return self._loop

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a lease of the loop, so that it stays running; leaving waits only briefly for tasks that hang."""
        with self._lock:
            self._is_held = True
            self._open()
        try:
            yield
        finally:
            with self._lock:
                self._is_held = False
                provider = self._provider
            _release(provider).join(_RELEASE_LIMIT_SECONDS)

    def start(self, work: Work) -> LoopCall:
        """Run the work on the loop from a separate thread, because even submitting work to a loop waits for it."""
        if self._silent_since is not None:
            self._replace_blocked()
        call = LoopCall(work)
        threading.Thread(target=self._run, args=(call,), name="nyxmon-batch", daemon=True).start()
        return call

    def trouble(self) -> str:
        """Return why nothing can run right now; empty when the loop answers. Takes up to a second if it does not."""
        loop, provider = self._loop, self._provider
        if loop is None:
            return ""
        asked = perf_counter()
        if self._answers(loop, _ANSWERS_WITHIN_SECONDS):
            self._silent_since = None
            return ""
        if loop.is_closed():
            if not self._is_held:
                return "the event loop that runs the checks has ended"
            self._replace(provider)
            return ""
        if self._silent_since is None:
            self._silent_since = asked
        self._replace_blocked()
        if self._loop is not loop:
            return ""
        culprit = culprit_text(find_blocker(self._thread_id))
        silent_seconds = perf_counter() - self._silent_since
        return f"the event loop that runs the checks has not answered for {silent_seconds:.0f} s{culprit}"

    def silent(self, call: LoopCall) -> None:
        """Record that the loop did not answer in time; it counts as blocked until the work has ended."""
        pulse = call.work.pulse
        with self._lock:
            if call.provider is not self._provider:
                return
            if pulse.loop is not None:
                self._loop, self._thread_id = pulse.loop, pulse.thread_id
            if self._silent_since is None:
                self._silent_since = pulse.last_beat
        call.outcome.add_done_callback(lambda _: self._forget_silence(call))

    def died(self, call: LoopCall) -> None:
        """Replace the loop, which died while running the work."""
        if call.provider is not None:
            self._replace(call.provider)

    def _forget_silence(self, call: LoopCall) -> None:
        with self._lock:
            if call.provider is self._provider:
                self._silent_since = None

    def _run(self, call: LoopCall) -> None:
        """Run the work, holding a lease of the loop until the work and the tasks it left behind have ended."""
        pulse = call.work.pulse
        try:
            try:
                self._run_on(self._provider, call)
            except (RuntimeError, CancelledError):
                if pulse.loop is not None or call.provider is None:
                    raise
                # The portal had ended before the work could begin: run it on a new one.
                self._run_on(self._replace(call.provider), call)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            if not call.outcome.done():
                call.outcome.set_exception(error)
        finally:
            call.closed.set()

    def _run_on(self, provider: BlockingPortalProvider, call: LoopCall) -> None:
        call.provider = provider
        portal = provider.__enter__()
        try:
            batch = portal.call(call.work.run)
        except BaseException:
            # Leaving a loop that is ending may wait without limit for tasks that ignore cancellation.
            _release(provider)
            raise
        call.outcome.set_result(batch)
        call.work.leftovers.wait()
        provider.__exit__(None, None, None)

    def _open(self) -> None:
        portal = self._provider.__enter__()
        self._loop, self._thread_id = portal.call(asyncio.get_running_loop), portal.call(threading.get_ident)

    def _replace(self, provider: BlockingPortalProvider) -> BlockingPortalProvider:
        """Replace a provider whose loop is unusable, unless another thread already has; return the current one."""
        with self._lock:
            if provider is self._provider:
                self.replaced += 1
                self._silent_since = None
                self._provider = BlockingPortalProvider(provider.backend, provider.backend_options)
                logger.error("the event loop that runs the checks is given up; a new one takes its place")
                if self._is_held:
                    self._open()
                    _release(provider)
            return self._provider

    def _replace_blocked(self) -> None:
        """Give up a loop that has been blocked for too long, and replace it."""
        with self._lock:
            loop, since = self._loop, self._silent_since
            if loop is None or since is None or perf_counter() - since < self._blocked_limit_seconds:
                return
            if self._blocked_loops >= _MOST_BLOCKED_LOOPS or self._answers(loop, _SURELY_ANSWERS_WITHIN_SECONDS):
                return
            blocker = find_blocker(self._thread_id)
            with suppress(RuntimeError):  # the loop has just ended
                self._blocked_loops += 1
                loop.call_soon_threadsafe(self._freed)
                if blocker is not None:
                    self._on_abandoned(blocker, loop)
            self._replace(self._provider)

    def _freed(self) -> None:
        with self._lock:
            self._blocked_loops -= 1

    def _answers(self, loop: asyncio.AbstractEventLoop, limit_seconds: float) -> bool:
        answered = threading.Event()
        try:
            # Not through the portal, which waits for the loop without limit even to submit work.
            loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # the loop has ended
            return False
        return answered.wait(limit_seconds)


def _release(provider: BlockingPortalProvider) -> threading.Thread:
    """Return a lease in a separate thread, because that may wait for the loop, perhaps for ever."""
    thread = threading.Thread(target=provider.__exit__, args=(None, None, None), name="nyxmon-release", daemon=True)
    thread.start()
    return thread
