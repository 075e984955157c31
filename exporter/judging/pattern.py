"""Linear-time regular expressions, because they run on whatever a target sends."""

from __future__ import annotations

import re2


class Pattern:
    """A compiled RE2 pattern with its text; immutable and shared by threads.

    Attributes:
        text: The pattern as written.
        instructions: Length of the compiled program. RE2 takes linear time, but each character of a hostile text can
            cost as many steps as the program is long.
    """

    __slots__ = ("_compiled", "instructions", "text")

    def __init__(self, text: str) -> None:
        options = re2.Options()
        options.log_errors = False
        try:
            # Bytes, because for text the library needlessly maps the offsets of every match back to characters.
            self._compiled = re2.compile(text.encode(), options)
        except re2.error as error:
            said = error.args[0]
            reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            raise ValueError(f"is not an RE2 regular expression: {reason}") from error
        self.text = text
        self.instructions: int = self._compiled.programsize

    def found_in(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text."""
        return self._compiled.search(text.encode("utf-8", "replace")) is not None

    def __reduce__(self) -> tuple[type[Pattern], tuple[str]]:
        return Pattern, (self.text,)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)
