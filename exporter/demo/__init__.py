"""The built-in demo: targets inside the process and checks for them, used without a configuration file.

It has every check type whose extra is installed, and every verdict: checks that succeed, degraded ones, and ones that
fail on purpose.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal

from exporter.demo.certificates import write_certificates
from exporter.demo.extras import EXTRAS
from exporter.demo.targets import DemoTargets

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEMO_FILE", "Demo", "run_demo"]

DEMO_FILE = "demo/checks.yml"
"""The name of the demo's configuration in messages and on the `/config` page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A running demo.

    Attributes:
        configuration: The text of its `checks.yml`.
    """

    configuration: str


@contextmanager
def run_demo() -> Iterator[Demo]:
    """Keep the demo's targets running on 127.0.0.1, on their own thread and event loop.

    Their own loop, so that measurements do not include waiting for the program that runs the checks.

    Raises:
        OSError: When there is no writable temporary directory or no free port.
    """
    with (
        tempfile.TemporaryDirectory(prefix="nyxmon-exporter-demo-") as directory,
        start_blocking_portal("asyncio", name="demo-targets") as portal,
    ):
        certificates = write_certificates(Path(directory))
        targets = DemoTargets(certificates)
        addresses = portal.call(targets.start)
        try:
            template = Path(__file__).with_name("checks.yml").read_text(encoding="utf-8")
            template += "".join(extra.check for extra in EXTRAS if extra.is_installed)
            values = addresses | {"ca_file": str(certificates.ca_file)}
            yield Demo(configuration=Template(template).substitute(values))
        finally:
            portal.call(targets.stop)
