"""The composition root: creates the parts of the program and determines how long each lives."""

from __future__ import annotations

import resource
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from anyio.from_thread import BlockingPortalProvider

from exporter.config import Config, LiveConfig, is_pipe, load_config, parse_config, piped_loader
from exporter.net import Network
from exporter.runner.registry import ExecutorRegistry
from exporter.runner.runner import AsyncCheckRunner

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from exporter.blackbox import Modules
    from exporter.cli.options import Options
    from exporter.masking import Masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The parts that every command uses; lives as long as the command.

    Attributes:
        registry: The check types, those of plugins included.
        live_config: The configuration in force.
        network: Resolver, TLS contexts and connections shared by all batches.
        runner: Runs the checks.
        is_demo: Whether the configuration is the built-in demo.
        live_modules: The modules in force; None without a blackbox.yml.
        has_files: Whether the configuration has files to watch, so that it is neither the demo nor from a pipe.
    """

    registry: ExecutorRegistry
    live_config: LiveConfig
    network: Network
    runner: AsyncCheckRunner
    is_demo: bool
    has_files: bool
    live_modules: LiveConfig[Modules] | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the runner runs checks on."""
        loop = self.runner.loop
        assert loop is not None  # noqa: S101 - a lease is held from the start
        return loop


@contextmanager
def open_program(options: Options, masks: Masks | None = None) -> Iterator[Program]:
    """Load the configuration, start the event loop for the checks and, for the demo, its targets.

    One lease of the loop is held until the end, so that it stays warm between batches.

    Args:
        options: The command line.
        masks: Receives the secrets of the configuration; new masks by default.

    Raises:
        ConfigError: When the configuration is rejected.
        OSError: When the demo cannot be started.
    """
    with ExitStack() as stack:
        registry = ExecutorRegistry.with_builtins()
        modules_file = options.blackbox_config_file
        has_files = options.config_file is not None and not is_pipe(Path(options.config_file))
        load = configuration_loader(
            options.config_file,
            registry,
            stack,
            modules_file=modules_file,
            allow_programs=options.enable_exec,
        )
        live_config: LiveConfig[Config] = LiveConfig(load, load(), masks)
        live_modules = None
        if modules_file is not None:
            from exporter.blackbox import load_modules  # noqa: PLC0415 - only needed with modules

            load_these = partial(load_modules, Path(modules_file))
            live_modules = LiveConfig(load_these, load_these(), live_config.masks)
            live_config.attach(live_modules)
        registry.register_plugins(live_config.current.plugins)
        provider = BlockingPortalProvider("asyncio", {"use_uvloop": find_spec("uvloop") is not None})
        network = Network()
        runner = AsyncCheckRunner(provider, registry, buffer_size=options.buffer_size, network=network)
        stack.enter_context(runner.hold_loop())
        yield Program(
            registry=registry,
            live_config=live_config,
            network=network,
            runner=runner,
            is_demo=options.config_file is None and modules_file is None,
            has_files=has_files or modules_file is not None,
            live_modules=live_modules,
        )


def configuration_loader(
    config_file: str | None,
    registry: ExecutorRegistry,
    stack: ExitStack,
    *,
    modules_file: str | None = None,
    allow_programs: bool = False,
) -> Callable[[], Config]:
    """Return a function that loads the configuration, at the start and for each reload.

    Args:
        config_file: The file; None starts the demo and loads its checks, unless there are modules.
        registry: The check types, besides those of the plugins that a configuration names.
        stack: Stops the demo's targets when it is closed.
        modules_file: The file of the modules; None without modules. Without `config_file`, there are then no checks.
        allow_programs: Whether checks may have types that run programs.

    Raises:
        ConfigError: When the file is a pipe, which is read here, and that fails.
    """
    if config_file is not None:
        path = Path(config_file)
        if is_pipe(path):
            return piped_loader(path, registry.own_types, allow_programs=allow_programs)
        return lambda: load_config(path, registry.own_types, allow_programs=allow_programs)
    if modules_file is not None:
        without_checks = Config(checks=(), file=modules_file)
        return lambda: without_checks
    from exporter.demo import DEMO_FILE, run_demo  # noqa: PLC0415 - only needed without a configuration

    text = stack.enter_context(run_demo()).configuration
    return lambda: parse_config(text, DEMO_FILE, registry.own_types)


def allow_open_files() -> None:
    """Raise the soft limit on open files to the hard one; if the system refuses, nothing changes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems refuse a soft limit that is unlimited
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
