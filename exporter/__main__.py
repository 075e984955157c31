"""`python -m exporter` is `nyxmon-exporter`."""

import sys

from exporter.cli import main

sys.exit(main())
