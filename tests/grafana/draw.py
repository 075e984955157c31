"""Makes the pictures of the dashboards: `python -m tests.grafana.draw`. Needs Prometheus and Chromium, and minutes.

`tests/grafana/drawing` draws them from the dashboards' own queries and a real Prometheus' answers about a real
exporter's pages. Grafana is not used, and the pictures say so.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.grafana.drawing.answers import span_of, times
from tests.grafana.drawing.life import ALWAYS_BROKEN, live
from tests.grafana.drawing.page import PAGE_WIDTH, draw_page
from tests.grafana.drawing.past import SCRAPE_SECONDS, Past, recorded
from tests.grafana.reading import defaults, read_dashboard
from tests.grafana.scene import run_targets
from tests.servers.process import server_program
from tests.servers.prometheus import run_prometheus

if TYPE_CHECKING:
    from tests.grafana.drawing.answers import Span
    from tests.servers.prometheus import Prometheus

DIRECTORY = Path(__file__).parent.parent.parent / "grafana" / "pictures"

_CHROMIUM = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --hide-scrollbars --force-device-scale-factor=1"
)


class Picture(NamedTuple):
    """One picture: its dashboard, the values of the variables, and its last row in the grid."""

    name: str
    chosen: dict[str, str]
    rows: int


PICTURES = (
    Picture("overview", {"objective": "95"}, 39),
    Picture("check", {"objective": "95", "check": "shop"}, 28),
    Picture("runner", {}, 28),
    Picture("certificates", {}, 34),
    Picture("dns", {}, 37),
)


def main() -> None:
    """Run everything for a while, then draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0, help="how long the exporter is scraped before")
    parser.add_argument("--hours", type=float, default=6.0, help="for how long that counts")
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="where the pictures go")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    seconds = options.minutes * 60
    with (
        tempfile.TemporaryDirectory() as place,
        run_targets(Path(place), without=ALWAYS_BROKEN) as targets,
    ):
        past = Past(options.hours, seconds)
        with recorded(targets.exporter, past):
            live(targets, seconds)
        past.write(Path(place) / "prometheus" / "data")
        # A series that has ended is seen for one more scrape, and one slow scrape leaves no gap.
        lookback = f"--query.lookback-delta={2 * SCRAPE_SECONDS - 1:.0f}s"
        with run_prometheus(Path(place) / "prometheus", "{}", lookback) as prometheus:
            draw(prometheus, span_of(past.end, (options.hours - 0.1) * 3600), Path(place), options.directory)


def draw(prometheus: Prometheus, span: Span, place: Path, directory: Path) -> None:
    """Draw all pictures from the data of a Prometheus.

    Raises:
        SystemExit: When the exporter had faults.
    """
    broken = prometheus.query('count_over_time(probe_failure_info{reason="internal"}[6h])')
    if broken:
        raise SystemExit(f"no picture of an exporter with faults: {broken}")
    for picture in PICTURES:
        dashboard = read_dashboard(picture.name)
        values = defaults(dashboard) | times(span, SCRAPE_SECONDS) | {"exporter": "exporter:10115"} | picture.chosen
        page, height = draw_page(prometheus, dashboard, values, span, rows=picture.rows)
        html = place / f"{picture.name}.html"
        html.write_text(page, encoding="utf-8")
        take(html, directory / f"{picture.name}.png", height, place / "profile")


def take(page: Path, picture: Path, height: int, profile: Path) -> None:
    """Have Chromium show a page and take a picture of it."""
    command = [
        server_program("chromium", "chromium"),
        *_CHROMIUM.split(),
        f"--user-data-dir={profile}",
        f"--window-size={PAGE_WIDTH},{height}",
        f"--screenshot={picture}",
        page.resolve().as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    main()
