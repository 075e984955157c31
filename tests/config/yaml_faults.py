"""What is wrong with a text of YAML, for the tests of reading it."""

from __future__ import annotations

from exporter.config.problems import Problems
from exporter.config.yaml_nodes import load_document
from exporter.errors import ConfigError


def faults_of(text: str) -> list[str]:
    """Return the faults of a document, one a line as they are reported; none for one without."""
    problems = Problems()
    load_document(text, "f", problems)
    try:
        problems.raise_if_any(())
    except ConfigError as error:
        return str(error).splitlines()
    return []
