"""Loads the modules of a blackbox.yml, or rejects all of it and lists every problem."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.blackbox import dns, grpc, http, icmp, tcp, websocket
from exporter.blackbox.http import HostnameConflictError
from exporter.blackbox.recipe import MissingFileError, ModuleFiles
from exporter.blackbox.shown import shown_module
from exporter.blackbox.unexpanded import warn_of_unexpanded
from exporter.config.block import Block
from exporter.config.files import MAX_TARGET_FILE_BYTES, Files
from exporter.config.preparation import with_preparation
from exporter.config.problems import Problems, suggest
from exporter.config.secret_values import secret_values
from exporter.config.secrets import mask_url_password
from exporter.config.yaml_dump import dump_yaml
from exporter.config.yaml_nodes import load_document
from exporter.gc_tuning import collections_paused
from exporter.model import Check
from exporter.model.checks import LONGEST_SCRAPE_SECONDS
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from exporter.blackbox.recipe import Recipe
    from exporter.config.problems import Node
    from exporter.errors import ConfigProblem

__all__ = ["HostnameConflictError", "MissingFileError", "Module", "Modules", "load_modules"]

_PROBERS: Mapping[str, tuple[tuple[str, ...], Callable[[Block, ModuleFiles], Recipe | None]]] = {
    "http": (http.KEYS, http.read_http),
    "tcp": (tcp.TCP_KEYS, tcp.read_tcp),
    "dns": (dns.KEYS, dns.read_dns),
    "icmp": (icmp.KEYS, icmp.read_icmp),
    "grpc": (grpc.KEYS, grpc.read_grpc),
    "unix": (tcp.UNIX_KEYS, tcp.read_unix),
    "websocket": (websocket.KEYS, websocket.read_websocket),
}
_MODULE_KEYS = ("prober", "timeout", *_PROBERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module; immutable, lives with the configuration, shared by threads.

    Attributes:
        name: Its name.
        prober: The name of its prober.
        timeout_seconds: The longest time of a probe; 0 leaves it to the scrape.
        missing: Why it cannot be used until a file appears; empty when it can.
        shown: The module as it is written, with secrets masked.
        recipe: How its checks are made.
    """

    name: str
    prober: str
    timeout_seconds: float
    missing: tuple[str, ...] = ()
    shown: Mapping[str, object]
    recipe: Recipe = field(repr=False)

    @property
    def rendered(self) -> str:
        """The module as YAML, with secrets masked."""
        return dump_yaml(dict(self.shown))

    def check(self, target: str, hostname: str | None = None) -> Check:
        """Return the check of a target.

        Args:
            target: The parameter `target` of a probe.
            hostname: The parameter `hostname`: for http the Host header, for tcp the name in the certificate.

        Raises:
            HostnameConflictError: When the module has another Host header than `hostname`.
            MissingFileError: When the module names a file that could not be read.
            ValueError: When the target cannot be probed; the message completes a sentence about it.
        """
        if self.missing:
            raise MissingFileError("; ".join(self.missing))
        recipe = self.recipe
        aimed, settings = recipe.aim(recipe.settings, target, hostname or "")
        label = mask_url_password(target)
        check = Check(
            name=self.name,
            check_type=recipe.check_type.name,
            target=aimed,
            target_label="" if label == aimed else label,
            timeout_seconds=self.timeout_seconds or LONGEST_SCRAPE_SECONDS,
            settings=settings,
            expectations=recipe.expectations,
            is_complete=True,
        )
        return with_preparation(check, recipe.check_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """The modules of one file; immutable, lives until the next ones, shared by threads.

    Attributes:
        file: The file, as the user named it.
        by_name: The modules, in the order of the file.
        files: Every file that was read or missed: a change to one of them may change the modules.
        warnings: Warnings about what is allowed but probably misunderstood, or differs from blackbox_exporter.
        secrets: Texts that must not be shown anywhere.
    """

    file: str
    by_name: Mapping[str, Module]
    files: tuple[Path, ...] = ()
    warnings: tuple[ConfigProblem, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the modules, in the order of the file."""
        return tuple(self.by_name)

    @property
    def summary(self) -> str:
        """The number of its modules, for the log."""
        return counted(len(self.by_name), "module")

    def get(self, name: str) -> Module | None:
        """Return a module; None when there is none of this name."""
        return self.by_name.get(name)

    @property
    def rendered(self) -> str:
        """All modules as YAML, with secrets masked."""
        return dump_yaml({"modules": {name: dict(module.shown) for name, module in self.by_name.items()}})


def load_modules(path: Path) -> Modules:
    """Load the modules of a blackbox.yml.

    Raises:
        ConfigError: When anything is wrong with it; lists every problem.
    """
    problems, files = Problems(), Files()
    with collections_paused():
        found = _read(path, problems, files)
    problems.raise_if_any(files.paths)
    secrets = {text for module in found.values() for text in secret_values(module.recipe.settings) if text}
    return Modules(
        file=str(path),
        by_name=found,
        files=files.paths,
        warnings=problems.warnings,
        secrets=frozenset(secrets),
    )


def _read(path: Path, problems: Problems, files: Files) -> dict[str, Module]:
    try:
        text = files.read_text(path, MAX_TARGET_FILE_BYTES)
    except ValueError as error:
        problems.add_unreadable(path, error)
        return {}
    root = load_document(text, str(path), problems, is_of_go=True)
    if root is None or root.value is None:
        if not problems:
            problems.add_at(str(path), 0, 0, "", "is empty; it needs the key modules")
        return {}
    modules = Block(root, ("modules",), problems).mapping("modules")
    found = ((name, _module(name, node, problems, files)) for name, node in modules.items())
    return {name: module for name, module in found if module is not None}


def _module(name: str, node: Node, problems: Problems, files: Files) -> Module | None:
    block = Block(node, _MODULE_KEYS, problems)
    module_files = ModuleFiles(files, [])
    warn_of_unexpanded(node, problems)
    timeout_seconds = block.duration("timeout")
    prober = block.text("prober")
    recipe = None
    for key in _PROBERS:
        if key in block or key == prober:
            keys, read = _PROBERS[key]
            found = read(block.block(key, keys), module_files if key == prober else ModuleFiles(files, []))
            recipe = found if key == prober else recipe
    if not prober:
        block.problems.add(node._replace(path=f"{node.path}.prober"), f"is required; probers: {', '.join(_PROBERS)}")
    elif prober not in _PROBERS:
        block.refuse("prober", f'"{prober}" is not a prober; {suggest(prober, _PROBERS, kind="probers")}')
    if recipe is None:
        return None
    return Module(
        name=name,
        prober=prober,
        timeout_seconds=timeout_seconds,
        shown=shown_module(node),
        missing=tuple(module_files.missing),
        recipe=recipe,
    )
