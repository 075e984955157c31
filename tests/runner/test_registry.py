"""The registry's contents for the process, and its executors for one batch."""

from __future__ import annotations

import pytest
from anyio.from_thread import BlockingPortalProvider

from exporter import AsyncCheckRunner, Check
from exporter.checks.base import BatchContext, CheckType
from exporter.errors import UnknownCheckTypeError
from exporter.runner.executors import Closings
from exporter.runner.registry import ExecutorRegistry
from tests.servers.executors import FailingToClose, Healthy, NeverClosing


def test_registered_types_are_listed_in_order() -> None:
    """Instances, factories and declared types are all listed, sorted."""
    registry = ExecutorRegistry()
    registry.register("zulu", Healthy())
    registry.register_factory("alpha", lambda _: Healthy())
    registry.register_type(CheckType(name="mike", description="", executor=lambda _: Healthy()))
    assert registry.list_registered_types() == ["alpha", "mike", "zulu"]
    assert list(registry.check_types) == ["mike"]


def test_an_unknown_type_names_what_is_known() -> None:
    """The error has the requested type and the registered ones, in its message and as attributes."""
    registry = ExecutorRegistry()
    registry.register("dns", Healthy())
    registry.register("http", Healthy())
    with pytest.raises(UnknownCheckTypeError) as caught:
        registry.for_batch(BatchContext()).get_executor("htttp")
    assert caught.value.check_type == "htttp"
    assert caught.value.registered_types == ("dns", "http")
    assert str(caught.value) == "no executor is registered for check type 'htttp'; registered types: dns, http"


def test_an_instance_is_given_as_it_was_registered() -> None:
    """A registered instance is the executor of its type in every batch."""
    mine = Healthy()
    registry = ExecutorRegistry()
    registry.register("mine", mine)
    assert registry.for_batch(BatchContext()).get_executor("mine") is mine


def test_registering_again_replaces_a_built_in_type() -> None:
    """Another executor can replace that of any type, built-in or not."""
    mine = Healthy()
    registry = ExecutorRegistry.with_builtins()
    registry.register("http", mine)
    assert registry.for_batch(BatchContext()).get_executor("http") is mine


def test_a_factory_gets_the_context_of_its_batch() -> None:
    """Each batch makes its own executor, once, from its own context."""
    contexts: list[BatchContext] = []

    def make(context: BatchContext) -> Healthy:
        contexts.append(context)
        return Healthy()

    registry = ExecutorRegistry()
    registry.register_factory("made", make)
    first, second = BatchContext(), BatchContext()
    batches = [registry.for_batch(context) for context in (first, second)]
    executors = [batch.get_executor("made") for batch in batches for _ in range(2)]
    assert contexts[0] is first
    assert contexts[1] is second
    assert len(contexts) == 2
    assert executors[0] is executors[1] is not executors[2]


def test_the_http_client_is_made_for_a_factory_that_needs_it() -> None:
    """Only a batch with a type that needs it has a client."""
    has_client: list[bool] = []

    def make(context: BatchContext) -> Healthy:
        has_client.append(context.http_client is not None)
        return Healthy()

    registry = ExecutorRegistry()
    registry.register_factory("plain", make)
    registry.register_factory("web", make, needs_http_client=True)
    runner = AsyncCheckRunner(BlockingPortalProvider("asyncio"), registry)
    for check_type in ("plain", "web"):
        runner.run_all([Check(name="one", check_type=check_type, target="x")], lambda _: None)
    assert has_client == [False, True]


async def test_closing_a_batch_closes_what_it_made_and_nothing_else() -> None:
    """Executors of the batch are closed once; the caller's instances and other batches' executors are left alone."""
    mine = Healthy()
    registry = ExecutorRegistry()
    registry.register("mine", mine)
    registry.register_factory("made", lambda _: Healthy())
    batch, other = registry.for_batch(BatchContext()), registry.for_batch(BatchContext())
    made, others = batch.get_executor("made"), other.get_executor("made")
    batch.get_executor("mine")
    closings = [*await batch.aclose_all(Closings()), *await batch.aclose_all(Closings())]
    assert isinstance(made, Healthy)
    assert isinstance(others, Healthy)
    assert [(closing.resource, closing.failed) for closing in closings] == [("made", False)]
    assert (made.closed, others.closed, mine.closed) == (1, 0, 0)


async def test_one_closing_that_fails_and_one_that_hangs_hold_up_no_other() -> None:
    """Closings run concurrently in a bounded time, and each has a result."""
    registry = ExecutorRegistry()
    registry.register_factory("failing", lambda _: FailingToClose())
    hanging = NeverClosing()
    registry.register_factory("hanging", lambda _: hanging)
    registry.register_factory("fine", lambda _: Healthy())
    batch = registry.for_batch(BatchContext())
    for check_type in ("failing", "hanging", "fine"):
        batch.get_executor(check_type)
    closings = await batch.aclose_all(Closings(limit_seconds=0.1))
    hanging.released.set()
    assert {closing.resource: closing.failed for closing in closings} == {
        "failing": True,
        "hanging": True,
        "fine": False,
    }
    assert max(closing.seconds for closing in closings) < 10
