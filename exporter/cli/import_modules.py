"""The command `import`: modules of blackbox_exporter and scrape jobs of Prometheus become a checks.yml."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from anyio.from_thread import BlockingPortalProvider

from exporter.blackbox import load_modules
from exporter.cli.flag_values import OutputFormat
from exporter.cli.generate import replace_file
from exporter.config import parse_config
from exporter.migration.document import DEFAULT_MODULE, import_jobs
from exporter.migration.prometheus import read_jobs
from exporter.model import ResultStatus
from exporter.quantities import counted
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.cli.arguments import Options
    from exporter.config import Config
    from exporter.migration.prometheus import RequestedProbe
    from exporter.model import Result

_SUCCESS = re.compile(r"^probe_success (\S+)$", re.MULTILINE)
_PATIENCE_SECONDS = 130.0


def import_modules(options: Options) -> int:
    """Write the checks.yml and, on request, compare its results with those of blackbox_exporter.

    Returns:
        The exit status: 0, or 1 when a result differs.

    Raises:
        ConfigError: When the modules, or the checks that were made of them, are refused.
        OSError: When a file cannot be read or written.
    """
    assert options.blackbox_file is not None  # noqa: S101 - the command line demands both
    assert options.prometheus_file is not None  # noqa: S101
    path = Path(options.prometheus_file)
    try:
        jobs = read_jobs(path)
    except ValueError as error:
        raise OSError(str(error)) from error
    output = None if options.output in get_args(OutputFormat) else Path(options.output)
    modules = load_modules(Path(options.blackbox_file))
    imported = import_jobs(modules, jobs, path.parent, Path() if output is None else output.parent)
    if output is None:
        sys.stdout.buffer.write(imported.text.encode())
    else:
        replace_file(output, imported.text)
    types = ExecutorRegistry.with_builtins().own_types
    config = parse_config(imported.text, str(output or "checks.yml"), types)
    remarks = f", {counted(imported.remarks, 'comment')} on what needs a look" if imported.remarks else ""
    sys.stderr.write(f"nyxmon-exporter: {config.summary}{remarks}\n")
    return _verify(config, imported.probes) if options.verify else 0


def _verify(config: Config, probes: Sequence[tuple[str, RequestedProbe]]) -> int:
    """Run the checks here and the probes where the jobs request them; report each difference."""
    results: dict[str, Result] = {}
    runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"))
    runner.run_all(config.checks, lambda result: results.update({result.check_name: result}))
    differences = 0
    for name, probe in probes:
        there, here = _probed(probe), results[name]
        is_same = there == str(int(here.status is not ResultStatus.ERROR))
        differences += not is_same
        why = f" ({here.reason}: {here.detail})" if here.reason else ""
        words = "same" if is_same else f"DIFFERENT, probe_success there: {there}"
        sys.stderr.write(f"{name}: {here.status}{why}, {words}\n")
    sys.stderr.write(f"nyxmon-exporter: {len(probes)} compared, {differences} different\n")
    return 1 if differences else 0


def _probed(probe: RequestedProbe) -> str:
    """Return `probe_success` as blackbox_exporter reports it, or why there is none."""
    parameters = {"target": probe.target, "module": probe.module or DEFAULT_MODULE}
    if probe.hostname:
        parameters["hostname"] = probe.hostname
    if not probe.url.startswith(("http://", "https://")):
        return f"none, {probe.url} is not the URL of an exporter"
    try:
        with urlopen(f"{probe.url}?{urlencode(parameters)}", timeout=_PATIENCE_SECONDS) as response:  # noqa: S310
            found = _SUCCESS.search(response.read().decode(errors="replace"))
    except (OSError, URLError) as error:
        return f"none, {probe.url}: {error}"
    return found[1] if found else f"none, {probe.url} answered something else"
