"""Maps check types to executors: recipes live for the process, instances for a batch.

A recipe is an instance the caller owns, or a factory that receives the batch's context. The instances made from it are
in `executors`, so that overlapping batches share none and no batch closes another's.
"""

from __future__ import annotations

import logging
from operator import attrgetter
from typing import TYPE_CHECKING, Self

from exporter.checks.builtin import BUILTIN
from exporter.config.plugins import contract_faults
from exporter.errors import UnknownCheckTypeError
from exporter.foreign import text_of
from exporter.runner.check_threads import CheckThreads
from exporter.runner.declared import DeclaredSeries
from exporter.runner.executors import BatchExecutors, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.checks.base import BatchContext, CheckExecutor, CheckType
    from exporter.runner.executors import ExecutorFactory

logger = logging.getLogger(__name__)


def _declared_by(check_type: CheckType, *, is_trusted: bool = False) -> DeclaredSeries:
    return DeclaredSeries(
        check_type.metrics, phases=check_type.phases, conclude=check_type.conclude, is_trusted=is_trusted
    )


class ExecutorRegistry:
    """The check types that the program knows and how to create their executors; lives for the process.

    One thread at a time registers types, at startup and on reloads. Any thread may read the registry at the same time;
    one that iterates over a mapping copies it first, since a reload may add and remove types.

    Attributes:
        check_threads: The threads of blocking types.
    """

    def __init__(self) -> None:
        self._recipes: dict[str, Recipe] = {}
        self._check_types: dict[str, CheckType] = {}
        self._self_run: dict[str, CheckType] = {}
        self._declared: dict[str, DeclaredSeries] = {}
        self.check_threads = CheckThreads()
        self._own_types: dict[str, CheckType] = {}
        self._trusted_types: tuple[CheckType, ...] = ()

    @classmethod
    def with_builtins(cls) -> Self:
        """Return a registry of the built-in check types."""
        registry = cls()
        registry._trusted_types = BUILTIN
        for check_type in BUILTIN:
            registry.register_type(check_type)
        return registry

    def register(self, check_type: str, executor: CheckExecutor) -> None:
        """Run all checks of a type with this instance, replacing an earlier executor; the caller owns and closes it."""
        self._replace(check_type, Recipe(instance=executor))

    def register_factory(self, check_type: str, factory: ExecutorFactory, *, needs_http_client: bool = False) -> None:
        """Create the executor of a type with this factory for each batch, replacing an earlier executor.

        Args:
            check_type: The type.
            factory: Receives the batch's context; the batch closes what it returns.
            needs_http_client: Whether the context must contain the shared HTTP client.
        """
        self._replace(check_type, Recipe(factory=factory, needs_http_client=needs_http_client))

    def register_type(self, check_type: CheckType) -> None:
        """Register a declared type: its executor for the runner, its settings and metrics for everything else.

        Raises:
            ValueError: When the type breaks the contract of check types; the message lists how.
        """
        if not self._is_trusted(check_type) and (faults := contract_faults(check_type)):
            raise ValueError(f"the check type {text_of(check_type.name)} {'; it '.join(faults)}")
        self._register(check_type)
        self._own_types[check_type.name] = check_type

    def types_with(self, plugins: Iterable[CheckType]) -> dict[str, CheckType]:
        """Return the declared types by name as they are once these types of plugins are registered."""
        return {**self._own_types, **{check_type.name: check_type for check_type in plugins}}

    def register_plugins(self, check_types: Iterable[CheckType]) -> None:
        """Register the types of a configuration's plugins, remove those of an earlier one, and log the difference.

        A type that a plugin of an earlier configuration replaced gets its place back.
        """
        wanted = self.types_with(check_types)
        for name in self._check_types.keys() - wanted.keys():
            for known in (self._check_types, self._recipes, self._self_run, self._declared):
                known.pop(name, None)
            logger.info("check type %s is gone with its plugin", name)
        for name, check_type in wanted.items():
            if self._check_types.get(name) is not check_type:
                self._register(check_type)
                origin = (
                    "is the exporter's own again" if self._own_types.get(name) is check_type else "comes from a plugin"
                )
                logger.info("check type %s %s", name, origin)

    def _register(self, check_type: CheckType) -> None:
        name = check_type.name
        self._check_types[name] = self._self_run[name] = check_type
        self._recipes[name] = Recipe(
            factory=check_type.executor,
            needs_http_client=check_type.needs_http_client,
            blocking=check_type.blocking,
        )
        self._declared[name] = _declared_by(check_type, is_trusted=self._is_trusted(check_type))

    def _is_trusted(self, check_type: CheckType) -> bool:
        return any(check_type is one for one in self._trusted_types)

    def _replace(self, check_type: str, recipe: Recipe) -> None:
        """Replace the recipe of a type: its executor is no longer the one that the type declares, nor trusted."""
        self._recipes[check_type] = recipe
        self._self_run.pop(check_type, None)
        declaration = self._check_types.get(check_type)
        self._declared[check_type] = DeclaredSeries() if declaration is None else _declared_by(declaration)

    def list_registered_types(self) -> list[str]:
        """Return the names of all types that have an executor, sorted."""
        return sorted(self._recipes)

    @property
    def check_types(self) -> Mapping[str, CheckType]:
        """The declared types by name; types registered by executor alone declare nothing and are not included."""
        return self._check_types

    @property
    def own_types(self) -> Mapping[str, CheckType]:
        """The declared types by name, without those of plugins: what a configuration may use and plugins build upon."""
        return self._own_types

    @property
    def self_run_types(self) -> Mapping[str, CheckType]:
        """The declared types that still run with the executor they declare, by name."""
        return self._self_run

    def require(self, check_types: Iterable[str]) -> None:
        """Verify that every type has an executor, before anything is started.

        Raises:
            UnknownCheckTypeError: For the first type, in sorted order, that has none.
        """
        for check_type in sorted(set(check_types) - self._recipes.keys()):
            raise UnknownCheckTypeError(check_type, self._recipes)

    def needs_http_client(self, check_types: Iterable[str]) -> bool:
        """Return whether any of these types needs the shared HTTP client."""
        recipes = map(self._recipes.__getitem__, check_types)
        return any(map(attrgetter("needs_http_client"), recipes))

    def for_batch(self, context: BatchContext) -> BatchExecutors:
        """Return the executors of one batch, based on a snapshot of the recipes; the batch closes them."""
        return BatchExecutors(dict(self._recipes), context, dict(self._declared), self.check_threads)
