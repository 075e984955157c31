"""Takes the screenshots of the status page: `python -m tests.draw_pages`. Needs Chromium.

They show what a new user sees: the built-in demo after some scrapes, on a light and on a dark desktop.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from pathlib import Path

from tests.servers.exporter import run_exporter
from tests.servers.process import server_program

DIRECTORY = Path(__file__).parent.parent / "grafana" / "pictures"
SCRAPES = 30

_CHROMIUM = "--headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars --window-size=1200,890"
_THEMES = {"light": "1", "dark": "0"}


def main() -> None:
    """Run the demo for a moment, then take the screenshots."""
    chromium = server_program("chromium", "chromium")
    with tempfile.TemporaryDirectory() as place, run_exporter(Path(place)) as exporter:
        for _ in range(SCRAPES):
            exporter.get("/metrics")
            time.sleep(random.uniform(0.0, 0.05))
        for theme, number in _THEMES.items():
            picture = DIRECTORY / f"status-{theme}.png"
            settings = f"--blink-settings=preferredColorScheme={number}"
            command = [chromium, *_CHROMIUM.split(), settings, f"--screenshot={picture}", f"http://{exporter.address}/"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    main()
