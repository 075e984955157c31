"""Modules of blackbox_exporter: reads its configuration file and makes checks of its probes."""

from exporter.blackbox.modules import HostnameConflictError, MissingFileError, Module, Modules, load_modules

__all__ = ["HostnameConflictError", "MissingFileError", "Module", "Modules", "load_modules"]
