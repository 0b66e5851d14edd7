"""``wreckognize serve``: a model behind HTTP."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from pathlib import Path

from wreckognize.cli.predicting import MIN_CONFIDENCE_SHOWN, system_of
from wreckognize.errors import MissingExtraError, UsageError
from wreckognize.files import sha256_of


def serve_model(weights: Path, *, host: str, port: int, drain: float) -> None:
    """Serve a model until a signal.

    Raises:
        UsageError: the port is taken, or the model cannot be read.
        MissingExtraError: the extra [serve] is not installed.
    """
    if any(find_spec(name) is None for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client")):
        raise MissingExtraError("serve", "`wreckognize serve`")
    from wreckognize.detectors.engines import Choice, open_engine
    from wreckognize.inference.stream import StreamSettings
    from wreckognize.serving.app import create_app
    from wreckognize.serving.inspector import Inspector
    from wreckognize.serving.logs import JsonLog
    from wreckognize.serving.measures import Measures
    from wreckognize.serving.model import Model, Thresholds
    from wreckognize.serving.server import run
    from wreckognize.serving.settings import ServiceSettings

    system = system_of(weights, to_a_person=False)
    choice = Choice("openvino") if find_spec("openvino") else Choice()
    detector = open_engine(system.weights, choice, classes=system.classes, merge=system.merge)
    sha256 = sha256_of(Path(system.weights))
    model = Model(
        name=weights.name,
        version=sha256[:12],
        sha256=sha256,
        detector=detector,
        stream=StreamSettings(system.imgsz, confidence=min(MIN_CONFIDENCE_SHOWN, system.threshold)),
        thresholds=Thresholds(system.threshold),
    )
    settings, log = ServiceSettings(), JsonLog()
    measures = Measures(settings.places, log)
    sock = bound(host, port)
    log("serving", url=f"http://{host}:{sock.getsockname()[1]}", model=model.name, version=model.version)
    run(create_app(Inspector(model, settings, measures), settings, measures), sock, log, drain=drain, patience=30)


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
