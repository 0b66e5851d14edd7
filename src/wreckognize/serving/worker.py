"""One process of the service: opens the bundle, warms it up, and answers on a socket that is bound already.

``python -m wreckognize.serving.worker SOCKET READY GO ALIVE``, file descriptors, with the order as JSON on standard
input: how `wreckognize.serving.parent` starts its workers. ``READY`` and ``GO`` are its `Leash`; ``ALIVE`` ends when
the parent has gone, and the worker stops.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from dataclasses import replace

from fastapi import FastAPI

from wreckognize import processor
from wreckognize.errors import WreckognizeError
from wreckognize.exporting.bundle import Bundle, read_bundle
from wreckognize.serving.app import create_app
from wreckognize.serving.drift import Drift
from wreckognize.serving.feedback_store import FeedbackLimits, FeedbackStore
from wreckognize.serving.inspector import Inspector
from wreckognize.serving.lanes import Lanes
from wreckognize.serving.logs import JsonLog
from wreckognize.serving.measures import Measures
from wreckognize.serving.order import Order
from wreckognize.serving.server import Leash, run


def serve(order: Order, sock: socket.socket, log: JsonLog, *, leash: Leash | None = None) -> None:
    """Serve until a signal.

    Args:
        order: what.
        sock: bound.
        log: of the service.
        leash: of a parent, if there is one.

    Raises:
        BundleError: the bundle cannot be read.
        UsageError: this machine cannot run it, the keys cannot be read, or no correction can be kept.
        MissingExtraError: what runs it is not installed.
    """
    app = application(order, read_bundle(order.bundle), log)
    run(app, sock, log, drain=order.drain, patience=order.patience, leash=leash)


def application(order: Order, bundle: Bundle, log: JsonLog) -> FastAPI:
    """The application that an order asks for, its model loaded.

    Args:
        order: what.
        bundle: the order's.
        log: of the service.

    Raises:
        UsageError: this machine cannot run it, the keys cannot be read, or no correction can be kept.
        MissingExtraError: what runs it is not installed.
    """
    threads = order.cores or max(1, processor.cpu_threads() // order.workers)
    settings = replace(order.settings, decoders=order.settings.decoders or threads)
    measures = Measures(log)
    drift = Drift(bundle.manifest, log, folder=order.drift)
    inspector = Inspector(bundle, _lanes(bundle, threads), settings, measures)
    limits = FeedbackLimits(corrections=order.feedback_most)
    feedback = None if order.feedback is None else FeedbackStore.at(order.feedback, limits)
    return create_app(inspector, settings, measures, drift, workers=order.workers, feedback=feedback)


def _lanes(bundle: Bundle, threads: int) -> Lanes:
    """A bundle's detector, and where it shares the cores among photos, another for a photo alone."""
    together = bundle.open(threads=threads)
    return Lanes(together, bundle.open(threads=threads, requests=1) if together.info.requests > 1 else None)


def main(arguments: list[str]) -> int:
    """Serve as the parent ordered; the exit code."""
    listening, ready, go, alive = map(int, arguments)
    log = JsonLog()
    order = Order.from_json(sys.stdin.buffer.read())

    def watch_parent() -> None:
        os.read(alive, 1)  # nothing is ever written: it comes back when the other end is gone
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch_parent, name="parent", daemon=True).start()
    try:
        serve(order, socket.socket(fileno=listening), log, leash=Leash(ready, go))
    except WreckognizeError as error:
        log("worker cannot serve", level="error", text=str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
