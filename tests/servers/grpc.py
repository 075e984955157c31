"""A gRPC server with the standard health service, made with grpcio."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.certificates import Certificate

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcServer(NamedTuple):
    """A running server: its port, its health service, and the metadata of every call."""

    port: int
    health: health.HealthServicer
    calls: list[dict[str, str | bytes]]

    @property
    def target(self) -> str:
        """Host and port, as in a check's `target`."""
        return f"127.0.0.1:{self.port}"


class _Recorder(grpc.ServerInterceptor):
    """Records the metadata of every call, and ends those of a method with an error if one is given."""

    def __init__(self, calls: list[dict[str, str | bytes]], abort: Callable[[Any], None] | None) -> None:
        self._calls = calls
        self._abort = abort

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        self._calls.append(dict(details.invocation_metadata))
        if self._abort is None:
            return continuation(details)

        def refuse(_request: object, context: Any) -> None:
            self._calls[-1]["time remaining"] = str(context.time_remaining())
            self._abort(context)  # type: ignore[misc] # it is set, as was looked at above

        return grpc.unary_unary_rpc_method_handler(refuse)


@contextmanager
def run_grpc(
    certificate: Certificate | None = None,
    *,
    abort: Callable[[Any], None] | None = None,
    with_health: bool = True,
    host: str = "127.0.0.1",
) -> Iterator[GrpcServer]:
    """Serve for the duration of the block; the server as a whole is serving.

    Args:
        certificate: What is presented; None for a clear port.
        abort: Called with the context of every call instead of answering it.
        with_health: Whether there is a health service.
        host: The address to listen on.
    """
    calls: list[dict[str, str | bytes]] = []
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[_Recorder(calls, abort)])
    servicer = health.HealthServicer()
    servicer.set("", SERVING)
    if with_health:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if certificate is None:
        port = server.add_insecure_port(f"{host}:0")
    else:
        credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
        port = server.add_secure_port(f"{host}:0", credentials)
    server.start()
    try:
        yield GrpcServer(port, servicer, calls)
    finally:
        server.stop(0).wait(5)
