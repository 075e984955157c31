"""Debian's Chromium, driven by Playwright: it makes no request that a page did not ask for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.servers.process import server_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

_QUIET = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """Run the browser without a window for the duration of the block; without it, the test is skipped or fails."""
    program = server_program("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False, args=_QUIET)
        try:
            yield browser
        finally:
            browser.close()
