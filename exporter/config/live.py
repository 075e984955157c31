"""The configuration in force: replaced as a whole when a new one loads, kept when it does not."""

from __future__ import annotations

import errno
import gc
import hashlib
import logging
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from exporter.config.files import MAX_TARGET_FILE_BYTES
from exporter.errors import ConfigError, ConfigProblem
from exporter.masking import Masks
from exporter.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from exporter.config.load import Config

T = TypeVar("T")

logger = logging.getLogger(__name__)

_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))

_PATIENCE_SECONDS = 30.0
"""How long files are waited for before they count as out of reach; ten thousand checks are read in seconds."""


class _Loaded(NamedTuple):
    """What came of a load, and the digests of the files that this depends on."""

    outcome: Config | Exception
    digests: dict[Path, bytes]


class LiveConfig:
    """Holds the configuration in force; lives for the process, shared by threads.

    Whoever takes `current` keeps a whole, immutable configuration, whatever is loaded meanwhile.

    Attributes:
        masks: The mask over the secrets of this configuration and of earlier ones.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        initial: Config,
        masks: Masks | None = None,
        *,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        """Put a first configuration in force.

        Args:
            load: Loads the configuration anew; raises ConfigError when it is refused.
            initial: What is in force until then.
            masks: Learns the secrets of each configuration before it is in force.
            patience_seconds: How long its files are waited for.
        """
        self.masks = masks if masks is not None else Masks()
        self._load = load
        self._patience_seconds = patience_seconds
        self._reloading = threading.Lock()
        self._blocked: threading.Thread | None = None
        self._at: Path | None = None
        self._take(initial)
        self._digests = self._digest_all(initial.files)

    @property
    def current(self) -> Config:
        """The configuration in force."""
        return self._current

    @property
    def last_reload_successful(self) -> bool:
        """Whether the last attempt to load the configuration succeeded."""
        return self._successful

    @property
    def last_reload_success_timestamp_seconds(self) -> float:
        """Unix time at which the configuration in force was loaded."""
        return self._success_timestamp_seconds

    def reload(self) -> None:
        """Load the configuration anew and put it in force.

        Raises:
            ConfigError: When it is refused, or a file system does not answer; the old one stays in force.
        """
        with self._reloading:
            self._take_or_refuse(self._in_time(self._load_anew))

    def reload_if_changed(self) -> bool:
        """Reload when any file of the configuration, or of the one refused last, is not what it was; tell whether.

        A refused configuration is tried again only after a further change, and one that could not be read only when
        its file system answers again.

        Raises:
            ConfigError: When it is refused; the old one stays in force.
        """
        with self._reloading:
            if self._is_blocked():
                return False
            loaded = self._in_time(self._load_if_changed)
            if loaded is None:
                return False
            self._take_or_refuse(loaded)
            return True

    def _load_if_changed(self) -> _Loaded | None:
        try:
            is_unchanged = self._digest_all(self._digests) == self._digests
        except OSError:  # files have run short; the next look tells more
            return None
        return None if is_unchanged else self._load_anew()

    def _load_anew(self) -> _Loaded:
        """Load, and digest what the outcome depends on; where a digest was taken before, it counts.

        So no change slips in between.
        """
        before = self._digest_all(self._digests)
        outcome: Config | Exception
        files = self._current.files
        try:
            outcome = config = self._load()
            files = config.files
        except ConfigError as error:
            outcome = error
            files += error.files
        except Exception as error:  # noqa: BLE001 - raised again, and not tried again before a change
            outcome = error
        return _Loaded(outcome, {file: before.get(file, digest) for file, digest in self._digest_all(files).items()})

    def _take_or_refuse(self, loaded: _Loaded) -> None:
        """Put in force what was loaded, and log what came of it, whoever asked."""
        self._digests = loaded.digests
        if isinstance(loaded.outcome, Exception):
            self._successful = False
            _log_refusal(loaded.outcome)
            raise loaded.outcome
        self._take(loaded.outcome)
        logger.info("configuration loaded from %s: %d checks", self._current.file, len(self._current.checks))
        self.log_warnings()

    def log_warnings(self) -> None:
        """Log what the configuration in force allows and probably does not mean."""
        for warning in self._current.warnings:
            logger.warning("%s", warning)

    def _take(self, config: Config) -> None:
        self.masks.learn(config.secrets)
        self._current = config
        self._successful = True
        self._success_timestamp_seconds = time.time()

    def _in_time(self, work: Callable[[], T]) -> T:
        """Do what reads files, in a thread that is left behind when they do not answer, and not repeated meanwhile.

        Raises:
            ConfigError: When they do not answer.
        """
        if self._is_blocked():
            raise self._unanswered()
        outcome: Future[T] = Future()

        def read() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
                outcome.set_exception(error)

        thread = threading.Thread(target=read, name="nyxmon-config", daemon=True)
        thread.start()
        try:
            return outcome.result(self._patience_seconds)
        except TimeoutError:
            if outcome.done():
                raise
            self._blocked = thread
            self._successful = False
            gc.enable()  # it may be paused for as long as the load takes
            unanswered = self._unanswered()
            _log_refusal(unanswered)
            raise unanswered from None

    def _is_blocked(self) -> bool:
        return self._blocked is not None and self._blocked.is_alive()

    def _unanswered(self) -> ConfigError:
        message = f"could not be read within {self._patience_seconds:g} s; its file system does not answer"
        return ConfigError([ConfigProblem(str(self._at or self._current.file), 0, 0, "", message)])

    def _digest_all(self, files: Iterable[Path]) -> dict[Path, bytes]:
        digests = {}
        for self._at in files:
            digests[self._at] = _digest(self._at)
        self._at = None
        return digests


def _log_refusal(error: Exception) -> None:
    if isinstance(error, ConfigError):
        for problem in error.problems:
            logger.error("the old configuration stays: %s", problem)
    else:
        logger.error("the old configuration stays: loading the new one failed", exc_info=error)


def _digest(file: Path) -> bytes:
    """Digest the content of a file or the names in a directory; what cannot be read counts as such.

    Content, not times: Kubernetes swaps the links of a ConfigMap without touching what they lead to.

    Raises:
        OSError: When the process or the system has no file to spare, which says nothing about this one.
    """
    try:
        if file.is_dir():
            names = sorted(entry.name for entry in file.iterdir())
            return hashlib.sha256("\0".join(names).encode("utf-8", "replace")).digest()
        return hashlib.sha256(read_regular(file, MAX_TARGET_FILE_BYTES)).digest()
    except FileNotFoundError:
        return b"absent"
    except OSError as error:
        if error.errno in _SHORTAGES:
            raise
        return b"%d" % (error.errno or 0)
    except ValueError:
        return b"irregular"
