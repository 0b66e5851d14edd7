"""The application as a copy on another machine builds it: the same bundle by its hash, or an error."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as version_of
from typing import Any

from fastapi import FastAPI

from wreckognize.errors import BundleError, UsageError
from wreckognize.exporting.bundle import read_bundle
from wreckognize.serving.logs import JsonLog
from wreckognize.serving.order import Order
from wreckognize.serving.worker import application


def builder(order: Order) -> Callable[[], FastAPI]:
    """A function that can travel to other machines and builds the application there.

    Args:
        order: what is served; its bundle must lie at the same place there.

    Raises:
        BundleError: the bundle cannot be read here.
    """
    told, sha256, version = order.to_json(), read_bundle(order.bundle).manifest.sha256, version_of("wreckognize")

    def build() -> FastAPI:
        return build_copy(told, sha256, version)

    return build


def build_copy(told: bytes, sha256: str, version: str) -> FastAPI:
    """The application.

    Args:
        told: the order, as JSON.
        sha256: of the bundle that is meant.
        version: of this package where the order was given.

    Raises:
        BundleError: another bundle lies here, or none.
        UsageError: another version of this package is installed here.
    """
    order, installed = Order.from_json(told), version_of("wreckognize")
    if version != installed:
        raise UsageError(
            f"this machine has wreckognize {installed}, the one that gave the order {version}",
            remedy="install the same version on all machines",
        )
    bundle = read_bundle(order.bundle)
    if bundle.manifest.sha256 != sha256:
        raise BundleError(
            f"another bundle than the one that is to be served ({bundle.manifest.version})",
            where=str(order.bundle),
            remedy="copy the same bundle to the same place on all machines",
        )
    app = application(order, bundle, JsonLog())
    app.state.service.measures.opened(order.settings.places)
    return app


def is_sound(app: Any) -> bool:
    """Whether a copy's engine works."""
    return not app.state.service.inspector.failing
