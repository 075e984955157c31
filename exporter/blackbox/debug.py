"""The debug page of a probe: its log, the metrics that it returned, and the module with secrets masked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.foreign import text_of
from exporter.logs import logfmt_line
from exporter.model import Reason, ResultStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from exporter.masking import Mask
    from exporter.model import Result


def debug_text(result: Result, *, module: str, target: str, metrics: str, configuration: str, mask: Mask) -> str:
    """Return the page about a probe.

    Args:
        result: Its result.
        module: The name of its module.
        target: The target as it is shown.
        metrics: The metrics that it returned, as text.
        configuration: The module as YAML.
        mask: Masks secrets in the log.
    """
    log = "\n".join(_log_lines(result, module, target, mask))
    return (
        f"Logs for the probe:\n{log}\n\n\n\n"
        f"Metrics that would have been returned:\n{metrics}\n\n\n"
        f"Module configuration:\n{configuration}"
    )


def _log_lines(result: Result, module: str, target: str, mask: Mask) -> Iterator[str]:
    """Yield the log in logfmt, from the first line to the verdict."""

    def line(offset_seconds: float, level: str, message: str, fields: Mapping[str, object]) -> str:
        moment = datetime.fromtimestamp(result.started_timestamp_seconds + offset_seconds, UTC)
        time = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
        common = {"ts": time, "level": level, "module": module, "target": target, "msg": message}
        own = {name + "_" * (name in common): text_of(value) for name, value in fields.items()}
        return logfmt_line({**common, **own}, mask)

    yield line(0.0, "info", "Beginning probe", {"timeout_seconds": f"{result.timeout_seconds:g}"})
    for offset_seconds, message, fields in result.log:
        yield line(offset_seconds, "info", message, fields)
    ending: dict[str, object] = {"duration_seconds": f"{result.duration_seconds:.6f}"}
    if result.status is not ResultStatus.ERROR:
        yield line(result.duration_seconds, "info", "Probe succeeded", ending)
        return
    ending |= {"reason": str(result.reason or Reason.INTERNAL), "detail": result.detail}
    yield line(result.duration_seconds, "error", "Probe failed", ending)
