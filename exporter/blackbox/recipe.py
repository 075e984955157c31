"""The recipe of a module: a check type with settings and expectations, and how they depend on the target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import ValidationError

from exporter.config.block import shown
from exporter.config.problems import follow, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_core import ErrorDetails

    from exporter.checks.base import CheckType
    from exporter.config.block import Block
    from exporter.config.files import Files
    from exporter.config.problems import Node, Problems
    from exporter.model import Expectation
    from exporter.settings import CheckSettings, SettingsModel

Model = TypeVar("Model", bound="SettingsModel")


class Aim(NamedTuple):
    """The target and settings of one probe."""

    target: str
    settings: CheckSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make the checks of one module; immutable, lives with the configuration.

    Attributes:
        check_type: The type of its checks.
        settings: Their settings, as far as they do not depend on the target.
        expectations: Their expectations.
        aim: Returns target and settings for the parameters `target` and `hostname` of a probe; raises ValueError for a
            target that cannot be probed.
    """

    check_type: CheckType
    settings: CheckSettings
    expectations: tuple[Expectation, ...]
    aim: Callable[[CheckSettings, str, str], Aim]


class ModuleFiles(NamedTuple):
    """The files of a module, shared by the readers of its blocks; lives as long as the load.

    Attributes:
        files: The files that are read, or missed.
        missing: Why the module cannot be used until a file appears; empty when it can.
    """

    files: Files
    missing: list[str]

    def has(self, node: Node, problems: Problems) -> bool:
        """Return whether the file that a value names can be read; without it, probes fail, which is a warning."""
        try:
            self.files.check_readable(Path(node.text))
        except ValueError as error:
            problems.warn(node, f'"{node.text}" {error}; probes fail until it can be')
            self.missing.append(f"{node.path}: {node.text} {error}")
            return False
        return True


class MissingFileError(ValueError):
    """Raised for a probe of a module that names a file which could not be read."""


def settings_of(
    model: type[Model], values: Mapping[str, object], block: Block, keys: Mapping[str, str] | None = None
) -> Model | None:
    """Return a settings model, or None when the values are not valid, which is then reported.

    Args:
        model: The model.
        values: Its values by field name.
        block: The block that they come from.
        keys: The block's key for a field, where it has another name.
    """
    try:
        return model(**values)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            _report(fault, block, keys or {})
    return None


def _report(fault: ErrorDetails, block: Block, keys: Mapping[str, str]) -> None:
    """Report a fault at the value it is about, as far as the file has one."""
    message = str(fault.get("ctx", {}).get("error", fault["msg"]))
    place = [keys.get(str(step), step) for step in fault["loc"][:1]] + list(fault["loc"][1:])
    on_key = place[-1:] == ["[key]"]
    node, rest = follow(block.entries, tuple(place))
    if on_key and len(rest) > 1:
        message = f"{quoted(rest[0])} {message}"
    if node is None:
        block.problems.add(block.node, message)
    elif on_key or isinstance(node.value, dict | list):
        block.problems.add(node, message, on_key=on_key)
    else:
        block.problems.add(node, f"{shown(node)} {message}")
