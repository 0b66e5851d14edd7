"""``wreckognize serve``: a model behind HTTP."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from wreckognize.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from wreckognize.serving.order import Order


@dataclass(frozen=True, slots=True)
class RayPlan:
    """How the service is spread over a Ray cluster.

    Attributes:
        address: of the cluster; None starts Ray on this machine.
        replicas: copies, ``3`` or ``2-10``.
        cores: of each.
    """

    address: str | None
    replicas: str
    cores: int


def ray_plan(
    on: str | None, *, address: str | None, replicas: str | None, cores: int | None, workers: int
) -> RayPlan | None:
    """What the options say about Ray; None: this machine serves.

    Raises:
        UsageError: options that do not go together.
    """
    if on == "ray":
        if workers != 1:
            raise UsageError("on Ray there are copies, not workers", where="--workers", remedy="give --replicas")
        return RayPlan(address, replicas or "1", cores or 1)
    given = {"--address": address, "--replicas": replicas, "--cores": cores}
    useless = [option for option, value in given.items() if value is not None]
    if useless:
        raise UsageError("means something on Ray only", where=", ".join(useless), remedy="add `--on ray`")
    return None


def serve_bundle(
    folder: Path,
    *,
    host: str,
    port: int,
    workers: int,
    spare: bool = True,
    drift: Path | None,
    drain: float,
    feedback: str | None = None,
    feedback_most: int = 10_000,
    ray: RayPlan | None = None,
    **limits: Any,
) -> None:
    """Serve a bundle until a signal.

    Args:
        folder: of the bundle.
        host: to listen on.
        port: to listen on; 0: any.
        workers: processes.
        spare: one more stands by where there are several.
        drift: a folder that keeps what drift is reckoned from.
        drain: seconds between SIGTERM and the closing of the port.
        feedback: a folder or URL that keeps corrections.
        feedback_most: so many are kept there.
        ray: serve on the machines of a Ray cluster; None: on this machine.
        limits: of `ServiceSettings`.

    Raises:
        UsageError: the port is taken, the bundle cannot be read, or the keys cannot.
        ClusterError: the cluster cannot be had, or no copy starts there.
        MissingExtraError: the extra [serve] is not installed, or what runs the model.
    """
    if any(find_spec(name) is None for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client")):
        raise MissingExtraError("serve", "`wreckognize serve`")
    from wreckognize.exporting.bundle import read_bundle
    from wreckognize.serving.keys import read_keys
    from wreckognize.serving.logs import JsonLog
    from wreckognize.serving.order import Order
    from wreckognize.serving.settings import ServiceSettings

    manifest = read_bundle(folder).manifest
    settings = ServiceSettings(**limits)
    if settings.keys is not None:
        read_keys(settings.keys)  # wrong use is said here, before anything is started
    if feedback is not None:
        from wreckognize.serving.feedback_store import FeedbackStore
        from wreckognize.urls import url_of

        feedback = url_of(feedback) or str(Path(feedback).absolute())
        FeedbackStore.at(feedback)  # likewise
    order = Order(
        bundle=folder.absolute(),
        settings=settings,
        workers=workers,
        spare=spare,
        drain=drain,
        drift=drift,
        feedback=feedback,
        feedback_most=feedback_most,
    )
    if ray is not None:
        _serve_on_ray(replace(order, drift=drift and drift.absolute()), ray, host, port)
        return
    log, sock = JsonLog(), bound(host, port)
    url = f"http://{host}:{sock.getsockname()[1]}"
    log("serving", url=url, model=manifest.name, version=manifest.version, workers=workers)
    if workers > 1:
        from wreckognize.serving.parent import Parent

        Parent(order, sock, log).run()
    else:
        from wreckognize.serving.worker import serve

        serve(order, sock, log)


def _serve_on_ray(order: Order, plan: RayPlan, host: str, port: int) -> None:
    from wreckognize.scale.serving import Copies, serve_application
    from wreckognize.serving.logs import JsonLog
    from wreckognize.serving.replica import builder, is_sound

    least, most = Copies.parse(plan.replicas)
    if port == 0:
        raise UsageError(
            "on Ray the port must be named", where="--port", remedy="give one that is free on all nodes"
        )
    if plan.address is None:
        bound(host, port).close()  # a port that is taken is said here; on a cluster it is for its nodes to say
    settings = replace(order.settings, keys=order.settings.keys and order.settings.keys.absolute())
    order = replace(order, settings=settings, workers=most, cores=plan.cores)
    copies = Copies(
        least=least,
        most=most,
        cores=plan.cores,
        open_each=max(1, settings.places // 8),
        seconds=settings.reading + settings.deadline + 10,
        farewell=order.drain + order.patience,
    )
    serve_application(
        builder(order),
        is_sound,
        copies,
        address=plan.address,
        host=host,
        port=port,
        arm=_note_signals,
        log=JsonLog(),
    )


def _note_signals() -> Callable[[], bool]:
    """From now on SIGTERM and SIGINT are only noted; whether one has come."""
    caught: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda which, _: caught.append(which))
    return lambda: bool(caught)


def make_key(name: str, file: Path | None) -> None:
    """Make an API key: print it, and keep its hash in a file or print that too."""
    from wreckognize.serving.keys import add_line, new_key

    key, line = new_key(name)
    if file is not None:
        add_line(file, line)
    typer.echo(key)
    if file is None:
        typer.echo(f"add this line to the file of keys: {line}", err=True)
    else:
        typer.echo(f"its hash is in {file}; the key itself is nowhere: keep it now", err=True)


def bound(host: str, port: int) -> socket.socket:
    """A bound socket.

    Raises:
        UsageError: the port is taken or may not be used, or the host is none of this machine.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, number)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
        except OSError:
            sock.close()
            raise
    except OSError as error:
        raise UsageError(
            f"cannot listen there ({error.strerror})",
            where=f"{host}:{port}",
            remedy="choose another --host or --port",
        ) from error
    return sock
