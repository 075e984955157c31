"""Checks the content of the TLS files of a check when the configuration is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from exporter.config.problems import Fault
from exporter.net.tls.files import unusable_files
from exporter.settings import TlsConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.config.problems import Location
    from exporter.net.tls.files import UnusableFileError

_KEYS = ("ca_file", "cert_file", "key_file")


class TlsFiles:
    """Checks TLS files, the same ones only once; lives as long as a load."""

    def __init__(self) -> None:
        self._unusable: dict[tuple[str | None, ...], list[UnusableFileError]] = {}

    def faults(self, settings: BaseModel, location: Location = ()) -> Iterator[Fault]:
        """Yield the faults in the files of all TLS options in settings, each at its key."""
        if isinstance(settings, TlsConfig):
            yield from self._faults_of(settings, location)
            return
        for name, info in type(settings).model_fields.items():
            value = getattr(settings, name)
            if isinstance(value, BaseModel):
                yield from self.faults(value, (*location, info.alias or name))

    def _faults_of(self, config: TlsConfig, location: Location) -> Iterator[Fault]:
        files = (config.ca_file, config.cert_file, config.key_file)
        if not any(files):
            return
        if files not in self._unusable:
            self._unusable[files] = unusable_files(*files)
        for error in self._unusable[files]:
            key = next((key for key, file in zip(_KEYS, files, strict=True) if file == error.file), _KEYS[0])
            yield Fault((*location, key), f'"{Path(error.file).name}" cannot be used: {error.why}')
