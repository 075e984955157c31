"""Takes the pictures of the pages: `python -m tests.draw_pages`. Needs Chromium.

The pictures show what a new user sees: the built-in demo after some scrapes, on a desk and on a phone, light and dark.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.chromium import run_chromium
from tests.servers.exporter import run_exporter

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DIRECTORY = Path(__file__).parent.parent / "grafana" / "pictures"
SCRAPES = 30


class Picture(NamedTuple):
    """A picture: its file, the page, the size of the window in pixels, and the colours."""

    name: str
    path: str
    width: int
    height: int
    scheme: str


PICTURES = (
    Picture("status-light", "/", 1280, 890, "light"),
    Picture("status-dark", "/", 1280, 890, "dark"),
    Picture("status-phone", "/", 390, 844, "light"),
    Picture("check-phone", "/checks/shop-https", 390, 844, "light"),
)


def main() -> None:
    """Run the demo for a moment, then take the pictures."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, run_exporter(Path(place)) as exporter, run_chromium() as browser:
        for _ in range(SCRAPES):
            exporter.get("/metrics")
            time.sleep(random.uniform(0.0, 0.05))
        for picture in PICTURES:
            take(browser, f"http://{exporter.address}", picture)


def take(browser: Browser, url: str, picture: Picture) -> None:
    """Open the page and save what is in the window."""
    size = {"width": picture.width, "height": picture.height}
    page = browser.new_page(viewport=size, color_scheme=picture.scheme)  # type: ignore[arg-type] # its own literals
    page.goto(f"{url}{picture.path}")
    page.screenshot(path=DIRECTORY / f"{picture.name}.png")
    page.close()


if __name__ == "__main__":
    main()
