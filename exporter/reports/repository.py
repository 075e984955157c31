"""Paths of configuration files as pipelines link them: relative to the repository that the job works in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "WORKSPACE")
"""The variables in which GitHub, GitLab and Jenkins name the directory of the repository."""


def path_in_repository(file: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of a file relative to the repository.

    A file outside of the repository keeps its path, and so does every file if no variable names a repository.
    """
    workspace = next(filter(None, (environment.get(name) for name in _ROOTS)), None)
    if workspace is None:
        return file
    whole, root = Path(file).resolve(), Path(workspace).resolve()
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else file
