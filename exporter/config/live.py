"""The configuration in force: replaced as a whole when a new one loads, kept when it does not."""

from __future__ import annotations

import errno
import hashlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from exporter.config.files import MAX_TARGET_FILE_BYTES
from exporter.errors import ConfigError
from exporter.masking import Masks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from exporter.config.load import Config

logger = logging.getLogger(__name__)

_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))


class LiveConfig:
    """Holds the configuration in force; lives for the process, shared by threads.

    Whoever takes `current` keeps a whole, immutable configuration, whatever is loaded meanwhile.

    Attributes:
        masks: The mask over the secrets of this configuration and of earlier ones.
    """

    def __init__(self, load: Callable[[], Config], initial: Config, masks: Masks | None = None) -> None:
        """Put a first configuration in force.

        Args:
            load: Loads the configuration anew; raises ConfigError when it is refused.
            initial: What is in force until then.
            masks: Learns the secrets of each configuration before it is in force.
        """
        self.masks = masks if masks is not None else Masks()
        self._load = load
        self._reloading = threading.Lock()
        self._digests: dict[Path, bytes] = {}
        self._take(initial, {})

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
            ConfigError: When it is refused; the old one stays in force.
        """
        with self._reloading:
            self._reload()

    def reload_if_changed(self) -> bool:
        """Reload when any file of the configuration, or of the one refused last, is not what it was; tell whether.

        A refused configuration is tried again only after a further change.

        Raises:
            ConfigError: When it is refused; the old one stays in force.
        """
        with self._reloading:
            try:
                is_unchanged = _digests(self._digests) == self._digests
            except OSError:  # files have run short; the next look tells more
                return False
            if is_unchanged:
                return False
            self._reload()
            return True

    def _reload(self) -> None:
        """Load and log what came of it, whoever asked."""
        before = _digests(self._digests)
        self._successful = False
        try:
            config = self._load()
        except ConfigError as error:
            self._watch((*self._current.files, *error.files), before)
            for problem in error.problems:
                logger.error("the old configuration stays: %s", problem)  # noqa: TRY400 - the problem says it all
            raise
        except Exception:
            self._watch(self._current.files, before)
            logger.exception("the old configuration stays: loading the new one failed")
            raise
        self._take(config, before)
        logger.info("configuration loaded from %s: %d checks", config.file, len(config.checks))
        self.log_warnings()

    def log_warnings(self) -> None:
        """Log what the configuration in force allows and probably does not mean."""
        for warning in self._current.warnings:
            logger.warning("%s", warning)

    def _take(self, config: Config, before: Mapping[Path, bytes]) -> None:
        self.masks.learn(config.secrets)
        self._current = config
        self._successful = True
        self._success_timestamp_seconds = time.time()
        self._watch(config.files, before)

    def _watch(self, files: Iterable[Path], before: Mapping[Path, bytes]) -> None:
        """Watch files; where a digest was taken before they were read, it counts, so that no change slips between."""
        self._digests = {file: before.get(file, digest) for file, digest in _digests(files).items()}


def _digests(files: Iterable[Path]) -> dict[Path, bytes]:
    return {file: _digest(file) for file in files}


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
        if file.is_file():
            with file.open("rb") as opened:
                return hashlib.sha256(opened.read(MAX_TARGET_FILE_BYTES)).digest()
    except OSError as error:
        if error.errno in _SHORTAGES:
            raise
        return b"%d" % (error.errno or 0)
    return b"absent"
