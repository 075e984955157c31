"""Loads a configuration from its file: reads, expands and builds it, or rejects all of it and lists every problem."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.config.check_builder import CheckBuilder
from exporter.config.common_keys import CHECK_KEYS, READ_APART, CommonKeys
from exporter.config.defaults import Defaults, split_defaults
from exporter.config.documents import DocumentReader
from exporter.config.expand import expand_each, merge_defaults
from exporter.config.files import Files
from exporter.config.foreign_keys import meant_type
from exporter.config.model_fields import fields_of
from exporter.config.placeholders import has_placeholders
from exporter.config.plugins import load_plugins
from exporter.config.problems import Place, Problems, quoted
from exporter.config.render import render, shown_check
from exporter.config.secret_values import secret_values
from exporter.config.secrets import Secrets
from exporter.config.target_files import TargetFiles
from exporter.config.validation import validate
from exporter.config.values import ValueReader
from exporter.gc_tuning import collections_paused
from exporter.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exporter.checks.base import CheckType
    from exporter.config.documents import Document
    from exporter.config.problems import Node
    from exporter.errors import ConfigProblem
    from exporter.model import Check


@dataclass(frozen=True, kw_only=True)
class Config:
    """A configuration in force; immutable, shared by threads, lives until the next one.

    Attributes:
        checks: The checks, in the order of the files, each expanded.
        file: The main file, as the user named it.
        disabled: The checks that are valid but not run.
        files: Every file read and every directory searched: a change to one of them may change the configuration.
        plugins: The check types of its plugins.
        shown: The keys of each check as `/config` shows them.
        warnings: Warnings about what is allowed but probably not intended.
        places: The position of each check in the files, by name, including disabled ones.
        secrets: Texts that must not be shown anywhere.
    """

    checks: tuple[Check, ...]
    file: str
    disabled: tuple[Check, ...] = ()
    files: tuple[Path, ...] = ()
    plugins: tuple[CheckType, ...] = ()
    shown: tuple[Mapping[str, object], ...] = ()
    warnings: tuple[ConfigProblem, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def summary(self) -> str:
        """The number of its checks, for the log."""
        return counted(len(self.checks), "check")

    @cached_property
    def rendered(self) -> str:
        """The effective configuration as YAML, without secrets."""
        return render(self.shown)

    def rendered_check(self, name: str) -> str:
        """Return one check as YAML, without secrets; empty when it is not shown."""
        return render([keys for keys in self.shown if keys["name"] == name][:1]) if self.shown else ""


def load_config(
    path: Path,
    check_types: Mapping[str, CheckType],
    *,
    environment: Mapping[str, str] = os.environ,
    allow_programs: bool = False,
) -> Config:
    """Load a configuration and all its files.

    Args:
        path: The main file.
        check_types: The types that checks may have, by name.
        environment: The variables that references may name.
        allow_programs: Whether checks may have types that run programs.

    Raises:
        ConfigError: When anything is wrong with it; lists every problem.
    """
    return _Load(environment, check_types, allow_programs=allow_programs).run(path, None)


def parse_config(
    text: str,
    file: str,
    check_types: Mapping[str, CheckType],
    *,
    environment: Mapping[str, str] = os.environ,
    allow_programs: bool = False,
) -> Config:
    """Load a configuration from its text.

    Args:
        text: The YAML document.
        file: The name for messages; paths in the document are relative to its directory.
        check_types: The types that checks may have, by name.
        environment: The variables that references may name.
        allow_programs: Whether checks may have types that run programs.

    Raises:
        ConfigError: When anything is wrong with it; lists every problem.
    """
    return _Load(environment, check_types, allow_programs=allow_programs).run(Path(file), text)


class _Load:
    """One load of one configuration."""

    def __init__(
        self, environment: Mapping[str, str], check_types: Mapping[str, CheckType], *, allow_programs: bool
    ) -> None:
        self._environment = environment
        self._allow_programs = allow_programs
        self._problems = Problems()
        self._files = Files()
        self._secrets = Secrets(environment, self._files, self._problems)
        self._reader = ValueReader(self._secrets, self._files, self._problems)
        self._types = dict(check_types)
        self._builders: dict[str, CheckBuilder] = {}
        self._checks: list[Check] = []
        self._disabled: list[Check] = []
        self._shown: list[Mapping[str, object]] = []
        self._target_files = TargetFiles(self._files, self._problems)
        self._names: dict[str, tuple[Node, Node | None]] = {}

    def run(self, path: Path, text: str | None) -> Config:
        """Load everything.

        Raises:
            ConfigError: When anything is wrong.
        """
        with collections_paused():
            documents = DocumentReader(self._files, self._problems).read(path, text)
            plugins = load_plugins(documents.plugins, self._problems, self._types)
            self._types.update({plugin.name: plugin for plugin in plugins})
            self._builders = {
                name: CheckBuilder(check_type, self._reader, self._problems) for name, check_type in self._types.items()
            }
            for document in documents.documents:
                self._read_document(document)
        self._problems.raise_if_any(self._files.paths)
        return Config(
            checks=tuple(self._checks),
            file=str(path),
            disabled=tuple(self._disabled),
            files=self._files.paths,
            plugins=plugins,
            shown=tuple(self._shown),
            warnings=self._problems.warnings,
            places={name: Place(node.file, node.line, node.column) for name, (node, _) in self._names.items()},
            secrets=frozenset(self._all_secrets()),
        )

    def _all_secrets(self) -> Iterator[str]:
        yield from self._secrets.found
        checks = (*self._checks, *self._disabled)
        settings = {id(check.settings): check.settings for check in checks}  # checks share them
        yield from secret_values(list(settings.values()))
        for check in checks:
            yield from secret_values(check.target)
        for name, value in self._environment.items():
            if name.lower().endswith("_proxy"):
                yield from secret_values(value)

    def _read_document(self, document: Document) -> None:
        defaults = [split_defaults(node, self._types, self._problems) for node in document.defaults]
        if document.defaults:
            self._check_defaults(document.defaults[-1], defaults[-1])
        for check in document.checks:
            self._read_check(check, defaults)

    def _check_defaults(self, node: Node, defaults: Defaults) -> None:
        for name, builder in self._builders.items():
            for layer in defaults.layers(self._types[name]):
                if layer:
                    builder.check_given(node, layer)
        for layer in (defaults.common, *defaults.by_type.values()):
            if "labels" in layer and has_placeholders(layer["labels"]):
                message = "has a placeholder, which has no value in defaults; write the label into the checks"
                self._problems.add(layer["labels"], message)

    def _read_check(self, check: Node, defaults: list[Defaults]) -> None:
        if not isinstance(check.value, dict):
            self._problems.add(check, f"must be a mapping with name, type and target, not {quoted(check.value)}")
            return
        own = check.value
        builder = self._builder_of(check, own)
        if builder is None:
            self._report_faults_in_common_keys(check, own)
            return
        check_type = self._types[str(own["type"].value)]
        layers = [layer for each in defaults for layer in each.layers(check_type)]
        is_expanded = False
        for expanded in expand_each(check, own, builder.known_keys, self._target_files, self._problems):
            is_expanded = True
            entries = merge_defaults(layers, expanded.entries)
            built = builder.build(check, entries)
            self._take_name(check, own, expanded.origin, entries.get("name"))
            if built is not None:
                (self._checks if built.is_enabled else self._disabled).append(built.check)
                self._shown.append(shown_check(entries, fields_of(check_type.settings)))
        if not is_expanded:
            self._report_faults_before_expansion(check, own, builder)

    def _report_faults_in_common_keys(self, check: Node, own: dict[str, Node]) -> None:
        """Report further faults of a check of unknown type, in the keys that every type has."""
        plain = CHECK_KEYS.keys() - READ_APART.keys()
        given = {key: node for key, node in own.items() if key in plain and not has_placeholders(node)}
        _, faults = validate(CommonKeys, {key: self._reader.read(node) for key, node in given.items()})
        self._reader.report(own, check, (), [fault for fault in faults if fault.location[0] in given])
        self._report_missing_name(check, own)

    def _report_missing_name(self, check: Node, own: dict[str, Node]) -> None:
        if "name" not in own:
            self._problems.add(check._replace(path=f"{check.path}.name"), "is required")

    def _report_faults_before_expansion(self, check: Node, own: dict[str, Node], builder: CheckBuilder) -> None:
        """Report further faults of a check that cannot be expanded, except in values with placeholders."""
        self._report_missing_name(check, own)
        builder.check_given(check, {key: node for key, node in own.items() if not has_placeholders(node)})
        each = own.get("each")
        for key, values in each.value.items() if each is not None and isinstance(each.value, dict) else ():
            if key in builder.known_keys and key not in READ_APART and isinstance(values.value, list):
                for value in values.value:
                    builder.check_given(check, {key: value})

    def _builder_of(self, check: Node, own: dict[str, Node]) -> CheckBuilder | None:
        type_node = own.get("type")
        name = type_node.value if type_node else None
        if isinstance(name, str) and name in self._builders:
            if type_node is not None and self._types[name].runs_programs and not self._allow_programs:
                self._problems.add(type_node, f"{quoted(name)} runs programs, which needs the flag --enable-exec")
            return self._builders[name]
        if type_node is None:
            place = check._replace(path=f"{check.path}.type")
            self._problems.add(place, f"is required; types: {', '.join(sorted(self._types))}")
        else:
            self._problems.add(type_node, f"{quoted(name)} is not a check type; {meant_type(str(name), self._types)}")
        return None

    def _take_name(self, check: Node, own: dict[str, Node], origin: Node | None, name_node: Node | None) -> None:
        """Report a name that is already taken, by another check or by one from the same item."""
        if name_node is None or not isinstance(name_node.value, str):
            return
        name = name_node.value
        if (name_node.line, name_node.column) < (check.line, check.column) and name_node.file == check.file:
            name_node = check._replace(path=name_node.path)  # merged, or an alias: the place belongs to another check
        if name not in self._names:
            self._names[name] = check, origin
            return
        first, first_origin = self._names[name]
        place = first_origin or first
        if first is not check:
            self._problems.add(name_node, f"{quoted(name)} is the name of the check at {place.file}:{place.line} too")
        elif origin is None or origin is first_origin or name == own["name"].value:
            key = next(iter(_each_keys(own)), "target")
            message = f"{quoted(name)} would name several checks; tell them apart by a placeholder, such as {{{key}}}"
            self._problems.add(name_node, message)
        else:
            message = f"produces a check named {quoted(name)}, as does the target at {place.file}:{place.line}"
            self._problems.add(origin, message)


def _each_keys(own: dict[str, Node]) -> list[str]:
    each = own.get("each")
    return list(each.value) if each is not None and isinstance(each.value, dict) else []
