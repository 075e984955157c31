"""What a check type declares about itself, and the contract its executor fulfils.

One check type is one file in this package: a settings model, metric families as data, pure judgement functions, an
executor, and a `CheckType` that ties them together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from exporter.settings import CheckSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from exporter.http.shared import HttpShared
    from exporter.model import Check, Expectation, MetricSpec, Result, Subject
    from exporter.net import Network


class CheckExecutor(Protocol):
    """Runs checks of one or more types; lives for one batch (or as long as the caller who registered it wants).

    `execute` runs concurrently for many checks on one event loop. It owns the protocol and the reason of a failure;
    the runner owns timeout, retries, duration and the judging of expectations.

    An executor that holds something also has `async def aclose(self) -> None`, which releases it; the runner calls it
    once, after its last check.
    """

    async def execute(self, check: Check) -> Result:
        """Run the check once and tell what came of it.

        A failure of the target is a Result with `ResultStatus.ERROR` and a reason, or a raised `CheckFailed`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContext:
    """What a batch lends to its executors; lives as long as the batch.

    Attributes:
        http_client: The HTTP client shared by the batch; None when no type in the batch asked for one.
        http_shared: Kept connections, tokens and counts of HTTP; None outside a runner.
        network: Resolver and TLS contexts shared by the batch; None outside a runner.
    """

    http_client: httpx.AsyncClient | None = None
    http_shared: HttpShared | None = None
    network: Network | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckType:
    """The declaration of a check type; a constant, read by configuration, registry, metrics and documentation.

    Attributes:
        name: The YAML value of `type` and the label `check_type`.
        description: One sentence for `--help`, the schema and the README.
        executor: Makes the executor of one batch; two types with the same callable share one instance.
        settings: The settings model.
        metrics: Every gauge family its executor may measure, in the order of the page.
        subjects: What expectations of this type can be about, besides `duration`.
        default_expectations: Gives the expectations that hold when none of the check's own, which it is told, has the
            same subject; in the form of the YAML key `expect`.
        fit_expectation: Gives an expectation in the form that the settings ask for, such as names as answers have them.
            Raises ValueError when it can never be met with them.
        validate_target: Gives the target in the form the executor wants.
            Raises ValueError with what is allowed when it cannot be one.
        prepare: Works out what every run of a check does, once, when the configuration is loaded; the check keeps it as
            `prepared`. May raise CheckFailed, which a run then raises again.
        min_interval_seconds: Default of `min_interval`.
        needs_http_client: Whether the batch must make the shared HTTP client for it.
    """

    name: str
    description: str
    executor: Callable[[BatchContext], CheckExecutor]
    settings: type[CheckSettings] = CheckSettings
    metrics: tuple[MetricSpec, ...] = ()
    subjects: tuple[Subject, ...] = ()
    default_expectations: Callable[[CheckSettings, Sequence[Expectation]], tuple[Mapping[str, object], ...]] = field(
        default=lambda settings, own: ()
    )
    fit_expectation: Callable[[Expectation, CheckSettings], Expectation] = field(
        default=lambda expectation, settings: expectation
    )
    validate_target: Callable[[str, CheckSettings], str] = field(default=lambda target, settings: target)
    prepare: Callable[[Check], object] = field(default=lambda check: None)
    min_interval_seconds: float = 0.0
    needs_http_client: bool = False
