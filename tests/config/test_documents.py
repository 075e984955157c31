"""The files of a configuration: what cannot be read, included or understood is reported where it is named."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest

from exporter.config import load_config
from exporter.errors import ConfigError
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ExecutorRegistry.with_builtins().check_types
CHECKS = "checks:\n  - {name: caf\u00e9, type: tcp, target: 'a.example:1'}\n"


def faults_of(text: str | bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(folder)
    (folder / "f.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_config((folder / "f.yml").relative_to(folder), TYPES, environment={})
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("folder", '1:11: include[0]: "folder" is a directory; write folder/*.yml'),
        ("folder/in/", '1:11: include[0]: "folder/in/" is a directory; write folder/in/*.yml'),
        ("pipe", '1:11: include[0]: "pipe" cannot be read: it is not a regular file'),
        ("none.yml", '1:11: include[0]: "none.yml" does not exist'),
        ("f.yml", "1:11: include[0]: includes f.yml, which is already being read"),
    ],
)
def test_an_include_that_cannot_be_read_is_reported_where_it_is_written(
    pattern: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directories, pipes, missing files and loops are faults of the line that includes them."""
    (tmp_path / "folder" / "in").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")
    assert faults_of(f"include: [{pattern}]\n{CHECKS}", tmp_path, monkeypatch) == [f"f.yml:{fault}"]


def test_a_pattern_that_matches_no_file_causes_a_warning(tmp_path: Path) -> None:
    """The directory may be empty on purpose."""
    (tmp_path / "f.yml").write_text(f"include: [checks.d/*.yml]\n{CHECKS}")
    warnings = load_config(tmp_path / "f.yml", TYPES).warnings
    assert [warning.message for warning in warnings] == ['"checks.d/*.yml" matches no file']


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# only\nchecks:\n", '2:1: checks: is empty; begin each check with "- name: "'),
        ("checks: []\n", '1:1: checks: is empty; begin each check with "- name: "'),
        ("include: ['*.none']\n", "1:1: include: leads to no checks"),
        ("defaults: {timeout: 5s}\n", "1:1: has no checks; write the key checks"),
    ],
)
def test_a_file_without_checks_says_which_key_lacks_them(
    text: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The position is that of the key that should have led to checks."""
    assert faults_of(text, tmp_path, monkeypatch) == [f"f.yml:{fault}"]


@pytest.mark.parametrize("text", ["---\n", "null\n", "# nothing\n"])
def test_a_document_of_null_is_empty(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no mapping either, but nothing was written."""
    assert faults_of(text, tmp_path, monkeypatch) == ["f.yml: is empty; it needs the key checks"]


def test_a_list_of_checks_without_its_key_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may not consist of the checks alone."""
    assert faults_of("- name: a\n", tmp_path, monkeypatch) == [
        (
            "f.yml:1:1: must be a mapping with the keys include, defaults, plugins, checks; "
            'write "checks:" above the list'
        )
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (CHECKS.encode("utf-16"), ": is UTF-16; save it as UTF-8"),
        (CHECKS.encode("utf-16-le"), ": is UTF-16; save it as UTF-8"),
        (CHECKS.encode("utf-16-be"), ": is UTF-16; save it as UTF-8"),
        (b"\xfe\xff" + CHECKS.encode("utf-16-be"), ": is UTF-16; save it as UTF-8"),
        (CHECKS.encode("utf-32"), ": is UTF-32; save it as UTF-8"),
        (CHECKS.encode("latin-1"), ":2:15: is not UTF-8"),
        ("# \u00e9".encode() + b"\xff", ":1:4: is not UTF-8"),
        (gzip.compress(CHECKS.encode()), ": is compressed with gzip; save it as text in UTF-8"),
    ],
    ids=["utf-16", "le", "be", "be-marked", "utf-32", "latin-1", "in-line", "gzip"],
)
def test_a_file_in_another_encoding_is_named_as_such(
    content: bytes, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that is nearly UTF-8 is reported at the first wrong byte."""
    assert faults_of(content, tmp_path, monkeypatch) == [f"f.yml{fault}"]


def test_an_included_file_in_another_encoding_is_reported_in_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The byte to correct is there."""
    (tmp_path / "g.yml").write_bytes(CHECKS.encode("latin-1"))
    assert faults_of("include: [g.yml]\n", tmp_path, monkeypatch) == ["g.yml:2:15: is not UTF-8"]
