"""The configuration in force: replaced as a whole when a new one loads, kept when it does not."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from exporter.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from exporter.config.load import Config

logger = logging.getLogger(__name__)

_DIGESTED_BYTES = 4 * 1024 * 1024


class LiveConfig:
    """Holds the configuration in force; lives for the process, shared by threads.

    Whoever takes `current` keeps a whole, immutable configuration, whatever is loaded meanwhile.
    """

    def __init__(self, load: Callable[[], Config], initial: Config) -> None:
        """Put a first configuration in force.

        Args:
            load: Loads the configuration anew; raises ConfigError when it is refused.
            initial: What is in force until then.
        """
        self._load = load
        self._reloading = threading.Lock()
        self._take(initial)

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
            if _digest(self._watched) == self._digest:
                return False
            self._reload()
            return True

    def _reload(self) -> None:
        try:
            config = self._load()
        except ConfigError as error:
            self._successful = False
            self._watch((*self._current.files, *error.files))
            raise
        self._take(config)
        logger.info("configuration loaded from %s: %d checks", config.file, len(config.checks))

    def _take(self, config: Config) -> None:
        self._current = config
        self._successful = True
        self._success_timestamp_seconds = time.time()
        self._watch(config.files)

    def _watch(self, files: Sequence[Path]) -> None:
        self._watched = tuple(dict.fromkeys(files))
        self._digest = _digest(self._watched)


def _digest(files: Sequence[Path]) -> bytes:
    """Digest the content of files and the names in directories; what cannot be read counts as such.

    Content, not times: Kubernetes swaps the links of a ConfigMap without touching what they lead to.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(b"\0%s\0" % bytes(file))
        try:
            if file.is_dir():
                digest.update("\0".join(sorted(entry.name for entry in file.iterdir())).encode("utf-8", "replace"))
            elif file.is_file():
                with file.open("rb") as opened:
                    digest.update(opened.read(_DIGESTED_BYTES))
        except OSError as error:
            digest.update(b"\0%d" % (error.errno or 0))
    return digest.digest()
