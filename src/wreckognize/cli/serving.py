"""``wreckognize serve``: a model behind HTTP."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from pathlib import Path

from wreckognize.errors import MissingExtraError, UsageError


def serve_bundle(folder: Path, *, host: str, port: int, drain: float) -> None:
    """Serve a bundle until a signal.

    Raises:
        UsageError: the port is taken, or the bundle cannot be read.
        MissingExtraError: the extra [serve] is not installed, or what runs the model.
    """
    if any(find_spec(name) is None for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client")):
        raise MissingExtraError("serve", "`wreckognize serve`")
    from wreckognize.exporting.bundle import read_bundle
    from wreckognize.serving.app import create_app
    from wreckognize.serving.inspector import Inspector
    from wreckognize.serving.logs import JsonLog
    from wreckognize.serving.measures import Measures
    from wreckognize.serving.server import run
    from wreckognize.serving.settings import ServiceSettings

    bundle = read_bundle(folder)
    settings, log = ServiceSettings(), JsonLog()
    measures = Measures(settings.places, log)
    inspector = Inspector(bundle, bundle.open(), settings, measures)
    sock = bound(host, port)
    name = bundle.manifest
    log("serving", url=f"http://{host}:{sock.getsockname()[1]}", model=name.name, version=name.version)
    run(create_app(inspector, settings, measures), sock, log, drain=drain, patience=30)


def bound(host: str, port: int) -> socket.socket:
    """A bound socket.

    Raises:
        UsageError: the port is taken or may not be used, or the host is none of this machine.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, number)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        raise UsageError(
            f"cannot listen there ({error.strerror})",
            where=f"{host}:{port}",
            remedy="choose another --host or --port",
        ) from error
    return sock
