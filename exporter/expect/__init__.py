"""The expectation language: judges whether observed values are as expected. Pure; the same for every check type.

An expectation is a subject, an operator and an operand that was compiled when the configuration was loaded.
`OPERATORS` lists the operators for each kind of value. They mean:

- `eq ne lt le gt ge` compare; `in` holds when the value is one of the operand's, `none_of` when it is none of them.
- `contains` looks for a text within the text (JSON: for an element of an array, a key of an object).
- `matches`, `not_matches` search a text with an RE2 pattern, unanchored.
- `exists: true` holds when there is a value, `exists: false` when there is none.
- With several values (the answers of a name server, a JSON array), `eq` compares them as a set, `in` requires all of
  them to be among the operand's, `any_of` requires at least one of the operand's to be among them, `all_of` all of the
  operand's, `none_of` none; `contains` and `matches` hold when they hold for one value, `not_matches` when for none.
- With lines (what a server sends), `eq`, `in`, `contains` and `matches` hold when they hold for one of them, while
  `ne`, `none_of` and `not_matches` judge the first.
- With addresses, `eq`, `in` and `any_of` hold when the address is, or is within, one of the operand's; `ne` and
  `none_of` when it is not.
- `lt le gt ge` count days to the second; `eq ne in none_of` compare whole days, rounded down.

A missing value (None, JSON null, no answers) or one of the wrong kind fails every operator except `ne`, `not_matches`,
`none_of` and, when it is missing, `exists: false`: these exclude values, and none of those was observed.
With `missing_ok` a missing value is accepted by every operator. With `as_number` a text that is a number counts as one.
A group holds when one of its parts (`any_of`) or all of them (`all_of`) hold; one whose outcome depends on a part that
could not be evaluated fails as not evaluated.
NaN equals no number and has no order. A subject that the run did not reach fails as not evaluated.
"""

from __future__ import annotations

from exporter.expect.comparing import TextPattern
from exporter.expect.judging import evaluate
from exporter.expect.operators import DURATION, OPERATORS

__all__ = ["DURATION", "OPERATORS", "TextPattern", "evaluate"]
