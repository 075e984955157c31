"""Writes the dashboards' JSON: run `python -m grafana.build` after a change to the code here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grafana.board import as_json
from grafana.dashboards import certificates, check, dns, overview, runner

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY = Path(__file__).parent / "dashboards"


def files() -> Mapping[Path, str]:
    """Return the path and text of each dashboard's JSON file."""
    boards = [module.board() for module in (overview, check, runner, certificates, dns)]
    return {DIRECTORY / f"{board.name}.json": as_json(board.build()) for board in boards}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
