"""requirements.lock: the image's packages satisfy the project's requirements, and all of them are pinned by hash."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = [block for block in re.split(r"\n(?=\S)", LOCK) if not block.startswith("#")]


def test_every_dependency_is_locked_in_a_version_that_fits() -> None:
    """A dependency of the package or an extra that was added or raised without updating the lock is found."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", LOCK, re.MULTILINE))
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name not in ("all", "test")}
    wanted = [Requirement(line) for line in (*project["dependencies"], *chain(*extras.values()))]
    assert project["optional-dependencies"]["all"] == [f"{project['name']}[{','.join(extras)}]"]
    assert [str(one) for one in wanted if not one.specifier.contains(versions.get(one.name, "0"))] == []


def test_every_package_is_named_with_its_version_and_hashes() -> None:
    """Every entry is pinned, has a hash, and does not name an index or URL."""
    entry = re.compile(r"[a-z0-9-]+==\S+(?: ; [^\\\n]+)? (?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+\n?")
    assert [block for block in LOCKED if not entry.fullmatch(block)] == []
