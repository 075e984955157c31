"""The command `check-config`, and `--config.check`: load files and report all of their problems at once."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from exporter.blackbox import load_modules
from exporter.cli.outputs import destinations, write_output
from exporter.cli.program import configuration_loader
from exporter.config import top_level_keys
from exporter.errors import ConfigError
from exporter.logs import escape_unprintable
from exporter.model import Severity
from exporter.quantities import counted
from exporter.reports.github import workflow_command
from exporter.runner.registry import ExecutorRegistry
from exporter.web_config import SECTIONS, load_web_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from exporter.cli.options import Options
    from exporter.errors import ConfigProblem

FileKind = Literal["checks", "modules", "web"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFile:
    """A loaded file and its problems.

    Attributes:
        file: The file as the user named it.
        kind: The kind of configuration.
        summary: Its content in a few words; empty when it is rejected.
        problems: The reasons why it is rejected; empty when it is accepted.
        warnings: Warnings about what is allowed but probably not intended.
    """

    file: str
    kind: FileKind
    summary: str = ""
    problems: Sequence[ConfigProblem] = ()
    warnings: Sequence[ConfigProblem] = ()

    @property
    def line(self) -> str:
        """The outcome in one line."""
        if self.problems:
            return f"{self.file}: {counted(len(self.problems), 'problem')}"
        found = counted(len(self.warnings), "warning") if self.warnings else "no problems"
        return f"{self.file}: {self.summary}, {found}"

    def fails(self, fail_on: Severity) -> bool:
        """Whether this file makes the command fail."""
        return bool(self.problems or (fail_on is Severity.WARNING and self.warnings))


def check_config(options: Options) -> int:
    """Check the files that the command names, and print their problems.

    Returns:
        The exit status: 1 when one is rejected, or has a warning where warnings fail; 0 otherwise.

    Raises:
        OSError: When the output cannot be written.
    """
    files = checked_files(options)
    formats: dict[str, Callable[[Sequence[CheckedFile]], str]] = {"json": _as_json, "github": _as_github}
    for output in destinations(options):
        if output.format in formats:
            write_output(output, formats[output.format](files))
        elif output.path is not None:
            write_output(output, "".join(f"{line}\n" for each in files for line in (*_problem_lines(each), each.line)))
        else:
            print_problems(files)
            sys.stdout.write("".join(f"{escape_unprintable(each.line)}\n" for each in files))
    return int(any(each.fails(Severity(options.fail_on)) for each in files))


def print_problems(files: Sequence[CheckedFile]) -> None:
    """Print the problems of the files to standard error, one per line."""
    sys.stderr.write("".join(f"{line}\n" for each in files for line in _problem_lines(each)))


def checked_files(options: Options) -> list[CheckedFile]:
    """Load every file that the options name; the keys of a file named by the command determine its kind."""
    kinds: list[tuple[FileKind, str | None]] = [
        ("checks", options.config_file),
        ("modules", options.blackbox_config_file),
        ("web", options.web_config_file),
        *((_kind_of(Path(file)), file) for file in options.files),
    ]
    loaders: Mapping[FileKind, Callable[[str, Options], CheckedFile]] = {
        "checks": _checks,
        "modules": _modules,
        "web": _web,
    }
    found = []
    for kind, file in kinds:
        if file is None:
            continue
        try:
            found.append(loaders[kind](file, options))
        except ConfigError as error:
            found.append(CheckedFile(file=file, kind=kind, problems=error.problems))
    return found


def _kind_of(path: Path) -> FileKind:
    keys = top_level_keys(path)
    if "modules" in keys:
        return "modules"
    return "checks" if SECTIONS.keys().isdisjoint(keys) else "web"


def _checks(file: str, options: Options) -> CheckedFile:
    with ExitStack() as stack:
        registry = ExecutorRegistry.with_builtins()
        config = configuration_loader(file, registry, stack, allow_programs=options.enable_exec)()
    disabled = f" and {len(config.disabled)} disabled" if config.disabled else ""
    return CheckedFile(file=config.file, kind="checks", summary=f"{config.summary}{disabled}", warnings=config.warnings)


def _modules(file: str, _options: Options) -> CheckedFile:
    modules = load_modules(Path(file))
    return CheckedFile(file=modules.file, kind="modules", summary=modules.summary, warnings=modules.warnings)


def _web(file: str, options: Options) -> CheckedFile:
    config = load_web_config(Path(file), open_health=options.open_health)
    return CheckedFile(file=config.file, kind="web", summary=config.summary, warnings=config.warnings)


def _problem_lines(checked: CheckedFile) -> Iterator[str]:
    yield from map(str, checked.problems)
    yield from (f"warning: {warning}" for warning in checked.warnings)


def _as_json(files: Sequence[CheckedFile]) -> str:
    document = {
        "ok": not any(each.problems for each in files),
        "files": [
            {
                "file": each.file,
                "kind": each.kind,
                "ok": not each.problems,
                "summary": each.summary,
                "problems": [_problem(problem, "error") for problem in each.problems]
                + [_problem(warning, "warning") for warning in each.warnings],
            }
            for each in files
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _problem(problem: ConfigProblem, severity: str) -> dict[str, object]:
    return {
        "severity": severity,
        "file": problem.file,
        "line": problem.line or None,
        "column": problem.column or None,
        "path": problem.path,
        "message": problem.message,
    }


def _as_github(files: Sequence[CheckedFile]) -> str:
    problems = [_annotation(problem, "error") for each in files for problem in each.problems]
    warnings = [_annotation(warning, "warning") for each in files for warning in each.warnings]
    return "".join([*problems, *warnings, *(f"{escape_unprintable(each.line)}\n" for each in files)])


def _annotation(problem: ConfigProblem, level: Literal["error", "warning"]) -> str:
    message = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return workflow_command(level, message, file=problem.file, line=problem.line, column=problem.column)
