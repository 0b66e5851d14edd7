"""The FastAPI application: routes, and what they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from wreckognize import __version__
from wreckognize.serving import answers, envelope, inspecting
from wreckognize.serving.answers import Refused
from wreckognize.serving.inspector import Inspector
from wreckognize.serving.measures import Measures
from wreckognize.serving.settings import ServiceSettings
from wreckognize.serving.uploads import Memory


@dataclass(slots=True)
class Service:
    """What the routes share; ``app.state.service``.

    Attributes:
        inspector: the model and its queue, started.
        settings: limits.
        measures: counters, and the log.
        memory: bytes that requests hold.
        stopping_soon: asked to stop; photos are still taken, so that load balancers can look elsewhere.
        stopping: no more photos are taken.
    """

    inspector: Inspector
    settings: ServiceSettings
    measures: Measures
    memory: Memory = field(init=False)
    stopping_soon: bool = False
    stopping: bool = False

    def __post_init__(self) -> None:
        self.memory = Memory(self.settings.held_bytes)


def create_app(inspector: Inspector, settings: ServiceSettings, measures: Measures) -> FastAPI:
    """The application.

    Args:
        inspector: the model and its queue; it is started when the application starts, and stopped with it.
        settings: limits.
        measures: the same that the inspector has.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(inspector.start)
        try:
            yield
        finally:
            app.state.service.stopping = True
            await asyncio.to_thread(inspector.stop)

    app = FastAPI(title="Wreckognize", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = Service(inspector, settings, measures)
    app.add_middleware(envelope.Envelope, measures=measures)
    app.add_exception_handler(Refused, envelope.refused)
    app.add_exception_handler(HTTPException, envelope.no_route)
    app.add_api_route("/v1/inspect", inspecting.inspect, methods=["POST"], response_model=None)
    for path, handler in (
        ("/v1/model", _model),
        ("/healthz", _healthz),
        ("/readyz", _readyz),
        ("/metrics", _metrics),
    ):
        app.add_api_route(path, handler, methods=["GET"], response_model=None)
    # Here, after the routes above: feedback (`serving/feedback.py`, a router), and last the web page (`serving/page/`,
    # a mount at "/").
    return app


async def _model(request: Request) -> Response:
    model = request.app.state.service.inspector.model
    named = inspecting.name_of(model)
    return answers.json(
        {
            "name": named.name,
            "version": named.version,
            "sha256": named.sha256,
            "threshold": model.thresholds.value,
            "to_a_person": inspecting.band_of(model),
            **model.public,
        }
    )


async def _healthz(request: Request) -> Response:
    return answers.json({"status": "alive"})


async def _readyz(request: Request) -> Response:
    service: Service = request.app.state.service
    if service.stopping or service.stopping_soon:
        raise inspecting.stopping()
    if service.inspector.failing:
        raise Refused(503, "engine", "the engine failed several times in a row", "see the log", retry_after=5)
    return answers.json({"status": "ready"})


async def _metrics(request: Request) -> Response:
    return Response(request.app.state.service.measures.page(), media_type="text/plain; version=0.0.4")
