"""Handing results to the synchronous side: each exactly once, whoever comes first.

Usually a worker thread of the loop hands over. When the loop itself has stopped answering, the thread that asked for
the batch closes the delivery and hands over substitutes for what is missing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.model import Check, Result

    NumberedResult = tuple[int, Result]


class Delivery:
    """Exactly-once handing over of the results of one batch; shared by the calling thread and a worker thread.

    Results are known by the position of their check, so that two checks of one name do not hide each other.

    Attributes:
        error: What `result_received` raised; None when it has not.
    """

    def __init__(self, checks: Sequence[Check], result_received: Callable[[Result], object]) -> None:
        self._checks = checks
        self._result_received = result_received
        self._missing = set(range(len(checks)))
        self._answered: dict[int, Result] = {}
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def note(self, position: int, result: Result) -> None:
        """Remember a result that is on its way, so that `close` finds it when the way is blocked."""
        self._answered[position] = result

    def hand_over(self, numbered_results: Iterable[NumberedResult]) -> None:
        """Call `result_received` with each result whose check has none yet; what it raises is the caller's to know."""
        with self._lock:
            for position, result in numbered_results:
                if position in self._missing:
                    self._missing.remove(position)
                    self._receive(result)

    def close(self, substitute: Callable[[Check], Result]) -> int:
        """Hand over what is still missing; what comes later is dropped.

        Args:
            substitute: Makes the result of a check that has not answered.

        Returns:
            How many substitutes there were.
        """
        with self._lock:
            missing = sorted(self._missing)
            self._missing.clear()
            substitutes = 0
            for position in missing:
                result = self._answered.get(position)
                if result is None:
                    result = substitute(self._checks[position])
                    substitutes += 1
                self._receive(result)
            return substitutes

    def _receive(self, result: Result) -> None:
        try:
            self._result_received(result)
        except BaseException as error:
            self.error = error
            raise
