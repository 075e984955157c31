"""The configuration in force: replaced as a whole when a new one loads, kept when it does not."""

from __future__ import annotations

import gc
import logging
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol

from typing_extensions import TypeVar

from exporter.config.digests import digest_of
from exporter.errors import ConfigError, ConfigProblem
from exporter.masking import Masks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from exporter.config.load import Config

T = TypeVar("T")


class Loaded(Protocol):
    """A configuration that is loaded from files, such as `Config`."""

    @property
    def file(self) -> str:
        """The main file, as the user named it."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it depends on."""

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that must not be shown."""

    @property
    def warnings(self) -> tuple[ConfigProblem, ...]:
        """What is probably not intended."""

    @property
    def summary(self) -> str:
        """Its content in a few words, for the log."""


LoadedT = TypeVar("LoadedT", bound=Loaded, default="Config")

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 30.0
"""How long to wait for files before they count as unreachable; ten thousand checks are read in seconds."""


class _Outcome(NamedTuple, Generic[LoadedT]):
    """The configuration or the exception from a load, and the digests of the files that it depends on."""

    outcome: LoadedT | Exception
    digests: dict[Path, bytes]


class Refusal(NamedTuple):
    """Why a configuration was rejected: Unix time of the attempt, and one line per problem, with secrets unmasked."""

    timestamp_seconds: float
    problems: tuple[str, ...]


class LiveConfig(Generic[LoadedT]):
    """Holds the configuration in force; lives for the process, shared by threads.

    A caller of `current` keeps a complete, immutable configuration, even if another is loaded while it is in use.

    Attributes:
        masks: Masks the secrets of this configuration and of earlier ones; may be shared with other configurations.
    """

    def __init__(
        self,
        load: Callable[[], LoadedT],
        initial: LoadedT,
        masks: Masks | None = None,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        """Put a first configuration in force.

        Args:
            load: Loads the configuration again; raises ConfigError when it is rejected.
            initial: The configuration in force until the first reload.
            masks: Receives the secrets of each configuration before it comes into force.
            patience_seconds: How long to wait for its files.
        """
        self.masks = masks if masks is not None else Masks()
        self._load = load
        self._patience_seconds = patience_seconds
        self._reloading = threading.Lock()
        self._blocked: threading.Thread | None = None
        self._at: Path | None = None
        self._attached: LiveConfig[Any] | None = None
        self._subscribers: list[Callable[[LoadedT], object]] = []
        self._refusal: Refusal | None = None
        self._take(initial)
        self._digests = self._digest_all(initial.files)

    def subscribe(self, take_over: Callable[[LoadedT], object]) -> None:
        """Call a function with the configuration in force now, and with each later one before it comes into force.

        Calls never overlap. An error in a call rejects the configuration.
        """
        with self._reloading:
            take_over(self._current)
            self._subscribers.append(take_over)

    @property
    def current(self) -> LoadedT:
        """The configuration in force."""
        return self._current

    @property
    def last_reload_successful(self) -> bool:
        """Whether the last attempt to load the configuration succeeded."""
        return self.refusal is None

    @property
    def refusal(self) -> Refusal | None:
        """Why the last attempt to load the configuration failed; None when it succeeded."""
        return self._refusal or (None if self._attached is None else self._attached.refusal)

    @property
    def last_reload_success_timestamp_seconds(self) -> float:
        """Unix time at which the configuration in force was loaded."""
        own = self._success_timestamp_seconds
        return own if self._attached is None else max(own, self._attached.last_reload_success_timestamp_seconds)

    def attach(self, other: LiveConfig[Any]) -> None:
        """Reload another configuration together with this one; each stays in force when it is rejected itself."""
        self._attached = other

    def reload(self) -> None:
        """Reload the configuration and put it in force.

        Raises:
            ConfigError: When it is rejected, or a file system does not answer; the old one stays in force.
        """
        try:
            with self._reloading:
                self._take_or_refuse(self._in_time(self._load_again))
        finally:
            if self._attached is not None:
                self._attached.reload()

    def reload_if_changed(self) -> bool:
        """Reload if any file of the configuration, or of the last rejected one, has changed; return whether it has.

        A rejected configuration is retried only after another change, and one that could not be read only when
        its file system answers again.

        Raises:
            ConfigError: When it is rejected; the old one stays in force.
        """
        is_other_changed = False
        try:
            is_changed = self._reload_own_if_changed()
        finally:
            if self._attached is not None:
                is_other_changed = self._attached.reload_if_changed()
        return is_changed or is_other_changed

    def _reload_own_if_changed(self) -> bool:
        with self._reloading:
            if self._is_blocked():
                return False
            loaded = self._in_time(self._load_if_changed)
            if loaded is None:
                return False
            self._take_or_refuse(loaded)
            return True

    def _load_if_changed(self) -> _Outcome[LoadedT] | None:
        try:
            is_unchanged = self._digest_all(self._digests) == self._digests
        except OSError:  # out of file descriptors; the next look tries again
            return None
        return None if is_unchanged else self._load_again()

    def _load_again(self) -> _Outcome[LoadedT]:
        """Load, and digest the files that the outcome depends on; a digest taken before the load takes precedence.

        That way no change between the two goes unnoticed.
        """
        before = self._digest_all(self._digests)
        outcome: LoadedT | Exception
        files = self._current.files
        try:
            outcome = config = self._load()
            files = config.files
        except ConfigError as error:
            outcome = error
            files += error.files
        except Exception as error:  # noqa: BLE001 - raised again, and not retried before a change
            outcome = error
        return _Outcome(outcome, {file: before.get(file, digest) for file, digest in self._digest_all(files).items()})

    def _take_or_refuse(self, loaded: _Outcome[LoadedT]) -> None:
        """Put the loaded configuration in force or reject it, and log the outcome, whatever caused the reload."""
        self._digests = loaded.digests
        if isinstance(loaded.outcome, Exception):
            self._refuse(loaded.outcome)
            raise loaded.outcome
        try:
            self._take(loaded.outcome)
        except Exception as error:
            self._refuse(error)
            raise
        logger.info("configuration loaded from %s: %s", self._current.file, self._current.summary)
        self._log_own_warnings()

    def _refuse(self, error: Exception) -> None:
        problems = map(str, error.problems) if isinstance(error, ConfigError) else (f"loading it failed: {error!r}",)
        self._refusal = Refusal(time.time(), tuple(problems))
        _log_refusal(error)

    def log_warnings(self) -> None:
        """Log the warnings of what is in force."""
        self._log_own_warnings()
        if self._attached is not None:
            self._attached.log_warnings()

    def _log_own_warnings(self) -> None:
        for warning in self._current.warnings:
            logger.warning("%s", warning)

    def _take(self, config: LoadedT) -> None:
        self.masks.learn(config.secrets, owner=self)
        for take_over in self._subscribers:
            take_over(config)
        self._current = config
        self._refusal = None
        self._success_timestamp_seconds = time.time()

    def _in_time(self, work: Callable[[], T]) -> T:
        """Run work that reads files in a thread that is abandoned, and not started again, when they do not answer.

        Raises:
            ConfigError: When they do not answer.
        """
        if self._is_blocked():
            raise self._unanswered()
        outcome: Future[T] = Future()

        def read() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
                outcome.set_exception(error)

        thread = threading.Thread(target=read, name="nyxmon-config", daemon=True)
        thread.start()
        try:
            return outcome.result(self._patience_seconds)
        except TimeoutError:
            if outcome.done():
                raise
            self._blocked = thread
            gc.enable()  # it may have been paused for the load
            unanswered = self._unanswered()
            self._refuse(unanswered)
            raise unanswered from None

    def _is_blocked(self) -> bool:
        return self._blocked is not None and self._blocked.is_alive()

    def _unanswered(self) -> ConfigError:
        message = f"could not be read within {self._patience_seconds:g} s; its file system does not answer"
        return ConfigError([ConfigProblem(str(self._at or self._current.file), 0, 0, "", message)])

    def _digest_all(self, files: Iterable[Path]) -> dict[Path, bytes]:
        digests = {}
        for self._at in files:
            digests[self._at] = digest_of(self._at)
        self._at = None
        return digests


def _log_refusal(error: Exception) -> None:
    if isinstance(error, ConfigError):
        for problem in error.problems:
            logger.error("the old configuration stays: %s", problem)
    else:
        logger.error("the old configuration stays: loading the new one failed", exc_info=error)
