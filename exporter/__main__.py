"""The entry point of the program: `nyxmon-exporter`, and `python -m exporter`."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line and return the exit status.

    SIGHUP asks for a reload, but would end the process while the program is still being imported. It is therefore
    blocked first and stays pending until the server can reload.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    from exporter.cli import main as run  # noqa: PLC0415 - takes most of a second; see above

    return run()


if __name__ == "__main__":
    sys.exit(main())
