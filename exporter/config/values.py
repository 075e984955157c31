"""Turns nodes into plain values: resolves references, reads `*_file` keys, makes paths absolute, locates faults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from exporter.config.problems import follow, quoted
from exporter.secrecy import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.config.files import Files
    from exporter.config.model_fields import ModelFields
    from exporter.config.problems import Fault, Location, Node, Problems
    from exporter.config.secrets import Secrets

FILE_SUFFIX = "_file"
_LONGEST_SHOWN_PATH = 255


class ValueReader:
    """Turns nodes into plain values; lives as long as a load."""

    def __init__(self, secrets: Secrets, files: Files, problems: Problems) -> None:
        self._secrets = secrets
        self._files = files
        self._problems = problems

    def read(self, node: Node, *, keeps_captures: bool = False) -> object:
        """Return the value of a node; texts with references are returned as `SecretText`.

        Args:
            node: The node.
            keeps_captures: Whether references to captured groups stay as written.
        """
        value = node.value
        if isinstance(value, str):
            return self._read_text(node, value, keeps_captures=keeps_captures) if "${" in value else value
        if isinstance(value, list):
            return [self.read(item, keeps_captures=keeps_captures) for item in value]
        if isinstance(value, dict):
            return {key: self.read(item, keeps_captures=keeps_captures) for key, item in value.items()}
        return value

    def read_settings(self, entries: Mapping[str, Node], fields: ModelFields) -> dict[str, object]:
        """Return the values of a model's keys, in which only some fields may refer to captures."""
        return {key: self._read_field(key, node, fields) for key, node in entries.items()}

    def _read_field(self, key: str, node: Node, fields: ModelFields) -> object:
        below = fields.models.get(key)
        if below is None or not below.may_capture:
            return self.read(node, keeps_captures=key in fields.captures)
        if isinstance(node.value, list):
            return [self._read_model(item, below) for item in node.value]
        if isinstance(node.value, dict) and key in fields.model_maps:
            return {name: self._read_model(item, below) for name, item in node.value.items()}
        return self._read_model(node, below)

    def _read_model(self, node: Node, fields: ModelFields) -> object:
        return self.read_settings(node.value, fields) if isinstance(node.value, dict) else self.read(node)

    def _read_text(self, node: Node, text: str, *, keeps_captures: bool) -> str:
        try:
            return self._secrets.expand(text, Path(node.file).parent, keeps_captures=keeps_captures)
        except ValueError as error:
            self._problems.add(node, str(error))
            return text

    def resolve_files(self, fields: ModelFields, data: dict[str, object], nodes: Mapping[str, Node]) -> None:
        """Make paths of files absolute, and replace `*_file` keys by the secrets in the files they name; in place.

        Args:
            fields: The fields of the model that the values are for.
            data: The values.
            nodes: Their nodes.
        """
        for key in sorted(fields.single_secrets):
            if f"{key}{FILE_SUFFIX}" in data and f"{key}{FILE_SUFFIX}" not in fields.keys:
                self._read_secret(key, data, nodes[f"{key}{FILE_SUFFIX}"])
        for key in sorted(fields.files & data.keys()):
            self._check_file(key, data, nodes[key])
        for key, below in fields.models.items():
            if key in data:
                self._resolve_below(below, data[key], nodes[key], is_map=key in fields.model_maps)

    def _resolve_below(self, fields: ModelFields, value: object, node: Node, *, is_map: bool) -> None:
        if isinstance(value, dict) and isinstance(node.value, dict):
            if is_map:
                for key, item in value.items():
                    self._resolve_below(fields, item, node.value[key], is_map=False)
            else:
                self.resolve_files(fields, value, node.value)
        elif isinstance(value, list) and isinstance(node.value, list):
            for item, item_node in zip(value, node.value, strict=True):
                self._resolve_below(fields, item, item_node, is_map=False)

    def _read_secret(self, key: str, data: dict[str, object], node: Node) -> None:
        path = data.pop(f"{key}{FILE_SUFFIX}")
        if key in data:
            self._problems.add(node, f"cannot be used with {key}", on_key=True)
        elif not isinstance(path, str) or not path:
            self._problems.add(node, "must be the path of a file")
            data[key] = ""
        else:
            data[key] = ""
            try:
                data[key] = self._secrets.read(path, Path(node.file).parent)
            except ValueError as error:
                self._problems.add(node, f"{_shown_path(path)} {error}")

    def _check_file(self, key: str, data: dict[str, object], node: Node) -> None:
        path = data[key]
        if not isinstance(path, str):
            return  # the model will say that it must be text
        full_path = (Path(node.file).parent / path).absolute()
        try:
            self._files.check_readable(full_path)
        except ValueError as error:
            self._problems.add(node, f"{_shown_path(path)} {error}")
        data[key] = str(full_path)

    def report(self, entries: Mapping[str, Node], whole: Node, at: Location, faults: Iterable[Fault]) -> None:
        """Report faults at the nodes they concern.

        Args:
            entries: The nodes for the first steps of the locations.
            whole: The node for faults that belong to no single entry.
            at: Prefix of the faults' locations.
            faults: What is wrong.
        """
        for fault in faults:
            node, rest = follow(entries, (*at, *fault.location))
            if node is None and rest and f"{rest[0]}{FILE_SUFFIX}" in entries:
                node, rest = entries[f"{rest[0]}{FILE_SUFFIX}"], rest[1:]
            place = node or whole
            path = ".".join((place.path, *(str(step) for step in rest if isinstance(step, str))))
            if fault.hides_key:
                path = path.rpartition(".")[0]
            self._problems.add(place._replace(path=path), fault.message, on_key=fault.on_key)


def _shown_path(path: str) -> str:
    """Return a path as a message may show it; a text with several lines is a key or a token, not a path."""
    return quoted(path) if path.isprintable() and len(path) <= _LONGEST_SHOWN_PATH else MASK
