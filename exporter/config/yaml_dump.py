"""Writes values as YAML that reads the same under the rules of YAML 1.1 and 1.2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yaml import dump
from yaml.cyaml import CSafeDumper

if TYPE_CHECKING:
    from yaml.nodes import ScalarNode


class Block(str):
    """A text of several lines that is written as a block, line by line."""

    __slots__ = ()


class Quoted(str):
    """A text that is written in double quotes, with escapes for control characters."""

    __slots__ = ()


class _Dumper(CSafeDumper):
    """Quotes what is text in YAML 1.2 but not in YAML 1.1, and the other way round."""

    def ignore_aliases(self, data: object) -> bool:
        """Write everything out: an anchor would tie together values that are equal only by chance."""
        return True


def _represent_block(dumper: CSafeDumper, text: Block) -> ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


def _represent_quoted(dumper: CSafeDumper, text: Quoted) -> ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')


_Dumper.add_representer(Quoted, _represent_quoted)
_Dumper.add_representer(Block, _represent_block)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z"), None
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"(?:0o[0-7]+|0x[0-9a-fA-F]+)\Z"), ["0"])


def dump_yaml(document: object) -> str:
    """Return a value of mappings, lists and scalars as a YAML document; mappings keep their order."""
    text: str = dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
