"""All exceptions that the exporter raises on purpose, in one small hierarchy.

`exporter.net` and the check types map library exceptions (OSError, ssl, httpx, dnspython) to these; code above them
never branches on a library's exception or on the text of a message.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from exporter.model import Reason

_MOST_LOOKED_UP = 3
_LONGEST_LOOKED_UP = 200
"""Any client may ask for any names, and the time to compare two names grows with their length."""


class ExporterError(Exception):
    """Base class of all errors raised on purpose."""


class UnknownCheckTypeError(ExporterError):
    """Raised before a batch starts when no executor is registered for one of its check types.

    Attributes:
        check_type: The requested type.
        registered_types: The types that are registered, sorted.
    """

    def __init__(self, check_type: str, registered_types: Iterable[str]) -> None:
        self.check_type = check_type
        self.registered_types = tuple(sorted(registered_types))
        known = ", ".join(self.registered_types) or "none"
        super().__init__(f"no executor is registered for check type {check_type!r}; registered types: {known}")


class UnknownCheckNameError(ExporterError):
    """Raised before anything runs when a scrape asks for checks that are not configured.

    The message suggests similar configured names.

    Attributes:
        check_names: The unknown names, sorted.
    """

    def __init__(self, check_names: Iterable[str], configured_names: Iterable[str]) -> None:
        self.check_names = tuple(sorted(check_names))
        configured = tuple(configured_names)
        looked_up = [name[:_LONGEST_LOOKED_UP] for name in self.check_names[:_MOST_LOOKED_UP]]
        near = {match for name in looked_up for match in get_close_matches(name, configured, n=1)}
        suggestion = f"; did you mean {', '.join(map(repr, sorted(near)))}?" if near else ""
        super().__init__(f"no check is named {', '.join(map(repr, self.check_names))}{suggestion}")


class UnselectedError(ExporterError):
    """Raised before anything runs if the checks that the command line selects cannot be run."""


class CheckFailed(ExporterError):  # noqa: N818 - an outcome of a check, not a fault of the program
    """Raised by protocol code and executors when a target did not do what it should.

    Attributes:
        reason: The kind of failure, from the closed set.
        detail: One sentence for the log and the page of the check; never a label.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")

    def fresh_copy(self) -> CheckFailed:
        """Return a copy of this failure to raise, for code that keeps the original.

        A raised exception refers to the frames it passed through. If one of these frames kept it, only the garbage
        collector could free it, along with the memory that a library holds for the connection.
        """
        self.__traceback__ = None
        return CheckFailed(self.reason, self.detail)


class ConfigProblem(ExporterError):  # noqa: N818 - collected and shown together, raised only inside ConfigError
    """One error in a configuration file.

    Attributes:
        file: The file as named on the command line or in `include`.
        line: Line, from 1; 0 for the file as a whole.
        column: Column, from 1; 0 for the file as a whole.
        path: Place in the document, such as `checks[3].timeout`; empty for the document itself.
        message: What is wrong and what is allowed.
    """

    def __init__(self, file: str, line: int, column: int, path: str, message: str) -> None:
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.message = message
        place = f"{file}:{line}:{column}" if line else file
        super().__init__(f"{place}: {path}: {message}" if path else f"{place}: {message}")


class ConfigError(ExporterError):
    """Raised when a configuration is rejected; carries all problems, not only the first.

    Attributes:
        problems: At least one problem, ordered by file, line and column.
        files: Every file that was read or not found: a change to one of them may fix the configuration.
    """

    def __init__(self, problems: Sequence[ConfigProblem], files: Sequence[Path] = ()) -> None:
        self.problems = tuple(problems)
        self.files = tuple(files)
        super().__init__("\n".join(str(problem) for problem in self.problems))
