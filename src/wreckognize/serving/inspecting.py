"""``POST /v1/inspect``: photos to verdicts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from wreckognize.errors import InputError
from wreckognize.exporting.bundle import Bundle
from wreckognize.exporting.verdicts import Answer as Judged
from wreckognize.serving import answers
from wreckognize.serving.answers import Band, Box, ModelName, PhotoAnswer, Refused, Timings
from wreckognize.serving.queued import EngineFailed, QueueFull, Seen, Stopping
from wreckognize.serving.uploads import Part, read_photos, too_many_bytes

if TYPE_CHECKING:
    from wreckognize.serving.app import Service

_CLIENT_GONE = 499  # nginx's number; nobody reads the answer, the log does


async def inspect(request: Request) -> Response:
    """Read photos, put them into the queue, wait for their verdicts."""
    service: Service = request.app.state.service
    began = time.perf_counter()
    key = service.gate.enter(request)
    if service.stopping:
        raise stopping()
    if service.inspector.free_places == 0:
        raise queue_full(service)  # before the body is read
    service.gate.take(request, key, 0)
    with service.memory.share() as share:
        try:
            parts = await read_photos(request, service.settings, share)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_GONE)
        read = time.perf_counter() - began
        if len(parts) == 1 and parts[0].too_large:
            raise too_many_bytes("the photo", service.settings.photo_bytes)
        service.gate.take(request, key, len(parts))
        log = request.state.log
        log.update(photos=len(parts), bytes=share.held)
        if service.settings.log_names:
            log["names"] = [part.name for part in parts]
        try:
            futures = service.inspector.enter([(part.name, part.data) for part in parts if not part.too_large])
        except QueueFull as error:
            raise queue_full(service) from error
        except Stopping as error:
            raise stopping() from error
        seen = await _all(request, futures, service.settings.deadline)
    if seen is None:
        return Response(status_code=_CLIENT_GONE)
    found = iter(seen)
    results = [None if part.too_large else next(found) for part in parts]
    photos = [
        _photo(service, part, result, alone=len(parts) == 1) for part, result in zip(parts, results, strict=True)
    ]
    looked = [one for one in seen if isinstance(one, Seen)]
    timings = Timings(
        read=_ms(read),
        queue=_ms(max((one.waited for one in looked), default=0.0)),
        inference=_ms(max((one.inference for one in looked), default=0.0)),
        total=_ms(time.perf_counter() - began),
    )
    log.update(queue_ms=timings.queue, inference_ms=timings.inference)
    bundle = service.inspector.bundle
    return answers.json(
        answers.InspectAnswer(name_of(bundle), bundle.manifest.threshold.value, band_of(bundle), photos, timings)
    )


async def _all(
    request: Request, futures: Sequence[Future[Seen]], deadline: float
) -> list[Seen | BaseException] | None:
    """What came of all photos; None where the client has gone. Photos that are not done by then leave the queue."""
    waiting = asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((waiting, gone), timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return list(waiting.result())
        if gone.done():
            return None
        raise Refused(
            503, "deadline", f"not done within {deadline:g} s", "try again, or send fewer photos", retry_after=1
        )
    finally:
        waiting.cancel()
        gone.cancel()
        await asyncio.gather(waiting, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    """Come back when the client has gone. The body was read to its end, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _photo(service: Service, part: Part, result: Seen | BaseException | None, *, alone: bool) -> PhotoAnswer:
    measures = service.measures
    if isinstance(result, Seen):
        judged = service.inspector.bundle.answer(result.look)
        measures.photo(judged.verdict, judged.score)
        service.drift.add(judged.score, result.brightness, max(result.width, result.height), judged.verdict)
        score = round(judged.score, 4)
        return PhotoAnswer(part.name, judged.verdict, score, result.width, result.height, _boxes(judged))
    if isinstance(result, EngineFailed):
        raise Refused(503, "engine", "the engine failed on a photo", "try again later", retry_after=5)
    if isinstance(result, InputError):
        problem = answers.problem_of(result)
        if alone:
            raise Refused(answers.STATUS_OF[result.kind], problem.code, problem.reason, problem.remedy)
    elif result is None:
        problem = too_many_bytes("the photo", service.settings.photo_bytes).problem
    else:
        raise result
    measures.photo(problem.code)
    return PhotoAnswer(part.name, error=problem)


def _boxes(judged: Judged) -> list[Box]:
    corners = judged.boxes.astype(np.float64).round(1).tolist()
    confidences = judged.confidences.astype(np.float64).round(4).tolist()
    return [
        Box(x1, y1, x2, y2, confidence) for (x1, y1, x2, y2), confidence in zip(corners, confidences, strict=True)
    ]


def name_of(bundle: Bundle) -> ModelName:
    """The model, as answers name it."""
    manifest = bundle.manifest
    return ModelName(manifest.name, manifest.version, manifest.sha256)


def band_of(bundle: Bundle) -> Band | None:
    """Its "to a person" band, as answers give it."""
    band = bundle.manifest.to_a_person
    return None if band is None else Band(band.low, band.high)


def queue_full(service: Service) -> Refused:
    """The refusal where there are no places."""
    return Refused(503, "busy", "the queue is full", "try again a little later", retry_after=1)


def stopping() -> Refused:
    """The refusal of a service that is being stopped."""
    return Refused(503, "stopping", "the service is being stopped", "try again", retry_after=2)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
