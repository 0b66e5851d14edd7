"""The FastAPI application: routes, and what they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version

import msgspec
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from wreckognize.serving import answers, envelope, inspecting, openapi
from wreckognize.serving.answers import Refused
from wreckognize.serving.drift import Drift
from wreckognize.serving.feedback import add_feedback
from wreckognize.serving.feedback_store import FeedbackStore
from wreckognize.serving.gate import Gate
from wreckognize.serving.inspector import Inspector
from wreckognize.serving.measures import Measures
from wreckognize.serving.page import page_routes
from wreckognize.serving.settings import ServiceSettings
from wreckognize.serving.uploads import Memory

_FLUSH_SECONDS = 10.0
_FINISH_SECONDS = 30.0
_PUBLIC = (
    "engine",
    "precision",
    "imgsz",
    "classes",
    "threshold",
    "to_a_person",
    "study",
    "system",
    "created",
    "wreckognize",
    "parity",
)
"""What ``/v1/model`` says of the manifest."""
_LIMITS = ("photos", "photo_bytes", "request_bytes", "pixels")
"""What it says of the settings, so that a client need not send what would be refused."""


@dataclass(slots=True)
class Service:
    """What the routes share; ``app.state.service``.

    Attributes:
        inspector: the model and its queue, started.
        settings: limits.
        measures: counters, and the log.
        gate: who may ask, and how much.
        drift: counts the photos.
        memory: bytes that requests hold.
        stopping_soon: asked to stop; photos are still taken, so that load balancers can look elsewhere.
        stopping: no more photos are taken.
        ending_now: nor is anything waited for that was taken.
    """

    inspector: Inspector
    settings: ServiceSettings
    measures: Measures
    gate: Gate
    drift: Drift
    memory: Memory = field(init=False)
    stopping_soon: bool = False
    stopping: bool = False
    ending_now: bool = False

    def __post_init__(self) -> None:
        self.memory = Memory(self.settings.held_bytes)


def create_app(
    inspector: Inspector,
    settings: ServiceSettings,
    measures: Measures,
    drift: Drift,
    *,
    workers: int = 1,
    feedback: FeedbackStore | None = None,
) -> FastAPI:
    """The application.

    Args:
        inspector: the model and its queue; it is started when the application starts, and stopped with it.
        settings: limits.
        measures: the same that the inspector has.
        drift: counts the photos.
        workers: processes that share the port, and so the rates of keys.
        feedback: keeps corrections; None: none is taken.

    Raises:
        UsageError: the file of API keys cannot be read.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(inspector.start)
        measures.log("warm", batch=inspector.batch)
        keeping = asyncio.create_task(_keep(drift, measures))
        try:
            yield
        finally:
            service: Service = app.state.service
            service.stopping = True
            await asyncio.to_thread(inspector.stop, 0.0 if service.ending_now else _FINISH_SECONDS)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await _write_down(drift, measures)

    app = FastAPI(
        title="Wreckognize", version=version("wreckognize"), lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.service = Service(
        inspector, settings, measures, Gate(settings, measures.log, workers=workers), drift
    )
    app.add_middleware(envelope.Envelope, measures=measures)
    app.add_exception_handler(Refused, envelope.refused)
    app.add_exception_handler(HTTPException, envelope.no_route)
    app.add_api_route(
        "/v1/inspect",
        inspecting.inspect,
        methods=["POST"],
        response_model=None,
        openapi_extra=openapi.inspect_route(),
    )
    for path, handler, page in _ROUTES:
        app.add_api_route(path, handler, methods=["GET"], response_model=None, openapi_extra=page)
    openapi.install(app)
    add_feedback(app, feedback)
    app.router.routes.extend(page_routes())
    return app


async def _keep(drift: Drift, measures: Measures) -> None:
    """Write down what drift is reckoned from, now and then."""
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        await _write_down(drift, measures)


async def _write_down(drift: Drift, measures: Measures) -> None:
    try:
        await asyncio.to_thread(drift.flush)
    except OSError as error:  # a full disk must not end the service
        measures.log("drift not written", level="error", text=str(error))


async def _model(request: Request) -> Response:
    service: Service = request.app.state.service
    service.gate.enter(request)
    bundle = service.inspector.bundle
    return answers.json(
        {
            **msgspec.structs.asdict(inspecting.name_of(bundle)),
            **bundle.manifest.model_dump(mode="json", include=set(_PUBLIC)),
            "card": bundle.card.model_dump(mode="json"),
            "limits": {name: getattr(service.settings, name) for name in _LIMITS},
        }
    )


async def _drift(request: Request) -> Response:
    service: Service = request.app.state.service
    service.gate.enter(request)
    return answers.json(await asyncio.to_thread(service.drift.summary))


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
    service: Service = request.app.state.service
    service.gate.enter(request)
    page = await asyncio.to_thread(service.measures.page, service.drift)
    return Response(page, media_type="text/plain; version=0.0.4")


_ROUTES = (
    (
        "/v1/model",
        _model,
        openapi.plain_route("The model and its card", "What is served, and what it can do.", "401", "403"),
    ),
    (
        "/v1/drift",
        _drift,
        openapi.plain_route("Drift", "Today's photos against the validation photos.", "401", "403"),
    ),
    ("/healthz", _healthz, openapi.plain_route("Does the process live", "It does.")),
    ("/readyz", _readyz, openapi.plain_route("Should photos be sent here", "They should.", "503")),
    ("/metrics", _metrics, openapi.plain_route("Counts for Prometheus", "Text.", "401", "403", text=True)),
)
