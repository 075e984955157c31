"""The JSON Schema for editors: it agrees with the loader on good files, and finds mistakes in bad ones."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from exporter.config import json_schema
from exporter.config.common_keys import CHECK_KEYS
from exporter.config.model_fields import fields_of
from exporter.runner.registry import ExecutorRegistry

CONFIGS = Path(__file__).parent.parent / "configs"
TYPES = ExecutorRegistry.with_builtins().check_types
VALIDATOR = jsonschema.Draft202012Validator(json_schema(TYPES))


def test_it_is_a_schema() -> None:
    """It is valid according to the dialect that it names."""
    jsonschema.Draft202012Validator.check_schema(json_schema(TYPES))


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("good-*.yml")), ids=lambda file: file.stem)
def test_good_files_are_valid(file: Path) -> None:
    """It accepts what the loader accepts."""
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(file.read_text()))] == []


@pytest.mark.parametrize(
    "name",
    ["unknown-key", "unknown-top-level-key", "unknown-type", "unknown-subject", "name-missing", "wrong-type",
     "unknown-operator", "operator-that-does-not-fit", "nested-unknown-key", "tls-version", "retry-reason"],
)  # fmt: skip
def test_what_an_editor_can_see_is_rejected(name: str) -> None:
    """Misspelt keys, types, subjects and operators are found while typing."""
    assert not VALIDATOR.is_valid(yaml.safe_load((CONFIGS / f"bad-{name}.yml").read_text()))


def test_every_key_of_every_type_is_described() -> None:
    """The editor offers every key of the loader, with a description."""
    for name, check_type in TYPES.items():
        properties = json_schema(TYPES)["$defs"][f"check-{name}"]["properties"]
        assert CHECK_KEYS.keys() | fields_of(check_type.settings).keys <= properties.keys()
        assert [key for key, shape in properties.items() if not shape.get("description")] == []
