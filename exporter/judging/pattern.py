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

    @property
    def group_count(self) -> int:
        """How many groups the pattern captures."""
        return int(self._compiled.groups)

    @property
    def group_names(self) -> tuple[str, ...]:
        """The names of the groups that have one."""
        return tuple(name.decode() for name in self._compiled.groupindex)

    def captured_in(self, text: str) -> dict[str, str] | None:
        """Return what the groups of the first match captured, by number and by name; None without a match.

        Group 0 is the whole match. A group that took no part in the match captured an empty text.
        """
        match = self._compiled.search(text.encode("utf-8", "replace"))
        if match is None:
            return None
        groups = [(octets or b"").decode(errors="replace") for octets in (match.group(0), *match.groups())]
        captured = {str(number): group for number, group in enumerate(groups)}
        return captured | {name.decode(): groups[number] for name, number in self._compiled.groupindex.items()}

    def first_captured_in(self, text: str) -> str | None:
        """Return what the first group of the first match captured, or the match if there is no group; None without."""
        groups = self.captured_in(text)
        return None if groups is None else groups["1" if self.group_count else "0"]

    def __reduce__(self) -> tuple[type[Pattern], tuple[str]]:
        return Pattern, (self.text,)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)
