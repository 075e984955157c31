"""Files of modules that are rejected, each with its exact errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.blackbox import load_modules
from exporter.errors import ConfigError

CONFIGS = Path(__file__).parent.parent / "configs" / "blackbox"
BAD = sorted(CONFIGS.glob("bad-*.yml"))


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_file_is_rejected_with_exactly_these_words(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comment at the top of each file lists all of its errors: position, path, fault and what is allowed."""
    monkeypatch.chdir(CONFIGS)
    head = [line[2:] for line in file.read_text().splitlines() if line.startswith("# bad-")]
    with pytest.raises(ConfigError) as caught:
        load_modules(Path(file.name))
    assert str(caught.value).splitlines() == head
    assert head


def test_there_are_bad_files() -> None:
    """The test above must not pass just because a folder was moved."""
    assert len(BAD) >= 55


@pytest.mark.parametrize("text", ["geheim", "super-secret"])
def test_no_message_shows_a_secret(text: str, tmp_path: Path) -> None:
    """A credential of the wrong kind or in the wrong place is not quoted."""
    file = tmp_path / "blackbox.yml"
    file.write_text(
        f"""
modules:
  m:
    prober: http
    http:
      basic_auth: {{username: a, password: [{text}]}}
      proxy_url: ftp://user:{text}@proxy.example
      http_headers:
        X-Token: {{secrets: {text}}}
"""
    )
    with pytest.raises(ConfigError) as caught:
        load_modules(file)
    assert text not in str(caught.value)
    assert len(caught.value.problems) == 3
