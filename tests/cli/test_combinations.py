"""Options that cannot be combined, and outputs that can."""

from __future__ import annotations

import pytest

from exporter.cli.arguments import parse_arguments
from exporter.cli.flag_values import Output
from exporter.cli.options import UsageError

FORMATS = "table, json, junit, github, prometheus"


def test_several_outputs_go_together() -> None:
    """One on the standard output, the others in files; a path may contain colons."""
    arguments = ["run", "--output=table", "--output=junit:report.xml", "--output=json:a:b.json"]
    assert parse_arguments(arguments, {}).outputs == (
        Output("table", None),
        Output("junit", "report.xml"),
        Output("json", "a:b.json"),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "--output=json --output=junit",
            "--output: json and junit cannot share the standard output; add a path, as in junit:PATH",
        ),
        ("--output=xml", f"--output: 'xml' is not one of {FORMATS}; a path may follow, as in junit:report.xml"),
        ("--output=x.yml", f"--output: 'x.yml' is not one of {FORMATS}; a path may follow, as in json:PATH"),
        ("--output=json:", "--output: '' is not a path"),
        (
            "--output=json:a --output.file=b",
            "--output.file is allowed with one --output only; give each its own path, as in junit:PATH",
        ),
        ("--textfile=checks.txt", "--textfile: 'checks.txt' must end in .prom, or node_exporter does not read it"),
        (
            "--repeat=2 --output=junit",
            "--repeat summarizes several rounds; only table or json can show that",
        ),
        (
            "--repeat=2 --textfile=x.prom",
            "--repeat summarizes several rounds; only table or json can show that",
        ),
        (
            "--repeat=2 --watch=1s",
            "--watch and --repeat cannot be combined",
        ),
        ("--watch=1s --output=json", "--watch redraws a table; other outputs need a path, as in json:PATH"),
        ("--watch=1s -v", "--verbose explains a single run; it cannot be combined with --watch"),
        ("--repeat=2 --verbose", "--verbose explains a single run; it cannot be combined with --repeat"),
        ("--watch=5", "--watch: '5' is not a duration; write 5s"),
        ("--fail-on=never", "--fail-on: 'never' is not one of error, warning"),
        ("--label=team", "--label: 'team' is not a label; write its name and value, such as team=web"),
        ("-x", "unknown flag -x"),
    ],
)
def test_contradicting_options_are_rejected(line: str, message: str) -> None:
    """The error is one line with the correct form."""
    with pytest.raises(UsageError) as caught:
        parse_arguments(["run", *line.split()], {})
    assert str(caught.value) == message
