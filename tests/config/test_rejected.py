"""Configurations that are rejected, each with its exact errors."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from exporter.config import load_config, parse_config
from exporter.errors import ConfigError
from exporter.runner.registry import ExecutorRegistry

CONFIGS = Path(__file__).parent.parent / "configs"
BAD = sorted(CONFIGS.glob("bad-*.yml"))
TYPES = ExecutorRegistry.with_builtins().check_types


def refusal_of(text: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "checks.yml", TYPES, environment=environment)
    return str(caught.value)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_file_is_rejected_with_exactly_these_words(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comment at the top of each file lists all of its errors: place, path, fault, and what is allowed."""
    monkeypatch.chdir(CONFIGS)
    head = [line[2:] for line in file.read_text().splitlines() if line.startswith("# bad-")]
    with pytest.raises(ConfigError) as caught:
        load_config(Path(file.name), TYPES, environment={})
    assert str(caught.value).splitlines() == head
    assert head


def test_there_are_bad_files() -> None:
    """The test above must not pass just because a folder was moved."""
    assert len(BAD) >= 50


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("missing.yml", "missing.yml: cannot be read: No such file or directory"),
        ("folder", "folder: cannot be read: it is not a regular file"),
        ("/proc/self/mem", "/proc/self/mem: cannot be read: Input/output error"),
        ("latin.yml", "latin.yml:2:14: is not UTF-8"),
        ("large.yml", "large.yml: is larger than 1024 KiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_reported_in_one_line(
    name: str, refusal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are missing, not regular, not UTF-8 or too large are rejected with the cause."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.yml").write_bytes(b"checks:\n  - name: caf\xe9\n")
    (tmp_path / "large.yml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ConfigError) as caught:
        load_config(Path(name), TYPES)
    assert str(caught.value) == refusal


def test_an_alias_bomb_is_rejected_at_once() -> None:
    """Nested aliases that would expand to millions of nodes are counted before they are expanded."""
    levels = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    levels += [
        f"{name}: &{name} [{', '.join(['*' + before] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    started = time.thread_time()
    refusal = refusal_of("\n".join(levels) + "\nchecks: []\n")
    assert time.thread_time() - started < 1.0
    assert "checks.yml:" in refusal


def test_a_document_that_is_nested_without_end_is_rejected() -> None:
    """A thousand brackets do not exhaust the stack."""
    assert "checks.yml:1:" in refusal_of("checks: " + "[" * 1000 + "]" * 1000)


def test_no_message_shows_a_secret() -> None:
    """A value from a reference is masked in every error."""
    text = """
checks:
  - name: shop
    type: http
    target: http://shop.example/
    timeout: ${env:SECRET}
    method: "${env:SECRET}\\n"
    expect: [{status: "${env:SECRET}"}]
"""
    refusal = refusal_of(text, SECRET="geheim-4711")
    assert "geheim" not in refusal
    assert refusal.count("\n") == 2
