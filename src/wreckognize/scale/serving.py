"""A service on the machines of a Ray cluster: copies of one web application behind Ray Serve.

Which application that is, the caller says: it hands over a function that builds one, which each copy (Ray: replica)
calls in a process of its own. Ray's proxies take the clients' connections on every node that has a copy, and share the
requests out. Requests that a copy has no place for reach it all the same, so that it can refuse them in its own words.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wreckognize.errors import ClusterError, MissingExtraError, UsageError
from wreckognize.scale.cluster import joined

NAME = "wreckognize"
_LOOK_AROUND = 2.0  # seconds between looks at how many copies there are
_TICK = 0.2
_WAITING = 10_000  # requests that a proxy may hold before it answers 503 itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How many copies, and what each may take.

    Attributes:
        least: there are always so many.
        most: there are never more; between the two Ray decides by the requests that are open.
        cores: of one copy; a node holds as many copies as its cores allow.
        open_each: open requests a copy at which Ray starts no other; only where ``most`` is above ``least``.
        seconds: for all that one request may take.
        farewell: seconds that a copy has to finish what it took.
    """

    least: int
    most: int
    cores: int
    open_each: int
    seconds: float
    farewell: float

    @classmethod
    def parse(cls, text: str) -> tuple[int, int]:
        """``3`` or ``2-10``: the least and the most.

        Raises:
            UsageError: neither.
        """
        least, dash, most = text.partition("-")
        try:
            found = int(least), int(most) if dash else int(least)
        except ValueError:
            found = (0, 0)
        if not 1 <= found[0] <= found[1]:
            raise UsageError(
                f"'{text}' is no number of copies", where="--replicas", remedy="give one like 3, or two like 2-10"
            )
        return found


def serve_application(
    build: Callable[[], Any],
    healthy: Callable[[Any], bool],
    copies: Copies,
    *,
    address: str | None,
    host: str,
    port: int,
    arm: Callable[[], Callable[[], bool]],
    log: Callable[..., None],
) -> None:
    """Serve an application until it is to stop, then take it down, and a Ray that was started here with it.

    Args:
        build: makes the ASGI application; called in each copy's process, so it must be able to travel there.
        healthy: of an application, whether its copy may stay; one that is not is replaced. It travels too.
        copies: how many.
        address: ``HOST:PORT`` or ``auto`` of a cluster; None starts Ray on this machine.
        host: that Ray's proxies listen on.
        port: likewise.
        arm: called when Ray is there, for Ray sets signal handlers of its own; gives what says whether to stop.
        log: is told when photos are taken, and when the number of copies changes.

    Raises:
        ClusterError: the cluster cannot be joined, serves something already, or its copies do not start.
        MissingExtraError: Ray Serve is not installed.
    """
    with joined(address) as ray:
        stopped = arm()
        try:
            from ray import serve
        except ImportError as error:
            raise MissingExtraError("ray", "serving on several machines") from error
        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        if serve.status().applications:
            raise ClusterError(
                "the cluster serves an application already",
                where=str(address),
                remedy="take that down first (`serve shutdown` on a machine of the cluster), or use another cluster",
            )
        try:
            serve.start(http_options={"host": host, "port": port, "request_timeout_s": copies.seconds})
            _run(serve, _deployment(serve, build, healthy, copies), host, port)
            log("replicas ready", url=f"http://{host}:{port}", replicas=_running(serve))
            _watch(serve, stopped, log)
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"the cluster was lost: {' '.join(str(error).split())[:400]}",
                where=str(address or "on this machine"),
                remedy="look at the cluster (`ray status`), and start the service again",
            ) from error
        finally:
            serve.shutdown()
            log("stopped")


def _deployment(serve: Any, build: Callable[[], Any], healthy: Callable[[Any], bool], copies: Copies) -> Any:
    class Replica:
        """A copy; Ray gives it the application as ``self.app``."""

        def check_health(self) -> None:
            """Ray asks now and then, and replaces a copy for which this raises."""
            if not healthy(self.app):  # type: ignore[attr-defined]
                raise RuntimeError("the engine failed several times in a row, or hangs")

    options: dict[str, Any] = {
        "name": NAME,
        "ray_actor_options": {"num_cpus": copies.cores},
        "max_ongoing_requests": _WAITING,
        "max_queued_requests": _WAITING,
        "graceful_shutdown_timeout_s": copies.farewell,
    }
    if copies.most > copies.least:
        options["autoscaling_config"] = {
            "min_replicas": copies.least,
            "max_replicas": copies.most,
            "target_ongoing_requests": copies.open_each,
        }
    else:
        options["num_replicas"] = copies.least
    return serve.deployment(**options)(serve.ingress(build)(Replica))


def _run(serve: Any, deployment: Any, host: str, port: int) -> None:
    try:
        serve.run(deployment.bind(), name=NAME, route_prefix="/")
    except RuntimeError as error:  # what Ray raises where copies do not start
        found = serve.status().applications.get(NAME)
        why = [one.message for one in found.deployments.values()] if found else []
        text = " ".join(" ".join([*why, str(error)]).split())
        raise ClusterError(
            f"no copy came to answer: {text[:900]}",
            where=f"{host}:{port}",
            remedy="mend what the last error says; every machine needs the same bundle at the same place",
        ) from error


def _watch(serve: Any, stopped: Callable[[], bool], log: Callable[..., None]) -> None:
    there, look = _running(serve), time.monotonic() + _LOOK_AROUND
    while not stopped():
        time.sleep(_TICK)
        if time.monotonic() < look:
            continue
        look = time.monotonic() + _LOOK_AROUND
        now = _running(serve)
        if now != there:
            log("replicas changed", replicas=now, before=there)
            there = now


def _running(serve: Any) -> int:
    found = serve.status().applications.get(NAME)
    if found is None:
        return 0
    return sum(one.replica_states.get("RUNNING", 0) for one in found.deployments.values())
