"""What a check type declares, and the contract that its executor fulfils.

One check type is one file in this package: a settings model, metric families as data, pure judgement functions, an
executor, and a `CheckType` that ties them together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

from exporter.model import MetricSpec
from exporter.net.every_address import ADDRESSES, EVERY_ADDRESS_METRICS
from exporter.settings import CheckSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from exporter.attempt import Attempt
    from exporter.http.shared import HttpShared
    from exporter.model import Check, Expectation, ExpectationOutcome, Reason, Result, Subject
    from exporter.net import Endpoint, Network


class CheckExecutor(Protocol):
    """Runs checks of one or more types; lives for one batch, or as long as the caller that registered it wants.

    `execute` runs concurrently for many checks on one event loop. It owns the protocol and the reason of a failure;
    the runner owns timeout, retries, duration and the judging of expectations.

    An executor that holds resources also has `async def aclose(self) -> None` to release them; the runner calls it
    once, after its last check.
    """

    async def execute(self, check: Check) -> Result:
        """Run the check once and return its result.

        That is `check.passed` when the protocol worked. A failure of the target is `check.failed(reason, detail)`, or a
        raised `CheckFailed`.
        """


class BlockingExecutor(Protocol):
    """Runs checks of a type that is declared `blocking`.

    An executor that holds resources also has `def close(self) -> None`, which is called once, after its last check.
    """

    def execute(self, check: Check) -> Result:
        """Run the check once and return its result; called in a thread, for several checks at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContext:
    """What a batch provides to its executors; lives as long as the batch.

    Attributes:
        http_client: The HTTP client shared by the batch; None when no type in the batch needs one.
        http_shared: Kept-alive connections, tokens and counters of HTTP; None outside a runner.
        network: Resolver and TLS contexts shared by the batch; None outside a runner.
    """

    http_client: httpx.AsyncClient | None = None
    http_shared: HttpShared | None = None
    network: Network | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of a check with its own `expect`, such as a step.

    Attributes:
        name: Its name, unique within the check; it is prefixed to the labels of its expectations.
        location: The path to its keys from the keys of the check, such as `("steps", 0)`.
        settings: Passed to `default_expectations` and `fit_expectation` for the section.
    """

    name: str
    location: tuple[str | int, ...]
    settings: CheckSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckType:
    """The declaration of a check type: a constant, used by configuration, registry, metrics and documentation.

    Attributes:
        name: The YAML value of `type` and the label `check_type`.
        description: One sentence for `--help`, the schema and the README.
        executor: Creates the executor of one batch; two types with the same callable share one instance.
        settings: The settings model.
        metrics: Every gauge family that the executor may measure, in the order of the metrics page; `phases` is put
            first unless it is listed.
        phases: The gauge family of the seconds spent in each phase: one label, `phase`, and a default of 0 for every
            phase. The runner fills it from the times that `Attempt.phase` recorded, however the attempt ended.
        subjects: The subjects that expectations can be about, in addition to `duration`.
        reasons: Reasons that normally come from a subject, such as `status`, but that this type also reports without
            an expectation; `retry_on` accepts them.
        default_expectations: Returns the default expectations in the form of the YAML key `expect`, from the settings
            and the check's own expectations. A default is dropped when the check has an expectation about the same
            subject.
        fit_expectation: Returns an expectation in the form that the settings require, such as with names as they appear
            in answers. Raises ValueError when it can never be met with these settings.
        sections: Returns the sections of a check that have their own `expect`, which is compiled into the expectations
            of the check. `exporter.model.name_within` returns the names of their observations.
        validate_target: Returns the target in the form that the executor expects.
            Raises ValueError, naming what is allowed, when the target is invalid.
        prepare: Called once, when the configuration is loaded; returns what every run of a check needs, which the check
            keeps as `prepared`. May raise CheckFailed, which each run then raises again.
        endpoint: Returns the endpoint that a check connects to, for types that connect to one by its name and whose
            settings are EveryAddressSettings; None for other types.
        conclude: Called by the runner with the outcomes of the expectations, in order, however the run ended; may
            record measurements and log lines in the attempt.
        min_interval_seconds: Default of `min_interval`.
        needs_http_client: Whether the batch must create the shared HTTP client for this type.
        runs_programs: Whether a configuration can run programs with this type. Loading rejects such a type
            unless the caller allows it, as `--enable-exec` does.
        blocking: Whether the executor has a plain `def execute`, for libraries that block while they wait. The executor
            is created and called in threads, and cannot use `open_stream` and `open_datagram`. The number of threads
            is limited. A check whose thread does not return in time is skipped until the thread returns.
    """

    name: str
    description: str
    executor: Callable[[BatchContext], CheckExecutor | BlockingExecutor]
    settings: type[CheckSettings] = CheckSettings
    metrics: tuple[MetricSpec, ...] = ()
    phases: MetricSpec | None = None
    subjects: tuple[Subject, ...] = ()
    reasons: tuple[Reason, ...] = ()
    default_expectations: Callable[[CheckSettings, Sequence[Expectation]], tuple[Mapping[str, object], ...]] = field(
        default=lambda settings, own: ()
    )
    fit_expectation: Callable[[Expectation, CheckSettings], Expectation] = field(
        default=lambda expectation, settings: expectation
    )
    sections: Callable[[CheckSettings], tuple[Section, ...]] = field(default=lambda settings: ())
    validate_target: Callable[[str, CheckSettings], str] = field(default=lambda target, settings: target)
    prepare: Callable[[Check], object] = field(default=lambda check: None)
    endpoint: Callable[[Check], Endpoint] | None = None
    conclude: Callable[[Check, Attempt, Sequence[ExpectationOutcome]], None] | None = None
    min_interval_seconds: float = 0.0
    needs_http_client: bool = False
    runs_programs: bool = False
    blocking: bool = False

    def __post_init__(self) -> None:
        """Add to the metrics and subjects what follows from `phases` and `endpoint`."""
        metrics, phases = cast("object", self.metrics), cast("object", self.phases)  # a plugin may pass anything
        subjects = cast("object", self.subjects)
        if isinstance(phases, MetricSpec) and isinstance(metrics, tuple) and phases not in metrics:
            metrics = (phases, *metrics)
        if self.endpoint is not None and isinstance(metrics, tuple) and isinstance(subjects, tuple):
            metrics += tuple(spec for spec in EVERY_ADDRESS_METRICS if spec not in metrics)
            subjects += () if ADDRESSES in subjects else (ADDRESSES,)
        object.__setattr__(self, "metrics", metrics)
        object.__setattr__(self, "subjects", subjects)
